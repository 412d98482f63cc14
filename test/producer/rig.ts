// What a batch needs around it, without a producer: regions, generations, a checksum that is not ours, and topics as the cluster would
// describe them. From: the tests of the accumulator and its parts.
import portableCrc32c from 'crc-32/crc32c.js'
import type { TopicMetadata } from '../../src/net/topics.ts'
import type { Region } from '../../src/producer/arena.ts'
import { Batch, type Checksum } from '../../src/producer/batch.ts'
import type { Generation } from '../../src/producer/generations.ts'
import type { Field, FlatHeaders } from '../../src/producer/record-encoder.ts'
import { SLOT_NOBODY, type SlotKind, Slots } from '../../src/producer/slots.ts'

export const generationOf = (number = 1): Generation => ({ number, outstanding: 0 })

/** The portable package's CRC-32C, bytewise, in place of the kernel. */
export const portableChecksum: Checksum = {
  checksum: (bytes, start, end) => portableCrc32c.buf(bytes.subarray(start, end)) >>> 0,
}

/** A region of its own, with other people's bytes around it: `isIntact` says whether they are still there. */
export function regionOf(capacity: number, start = 128): Region & { isIntact(): boolean } {
  const canary = 0xa5
  const buffer = Buffer.alloc(start + capacity + 64, canary)
  return {
    buffer,
    start,
    capacity,
    pins: 0,
    isReleased: false,
    sizeClass: -1,
    isIntact: () =>
      buffer.subarray(0, start).every((byte) => byte === canary) &&
      buffer.subarray(start + capacity).every((byte) => byte === canary),
  }
}

export interface BatchGiven {
  readonly state?: 'staged' | 'open'
  readonly topicName?: string
  readonly partitionIndex?: number
  readonly region?: Region
  readonly batchBytes?: number
  readonly slots?: Slots
  readonly createdAt?: number
  readonly deadlineAt?: number
  readonly generation?: Generation
}

export function batchOf(given: BatchGiven = {}): Batch {
  const region = given.region ?? regionOf(65_536)
  return new Batch(
    given.state ?? 'open',
    given.topicName ?? 'orders',
    given.partitionIndex ?? 3,
    region,
    given.batchBytes ?? region.capacity,
    given.slots ?? new Slots(),
    given.createdAt ?? 1_000,
    given.deadlineAt ?? 121_000,
    given.generation ?? generationOf(),
  )
}

export interface RecordGiven {
  readonly timestamp: number
  readonly key: Field
  readonly value: Field
  readonly headers?: FlatHeaders | null
}

export function append(
  batch: Batch,
  { timestamp, key, value, headers = null }: RecordGiven,
  kind: SlotKind = SLOT_NOBODY,
  first: unknown = undefined,
  second: unknown = undefined,
): void {
  batch.append(timestamp, key, value, headers, kind, first, second)
}

/** A topic as the cluster describes it: each partition led by the node with the same number, or by those in `leaders` (-1: none). */
export function metadataOf(name: string, partitionCount: number, leaders?: readonly number[]): TopicMetadata {
  return {
    name,
    topicId: new Uint8Array(16),
    hasTopicId: false,
    errorCode: 0,
    isInternal: false,
    partitions: Array.from({ length: partitionCount }, (_, partition) => ({
      partition,
      leader: leaders?.[partition] ?? partition,
      leaderEpoch: 0,
      replicas: [partition],
      inSyncReplicas: [partition],
      offlineReplicas: [],
      errorCode: 0,
    })),
  }
}

/** A seeded generator (mulberry32) in place of `Math.random`. */
export function seeded(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0
    let bits = Math.imul(seed ^ (seed >>> 15), seed | 1)
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61)
    return ((bits ^ (bits >>> 14)) >>> 0) / 0x1_0000_0000
  }
}
