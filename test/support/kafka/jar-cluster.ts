// A cluster of brokers that run as processes of this machine, from the jars of installation.ts. With KRaft every node is broker and
// controller; 2.8 gets a ZooKeeper. All data lies in a new folder that goes with the cluster.

import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  statfsSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ownFolder, removeFolder } from './belongings.ts'
import { cachePath, makeOnce } from './cache.ts'
import type { ClusterHost, KafkaNode, ToolRun } from './cluster.ts'
import { copyStorage, type Installation, installKafka, randomKafkaId, runInstalledTool } from './installation.ts'
import { javaCommand, javaVersion, loggingOption } from './java.ts'
import { freePorts } from './ports.ts'
import { serverProperties } from './properties.ts'
import { PortTaken, ServerProcess } from './server-process.ts'
import { KAFKA_RELEASES, type KafkaTool, type KafkaVersion } from './versions.ts'
import { awaitBrokerForgotten, zooKeeperOptions } from './zookeeper.ts'

export interface ClusterPlan {
  readonly version: KafkaVersion
  readonly brokers: number
  readonly autoCreateTopics: boolean
  readonly config: Readonly<Record<string, string>>
}

const HOST = '127.0.0.1'
const START_TIMEOUT_MS = 90_000 // two seconds on an idle machine; this is for a crowded one
const STARTED = /Kafka Server started|started \(kafka\.server\.Kafka(?:Raft)?Server\)/
const PORT_TRIES = 5

/** Resolves when every broker serves. When another program was faster at one of the ports, it begins again with others. */
export async function startJarCluster(plan: ClusterPlan): Promise<ClusterHost> {
  const installation = await installKafka(plan.version)
  const archive = await classArchive(installation)
  const jvmOptions =
    archive === undefined ? [] : [`-XX:SharedArchiveFile=${archive}`, '-Xlog:cds=off', '-Xlog:cds+dynamic=off']
  return await startOnFreePorts(plan, installation, jvmOptions)
}

async function startOnFreePorts(
  plan: ClusterPlan,
  installation: Installation,
  jvmOptions: readonly string[],
): Promise<JarCluster> {
  for (let tries = 1; ; tries++) {
    const cluster = new JarCluster(plan, installation, await freePorts(2 * plan.brokers), jvmOptions)
    try {
      await cluster.startAll()
      return cluster
    } catch (error) {
      await cluster.stopAll()
      if (!(error instanceof PortTaken) || tries === PORT_TRIES) throw error
    }
  }
}

/**
 * The classes of a running broker in the form in which the JVM maps them (a class-data archive): half the time and the work of a start.
 * A first broker is started and stopped to write it; undefined where that did not work, or would need a ZooKeeper.
 */
async function classArchive(installation: Installation): Promise<string | undefined> {
  const { version } = installation
  if (KAFKA_RELEASES[version].metadataKeeper === 'zookeeper') return undefined
  const archive = cachePath('kafka', version, `broker-java-${javaVersion()}.jsa`)
  await makeOnce(
    archive,
    () => existsSync(archive),
    async () => {
      const plan = { version, brokers: 1, autoCreateTopics: false, config: {} }
      const making = `${archive}.making`
      try {
        const cluster = await startOnFreePorts(plan, installation, [`-XX:ArchiveClassesAtExit=${making}`])
        await cluster.stop(1)
        await cluster.stopAll()
        renameSync(making, archive)
      } catch (error) {
        console.log(`Kafka ${version} starts without a class-data archive: ${String(error).split('\n')[0]}`)
        writeFileSync(archive, '') // not tried again
      }
    },
  )
  return statSync(archive).size > 0 ? archive : undefined
}

class JarCluster implements ClusterHost {
  readonly version: KafkaVersion
  readonly source = 'jars'
  readonly nodes: readonly KafkaNode[]
  readonly #plan: ClusterPlan
  readonly #folder: string
  readonly #keeperPort: number
  readonly #keeper: ServerProcess | undefined
  readonly #brokers: ReadonlyMap<number, ServerProcess>
  readonly #jvmOptions: readonly string[]
  #isOver = false

  constructor(plan: ClusterPlan, installation: Installation, ports: readonly number[], jvmOptions: readonly string[]) {
    const brokerPorts = ports.slice(0, plan.brokers)
    const keeperPorts = ports.slice(plan.brokers)
    this.version = plan.version
    this.#plan = plan
    this.#jvmOptions = jvmOptions
    this.#folder = mkdtempSync(join(dataRoot(), 'kafka-wire-'))
    ownFolder(this.#folder)
    this.nodes = brokerPorts.map((port, index) => ({ nodeId: index + 1, host: HOST, port }))
    this.#keeperPort = keeperPorts[0]!
    if (KAFKA_RELEASES[plan.version].metadataKeeper === 'zookeeper') {
      const keeper = { folder: this.#folder, host: HOST, port: this.#keeperPort, startTimeoutMs: START_TIMEOUT_MS }
      this.#keeper = new ServerProcess(zooKeeperOptions(installation, keeper))
    }
    const clusterId = randomKafkaId()
    const make = ({ nodeId }: KafkaNode): [number, ServerProcess] => {
      this.#layOut(nodeId, clusterId, installation, brokerPorts, keeperPorts)
      return [nodeId, new ServerProcess(this.#serverOptions(nodeId, installation))]
    }
    this.#brokers = new Map(this.nodes.map(make))
  }

  async startAll(): Promise<void> {
    await this.#keeper?.start()
    await all([...this.#brokers.values()].map((broker) => broker.start()))
  }

  isUp(nodeId: number): boolean {
    return this.#broker(nodeId).isRunning
  }

  async kill(nodeId: number): Promise<void> {
    await this.#broker(nodeId).kill()
  }

  async stop(nodeId: number): Promise<void> {
    await this.#broker(nodeId).stop()
  }

  async start(nodeId: number): Promise<void> {
    const broker = this.#broker(nodeId)
    if (this.#keeper !== undefined) await awaitBrokerForgotten(HOST, this.#keeperPort, nodeId)
    await broker.start()
  }

  async pause(nodeId: number): Promise<void> {
    this.#broker(nodeId).pause()
  }

  async resume(nodeId: number): Promise<void> {
    this.#broker(nodeId).resume()
  }

  logDir(nodeId: number): string {
    return join(this.#nodeFolder(nodeId), 'data')
  }

  async segmentFiles(nodeId: number, topic: string, partition: number): Promise<readonly string[]> {
    const folder = join(this.logDir(nodeId), `${topic}-${partition}`)
    const names = readdirSync(folder).filter((name) => name.endsWith('.log'))
    return names.sort().map((name) => join(folder, name))
  }

  get toolBootstrapServers(): string {
    return this.nodes.map(({ host, port }) => `${host}:${port}`).join(',')
  }

  async runTool(tool: KafkaTool, args: readonly string[], run: ToolRun = {}): Promise<string> {
    return await runInstalledTool(this.version, tool, args, run.input)
  }

  async stopAll(): Promise<void> {
    if (this.#isOver) return
    this.#isOver = true
    // The data is thrown away: no reason to wait for a clean end.
    await all([...this.#brokers.values()].map((broker) => broker.kill()))
    await this.#keeper?.kill()
    removeFolder(this.#folder)
  }

  #broker(nodeId: number): ServerProcess {
    const broker = this.#brokers.get(nodeId)
    if (broker === undefined) throw new Error(`no node ${nodeId}: there are ${[...this.#brokers.keys()].join(', ')}`)
    return broker
  }

  #nodeFolder(nodeId: number): string {
    return join(this.#folder, `node-${nodeId}`)
  }

  #layOut(
    nodeId: number,
    clusterId: string,
    { storageTemplateDir }: Installation,
    brokerPorts: readonly number[],
    keeperPorts: readonly number[],
  ): void {
    const logDir = this.logDir(nodeId)
    mkdirSync(logDir, { recursive: true })
    if (storageTemplateDir !== undefined) copyStorage(storageTemplateDir, logDir, { clusterId, nodeId })
    const { autoCreateTopics, config, version } = this.#plan
    const release = KAFKA_RELEASES[version]
    const properties = serverProperties({
      release,
      nodeId,
      host: HOST,
      brokerPorts,
      keeperPorts,
      logDir,
      autoCreateTopics,
      config,
    })
    writeFileSync(join(this.#nodeFolder(nodeId), 'server.properties'), properties)
  }

  #serverOptions(nodeId: number, { jarsDir, version }: Installation) {
    const folder = this.#nodeFolder(nodeId)
    return {
      name: `broker ${nodeId} (Kafka ${version})`,
      command: javaCommand(),
      args: [
        ...['-Xms256m', '-Xmx1g', '-XX:+UseG1GC', '-XX:MaxGCPauseMillis=20', '-Djava.awt.headless=true'],
        ...this.#jvmOptions,
        loggingOption(version, 'server'),
        ...['-cp', `${jarsDir}/*`, 'kafka.Kafka', join(folder, 'server.properties')],
      ],
      logFile: join(folder, 'server.log'),
      host: HOST,
      port: this.nodes[nodeId - 1]!.port,
      startedLine: STARTED,
      startTimeoutMs: START_TIMEOUT_MS,
    }
  }
}

/** Like Promise.all, but an error is thrown when all have come to their end, and nothing is still starting behind it. */
async function all(steps: readonly Promise<void>[]): Promise<void> {
  const outcomes = await Promise.allSettled(steps)
  const failed = outcomes.filter((outcome) => outcome.status === 'rejected').map((outcome) => outcome.reason as Error)
  const taken = failed.find((error) => error instanceof PortTaken)
  if (failed.length > 0) throw taken ?? failed[0]
}

// Memory when there is plenty of it: a broker's start and the tests' many small writes wait for the disk otherwise. (In a container
// /dev/shm is often 64 MB.) The system's temporary folder for everybody else.
const PLENTY_BYTES = 6 * 2 ** 30

function dataRoot(): string {
  try {
    const { bavail, bsize } = statfsSync('/dev/shm')
    return bavail * bsize >= PLENTY_BYTES ? '/dev/shm' : tmpdir()
  } catch {
    return tmpdir() // no such folder: not Linux
  }
}
