// Throttle: since KIP-219 a broker whose quota is used up answers first and wants to be left alone afterwards. From which version of
// each API on that is so; before, the broker has already waited, and its throttle time is news of the past.
// From, to: connection.ts.
import { apiVersions } from '../protocol/messages/api-versions.ts'
import { createTopics } from '../protocol/messages/create-topics.ts'
import { initProducerId } from '../protocol/messages/init-producer-id.ts'
import { metadata } from '../protocol/messages/metadata.ts'
import { produce } from '../protocol/messages/produce.ts'

const holdFromByKey: ReadonlyMap<number, number> = new Map([
  [produce.key, 6],
  [metadata.key, 6],
  [apiVersions.key, 2],
  [createTopics.key, 3],
  [initProducerId.key, 1],
])

/** Whether the `throttleTimeMs` in an answer of this API and version is ours to wait. */
export function clientMustHold(apiKey: number, version: number): boolean {
  return version >= (holdFromByKey.get(apiKey) ?? Number.POSITIVE_INFINITY)
}
