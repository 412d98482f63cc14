// START HERE. A real Kafka for a test, a benchmark or the demo: from KAFKA_BOOTSTRAP_SERVERS, else from jars, else from Docker.

import { kafkaAvailability } from './availability.ts'
import { KafkaCluster } from './cluster.ts'
import { externalCluster } from './external-cluster.ts'
import { startJarCluster } from './jar-cluster.ts'
import type { KafkaVersion } from './versions.ts'

export interface KafkaOptions {
  /** Default: the newest. */
  readonly version?: KafkaVersion
  readonly brokers?: 1 | 3
  /** Default: false. */
  readonly autoCreateTopics?: boolean
  /** Broker settings by Kafka's own names; they win over those of the harness. */
  readonly config?: Readonly<Record<string, string>>
}

/**
 * Resolves when the cluster serves: about two seconds for one broker, plus once the time to bring its jars.
 * `await using kafka = await startKafka(...)`, or `stopAll()`: nothing is left behind either way, nor when the process is killed.
 */
export async function startKafka(options: KafkaOptions = {}): Promise<KafkaCluster> {
  const plan = planOf(options)
  const available = kafkaAvailability([plan.version])
  switch (available.kind) {
    case 'external':
      return new KafkaCluster(externalCluster(available.bootstrapServers))
    case 'jars':
      return new KafkaCluster(await startJarCluster(plan))
    case 'docker':
      return await startKafkaInDocker(plan)
    case 'none':
      throw new Error(`no Kafka: ${available.reason}`)
  }
}

/** The same in containers, whatever else there is. Testcontainers is loaded only here: it takes most of a second. */
export async function startKafkaInDocker(options: KafkaOptions = {}): Promise<KafkaCluster> {
  const { startDockerCluster } = await import('./docker-cluster.ts')
  return new KafkaCluster(await startDockerCluster(planOf(options)))
}

function planOf({ version = '4.4', brokers = 1, autoCreateTopics = false, config = {} }: KafkaOptions) {
  return { version, brokers, autoCreateTopics, config }
}
