// The ZooKeeper that a broker of 2.8 needs. To: jar-cluster.ts.

import { mkdirSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import type { Installation } from './installation.ts'
import { javaCommand, loggingOption } from './java.ts'
import type { ServerOptions } from './server-process.ts'
import { until } from './wait.ts'

export interface ZooKeeperPlan {
  readonly folder: string
  readonly host: string
  readonly port: number
  readonly startTimeoutMs: number
}

export function zooKeeperOptions({ version, jarsDir }: Installation, plan: ZooKeeperPlan): ServerOptions {
  const folder = join(plan.folder, 'zookeeper')
  mkdirSync(folder, { recursive: true })
  const configFile = join(folder, 'zoo.cfg')
  const lines = [
    `dataDir=${join(folder, 'data')}`,
    `clientPort=${plan.port}`,
    `clientPortAddress=${plan.host}`,
    'maxClientCnxns=0',
    'admin.enableServer=false',
    '4lw.commands.whitelist=dump',
    'tickTime=1000', // sessions last at least two of these
  ]
  writeFileSync(configFile, `${lines.join('\n')}\n`)
  return {
    name: `ZooKeeper (Kafka ${version})`,
    command: javaCommand(),
    args: [
      ...['-Xmx256m', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', loggingOption(version, 'server')],
      ...['-cp', `${jarsDir}/*`, 'org.apache.zookeeper.server.ZooKeeperServerMain', configFile],
    ],
    logFile: join(folder, 'zookeeper.log'),
    host: plan.host,
    port: plan.port,
    startTimeoutMs: plan.startTimeoutMs,
  }
}

/**
 * Waits until the session of a broker that was killed has expired: one that comes back earlier finds its own id taken and ends.
 */
export async function awaitBrokerForgotten(host: string, port: number, nodeId: number): Promise<void> {
  await until(`ZooKeeper forgets broker ${nodeId}`, { timeoutMs: 30_000, intervalMs: 100 }, async () => {
    const ephemerals = await fourLetterWord(host, port, 'dump')
    return new RegExp(`^\\s*/brokers/ids/${nodeId}$`, 'm').test(ephemerals) ? undefined : true
  })
}

function fourLetterWord(host: string, port: number, word: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port })
    let answer = ''
    socket.setEncoding('utf8')
    socket.once('connect', () => socket.write(word))
    socket.on('data', (chunk: string) => {
      answer += chunk
    })
    socket.once('end', () => resolve(answer))
    socket.once('error', reject)
  })
}
