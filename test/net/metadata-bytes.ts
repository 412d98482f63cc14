// Metadata as literal bytes: requests read and answers written by hand, none of it through src/protocol.
// From: tests of the cluster.
import { type ByteBuilder, bytes } from '../support/byte-builder.ts'
import type { ReceivedFrame } from '../support/wire-server.ts'

export interface AskedMetadata {
  readonly version: number
  /** `null`: all topics. */
  readonly names: readonly string[] | null
  readonly allowAutoTopicCreation: boolean
}

export interface FakePartition {
  readonly leader: number
  readonly epoch?: number
  readonly error?: number
  /** Default: its place in the list. */
  readonly index?: number
  readonly inSyncReplicas?: readonly number[]
}

export interface FakeTopic {
  readonly name: string
  readonly error?: number
  /** The byte that its topic id consists of; 0: no id. */
  readonly id?: number
  readonly partitions?: readonly FakePartition[]
  readonly isInternal?: boolean
}

export interface FakeMetadata {
  /** `[node id, host, port]` */
  readonly brokers: readonly (readonly [number, string, number])[]
  readonly topics?: readonly FakeTopic[]
  readonly error?: number
  readonly clusterId?: string
  readonly throttleTimeMs?: number
}

/** Versions 7 (int32 counts, no tags) and 12 and 13 (compact, topic ids), which differ most. */
export function readMetadataRequest({ bytes: frame, apiVersion: version }: ReceivedFrame): AskedMetadata {
  const isFlexible = version >= 9
  let at = 8
  const int16 = (): number => frame.readInt16BE((at += 2) - 2)
  const varint = (): number => {
    const first = frame[at++]!
    return first < 128 ? first : first - 128 + 128 * frame[at++]!
  }
  const string = (): string => {
    const length = isFlexible ? varint() - 1 : int16()
    return frame.toString('utf8', at, (at += length))
  }
  const clientIdLength = int16()
  at += clientIdLength
  if (isFlexible) at++
  let count: number
  if (isFlexible) count = varint() - 1
  else count = frame.readInt32BE((at += 4) - 4)
  const names = Array.from({ length: Math.max(0, count) }, () => {
    if (version >= 10) at += 16
    const name = string()
    if (isFlexible) at++
    return name
  })
  return { version, names: count === -1 ? null : names, allowAutoTopicCreation: frame[at] === 1 }
}

export function metadataBody(version: number, answer: FakeMetadata): ByteBuilder {
  const isFlexible = version >= 9
  const body = bytes()
  const count = (length: number) => (isFlexible ? body.compactCount(length) : body.int32(length))
  const string = (text: string | null) => (isFlexible ? body.compactString(text) : body.string(text))
  const nodes = (ids: readonly number[]) => {
    count(ids.length)
    for (const id of ids) body.int32(id)
  }
  const tags = () => (isFlexible ? body.noTags() : body)

  tags()
  body.int32(answer.throttleTimeMs ?? 0)
  count(answer.brokers.length)
  for (const [nodeId, host, port] of answer.brokers) {
    body.int32(nodeId)
    string(host)
    body.int32(port)
    string(null)
    tags()
  }
  string(answer.clusterId ?? 'a cluster')
  body.int32(answer.brokers[0]?.[0] ?? -1)
  count(answer.topics?.length ?? 0)
  for (const topic of answer.topics ?? []) {
    body.int16(topic.error ?? 0)
    string(topic.name)
    if (version >= 10) body.fill(topic.id ?? 0, 16)
    body.boolean(topic.isInternal ?? false)
    count(topic.partitions?.length ?? 0)
    for (const [place, partition] of (topic.partitions ?? []).entries()) {
      body.int16(partition.error ?? 0).int32(partition.index ?? place)
      body.int32(partition.leader).int32(partition.epoch ?? -1)
      nodes([1, 2])
      nodes(partition.inSyncReplicas ?? [1, 2])
      nodes([])
      tags()
    }
    if (version >= 8) body.int32(-2_147_483_648)
    tags()
  }
  if (version >= 8 && version <= 10) body.int32(-2_147_483_648)
  if (version >= 13) body.int16(answer.error ?? 0)
  return tags()
}
