// Where the tests' Kafka can come from on this machine. To: start-kafka.ts, describe-kafka.ts.

import { dockerAvailability } from './docker-image.ts'
import { canInstall } from './installation.ts'
import { KAFKA_RELEASES, KAFKA_VERSIONS, type KafkaVersion } from './versions.ts'

export type Availability =
  | { readonly kind: 'external'; readonly bootstrapServers: string }
  | { readonly kind: 'jars' }
  | { readonly kind: 'docker' }
  | { readonly kind: 'none'; readonly reason: string }

/**
 * In this order: the cluster that KAFKA_BOOTSTRAP_SERVERS names; brokers from the jars that Maven brings, with Java; Docker.
 * Where there is none of them, `reason` says in one line what is missing.
 */
export function kafkaAvailability(versions: readonly KafkaVersion[] = KAFKA_VERSIONS): Availability {
  const bootstrapServers = process.env['KAFKA_BOOTSTRAP_SERVERS']
  if (bootstrapServers !== undefined && bootstrapServers !== '') return { kind: 'external', bootstrapServers }
  const jars = canInstall(versions)
  if (jars.found) return { kind: 'jars' }
  const docker = dockerAvailability()
  if (!docker.found) return { kind: 'none', reason: `${jars.reason}, and ${docker.reason}` }
  const imageless = versions.filter((version) => KAFKA_RELEASES[version].image === undefined)
  if (imageless.length === 0) return { kind: 'docker' }
  return { kind: 'none', reason: `${jars.reason}, and there is no Docker image of Kafka ${imageless.join(', ')}` }
}
