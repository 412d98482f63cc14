// The server.properties of one test broker. Pure. To: jar-cluster.ts.

import type { KafkaRelease } from './versions.ts'

export interface BrokerPlan {
  readonly release: KafkaRelease
  readonly nodeId: number
  readonly host: string
  readonly brokerPorts: readonly number[]
  /** KRaft: the controllers' ports, one a node. ZooKeeper: its port alone. */
  readonly keeperPorts: readonly number[]
  readonly logDir: string
  readonly autoCreateTopics: boolean
  readonly config: Readonly<Record<string, string>>
}

/** Lines of `name=value`; `plan.config` has the last word. */
export function serverProperties(plan: BrokerPlan): string {
  const properties = { ...common(plan), ...keeper(plan), ...plan.config }
  return Object.entries(properties)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')
}

function common(plan: BrokerPlan): Record<string, string> {
  const replicas = String(Math.min(3, plan.brokerPorts.length))
  const inSync = plan.brokerPorts.length >= 3 ? '2' : '1'
  const address = `PLAINTEXT://${plan.host}:${plan.brokerPorts[plan.nodeId - 1]}`
  return {
    listeners: address,
    'advertised.listeners': address,
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'inter.broker.listener.name': 'PLAINTEXT',
    'log.dirs': plan.logDir,
    'auto.create.topics.enable': String(plan.autoCreateTopics),
    'num.partitions': '1',
    'default.replication.factor': replicas,
    'min.insync.replicas': inSync,
    'offsets.topic.replication.factor': replicas,
    'offsets.topic.num.partitions': '5',
    'transaction.state.log.replication.factor': replicas,
    'transaction.state.log.min.isr': inSync,
    'transaction.state.log.num.partitions': '5',
    'group.initial.rebalance.delay.ms': '0',
    // The cleaner's buffer is 128 MB by default and taken at the start.
    'log.cleaner.dedupe.buffer.size': '16777216',
  }
}

function keeper(plan: BrokerPlan): Record<string, string> {
  if (plan.release.metadataKeeper === 'zookeeper') {
    return {
      'broker.id': String(plan.nodeId),
      'zookeeper.connect': `${plan.host}:${plan.keeperPorts[0]}`,
      'zookeeper.session.timeout.ms': '4000',
    }
  }
  const voters = plan.keeperPorts.map((port, index) => `${index + 1}@${plan.host}:${port}`)
  return {
    'process.roles': 'broker,controller',
    'node.id': String(plan.nodeId),
    'controller.quorum.voters': voters.join(','),
    'controller.listener.names': 'CONTROLLER',
    listeners: `PLAINTEXT://${plan.host}:${plan.brokerPorts[plan.nodeId - 1]},CONTROLLER://${plan.host}:${plan.keeperPorts[plan.nodeId - 1]}`,
    // A dead or paused broker loses its leaderships after this, and one that was killed may come back; 9 s by default.
    'broker.session.timeout.ms': '3000',
    'broker.heartbeat.interval.ms': '500',
  }
}
