// What a batch needs around it, without a producer: regions, generations, a checksum that is not ours, and topics as the cluster would
// describe them. From: the tests of the accumulator and its parts.
import portableCrc32c from 'crc-32/crc32c.js'
import type { KafkaError } from '../../src/errors.ts'
import type { Lane } from '../../src/net/lane.ts'
import type { TopicMetadata } from '../../src/net/topics.ts'
import { Accumulator, type AccumulatorOptions } from '../../src/producer/accumulator.ts'
import { Arena, type Region } from '../../src/producer/arena.ts'
import { Batch, type Checksum } from '../../src/producer/batch.ts'
import type { Generation } from '../../src/producer/generations.ts'
import { Leaders } from '../../src/producer/leaders.ts'
import type { Partition } from '../../src/producer/partition.ts'
import type { Field, FlatHeaders } from '../../src/producer/record-encoder.ts'
import { SenderLane } from '../../src/producer/sender-lane.ts'
import { SLOT_NOBODY, type SlotKind, Slots, SlotsPool } from '../../src/producer/slots.ts'
import type { Topic } from '../../src/producer/topic.ts'
import { decodeRecordBatches } from '../../src/protocol/record-batch.ts'
import { FakeClock } from '../support/fake-clock.ts'

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

// ── An accumulator, with what it would be told by the cluster and what it tells ─────────────────────────────────────────

export interface AddGiven {
  readonly topic?: string
  readonly partition?: number
  readonly key?: Field
  readonly value?: Field
  readonly headers?: FlatHeaders | null
  readonly timestamp?: number
  readonly record?: unknown
  readonly kind?: SlotKind
  readonly first?: unknown
  readonly second?: unknown
  readonly generation?: Generation
  readonly createdAt?: number
}

export interface Refused {
  readonly kind: SlotKind
  readonly first: unknown
  readonly second: unknown
  readonly error: KafkaError
  readonly generation: Generation
}

export class AccumulatorRig {
  readonly clock = new FakeClock()
  readonly arena: Arena
  readonly accumulator: Accumulator
  readonly leaders: Leaders
  readonly generation = generationOf()
  readonly bufferMemory: number
  readonly opened: Batch[] = []
  readonly due: Partition[] = []
  readonly unknown: Topic[] = []
  readonly refused: Refused[] = []

  constructor(options: Partial<AccumulatorOptions & { bufferMemory: number; random: () => number }> = {}) {
    const { bufferMemory = 8 * 1_048_576, random = seeded(1), ...others } = options
    const all: AccumulatorOptions = {
      batchSize: 65_536,
      deliveryTimeoutMs: 120_000,
      maxBlockMs: 60_000,
      partitioner: 'java',
      partitionerIgnoreKeys: false,
      isIdempotent: true,
      ...others,
    }
    this.bufferMemory = bufferMemory
    this.arena = new Arena(Buffer.alloc(bufferMemory), bufferMemory, all.batchSize, () => {})
    this.accumulator = new Accumulator(all, this.arena, new SlotsPool(), random, {
      onOpened: (batch) => this.opened.push(batch),
      onDue: (partition) => this.due.push(partition),
      onUnknownTopic: (topic) => this.unknown.push(topic),
      onRefused: (kind, first, second, error, generation) =>
        this.refused.push({ kind, first, second, error, generation }),
    })
    const lanes = new Map<number, SenderLane>()
    this.leaders = new Leaders(this.accumulator, all.isIdempotent, {
      laneOf: (nodeId) => {
        const lane = lanes.get(nodeId) ?? new SenderLane({} as Lane)
        lanes.set(nodeId, lane)
        return lane
      },
      onDrainable: () => {},
    })
  }

  /** The cluster describes the topic: so many partitions, each with a leader unless `leaders` says -1. */
  describe(name: string, partitionCount: number, leaders?: readonly number[]): Topic {
    const topic = this.accumulator.topic(name)
    this.leaders.update(topic, metadataOf(name, partitionCount, leaders), this.clock.now())
    return topic
  }

  add(given: AddGiven = {}): boolean {
    return this.accumulator.add(
      this.accumulator.topic(given.topic ?? 'orders'),
      given.partition ?? -1,
      given.key ?? null,
      given.value === undefined ? 'a value' : given.value,
      given.headers ?? null,
      given.timestamp ?? 1_700_000_000_000,
      given.record ?? null,
      given.kind ?? SLOT_NOBODY,
      given.first,
      given.second,
      given.generation ?? this.generation,
      given.createdAt ?? this.clock.now(),
    )
  }

  /** Of one partition, oldest first, the open one last. */
  batches(topic: Topic, index: number): Batch[] {
    const partition = topic.partitions[index] ?? topic.missing.get(index)
    if (partition === undefined) return []
    return partition.open === null ? [...partition.ready] : [...partition.ready, partition.open]
  }

  /** The values in the log of one partition, were all its batches sent now. */
  values(topic: Topic, index: number): string[] {
    return this.batches(topic, index).flatMap((batch) => valuesOf(batch))
  }

  /** The broker has taken a closed batch: its memory comes back. */
  deliver(batch: Batch): void {
    batch.partition!.remove(batch)
    this.accumulator.dissolve(batch)
  }
}

export function valuesOf(batch: Batch): string[] {
  return recordsOf(batch).map(({ value }) => String(value && Buffer.from(value).toString('utf8')))
}

/** What a broker reads in the batch, by the plain decoder. */
export function recordsOf(batch: Batch) {
  batch.seal(portableChecksum)
  return decodeRecordBatches(Uint8Array.from(batch.bytes()))[0]!.records!
}
