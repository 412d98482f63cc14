// A cluster that somebody else started and KAFKA_BOOTSTRAP_SERVERS names: topics can be made on it, its nodes are left alone.

import type { ClusterHost, KafkaNode } from './cluster.ts'
import { runInstalledTool } from './installation.ts'

const TOOLS = '4.3' // they talk to any broker from 2.1 on

export function externalCluster(bootstrapServers: string): ClusterHost {
  const refuse = (what: string) => async (): Promise<never> => {
    throw new Error(`${what} is not possible on an external cluster (KAFKA_BOOTSTRAP_SERVERS): see controlsNodes`)
  }
  return {
    version: undefined,
    source: 'external',
    nodes: bootstrapServers.split(',').map(nodeOf),
    isUp: () => true,
    kill: refuse('kill'),
    stop: refuse('stop'),
    start: refuse('start'),
    pause: refuse('pause'),
    resume: refuse('resume'),
    logDir: () => {
      throw new Error('the data of an external cluster is not on this machine')
    },
    segmentFiles: refuse('reading the files of a node'),
    toolBootstrapServers: bootstrapServers,
    runTool: (tool, args, run) => runInstalledTool(TOOLS, tool, args, run?.input),
    stopAll: async () => {},
  }
}

function nodeOf(entry: string, index: number): KafkaNode {
  const [, host, port] = /^\s*\[?(.*?)\]?:(\d+)\s*$/.exec(entry) ?? []
  if (host === undefined || port === undefined) throw new Error(`KAFKA_BOOTSTRAP_SERVERS: "${entry}" is not host:port`)
  return { nodeId: index + 1, host, port: Number(port) }
}
