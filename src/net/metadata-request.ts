// Metadata request: one question to the cluster, in the form that each version has for it.
// From: cluster.ts. To: broker-pool.ts, over the control connection.
import { ZERO_UUID } from '../protocol/api.ts'
import { type MetadataRequest, type MetadataResponse, metadata } from '../protocol/messages/metadata.ts'
import type { BrokerPool } from './broker-pool.ts'

export interface MetadataAnswer {
  readonly version: number
  readonly response: MetadataResponse
}

/**
 * @param names The topics to describe; with none only the brokers are told. `null`: all topics.
 * @throws What `BrokerPool.control` does.
 */
export async function requestMetadata(
  pool: BrokerPool,
  names: readonly string[] | null,
  options: { readonly allowAutoTopicCreation: boolean; readonly keepAlive: boolean },
): Promise<MetadataAnswer> {
  let version = 0
  const build = (agreed: number): MetadataRequest => {
    version = agreed
    return {
      // From version 1 on an empty list is no topic at all. No broker that speaks ApiVersions lacks that version.
      topics: names === null ? null : names.map((name) => ({ topicId: ZERO_UUID, name })),
      // Before version 4 brokers did as they liked: there is no field to say otherwise in.
      allowAutoTopicCreation: options.allowAutoTopicCreation || agreed < 4,
      includeClusterAuthorizedOperations: false,
      includeTopicAuthorizedOperations: false,
    }
  }
  const response = await pool.control(metadata, build, { keepAlive: options.keepAlive })
  return { version, response }
}

/** The names of all topics that clients may use, for suggestions. Creates none. */
export async function requestAllNames(pool: BrokerPool): Promise<string[]> {
  const { response } = await requestMetadata(pool, null, { allowAutoTopicCreation: false, keepAlive: true })
  return response.topics.flatMap(({ name, errorCode, isInternal }) =>
    name === null || errorCode !== 0 || isInternal ? [] : [name],
  )
}
