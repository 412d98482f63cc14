// The accumulator: a record becomes bytes here, in the caller's turn, in the open batch of its partition. It opens and closes batches,
// grows their regions, and keeps the sum of all regions within `bufferMemory`.
// From: producer.ts and line.ts, with a record that is serialized and checked. To: sender.ts, which drains what is due.
//
// Nothing here seals, compresses or writes to a socket, and nothing calls user code but a partitioner of the user's own, which comes
// before any byte moves: a `send` from inside it finds every batch whole.

import type { Clock } from '../clock.ts'
import type { KafkaError } from '../errors.ts'
import { RECORDS_AT } from '../protocol/record-batch.ts'
import type { Arena, Region } from './arena.ts'
import { Batch } from './batch.ts'
import type { Generation } from './generations.ts'
import { murmur2, murmur2Ascii, NOT_ASCII } from './murmur2.ts'
import type { Partition } from './partition.ts'
import {
  askPartitioner,
  consistentKeyed,
  javaKeyed,
  type KeylessPartitioner,
  keyDecides,
  keylessPartitioner,
  type Partitioner,
  type PartitionerName,
} from './partitioner.ts'
import { type Field, type FlatHeaders, recordBytesBound, recordBytesMax } from './record-encoder.ts'
import { type RecordView, recut } from './recut.ts'
import type { SlotKind, SlotsPool } from './slots.ts'
import { type Staged, Topic } from './topic.ts'
import type { PartitionInfo } from './types.ts'

export interface AccumulatorOptions {
  readonly batchSize: number
  readonly deliveryTimeoutMs: number
  readonly partitioner: Partitioner
  readonly partitionerIgnoreKeys: boolean
  readonly isIdempotent: boolean
}

/** What the accumulator tells the rest of the producer. */
export interface AccumulatorHooks {
  /** A batch was opened: its deadline counts from now on. */
  onOpened(batch: Batch): void
  /** The partition has something to send. */
  onDue(partition: Partition): void
  /** A topic that is not known: fetch its metadata. */
  onUnknownTopic(topic: Topic): void
  /** A record cannot go where it wants to: it settles with this error, at once. */
  onRefused(kind: SlotKind, first: unknown, second: unknown, error: KafkaError, generation: Generation): void
}

const NO_BYTES = Buffer.alloc(0)

export class Accumulator {
  readonly topics = new Map<string, Topic>()
  readonly arena: Arena
  /** A record found no room: open batches are due until some comes back. */
  isUnderPressure = false
  /** Not settled, in the order they were opened. */
  readonly unsettled = new Set<Batch>()

  readonly #options: AccumulatorOptions
  readonly #pool: SlotsPool
  readonly #clock: Clock
  readonly #random: () => number
  readonly #hooks: AccumulatorHooks
  readonly #batchBytesMax: number
  readonly #batchAgeMaxMs: number
  #order = 0
  #lastTopic: Topic | null = null

  constructor(
    options: AccumulatorOptions,
    arena: Arena,
    pool: SlotsPool,
    clock: Clock,
    random: () => number,
    hooks: AccumulatorHooks,
  ) {
    this.#options = options
    this.arena = arena
    this.#pool = pool
    this.#clock = clock
    this.#random = random
    this.#hooks = hooks
    this.#batchBytesMax = Math.max(1, options.batchSize)
    // An open batch that nobody can drain takes no records of very different age: its oldest decides when all of them expire.
    this.#batchAgeMaxMs = options.deliveryTimeoutMs / 10
  }

  topic(name: string): Topic {
    const last = this.#lastTopic
    if (last !== null && last.name === name) return last
    let topic = this.topics.get(name)
    if (topic === undefined) {
      topic = new Topic(name, this.#keylessPartitioner(), this.#batchBytesMax)
      this.topics.set(name, topic)
    }
    this.#lastTopic = topic
    return topic
  }

  forget(topic: Topic): void {
    this.topics.delete(topic.name)
    if (this.#lastTopic === topic) this.#lastTopic = null
  }

  #keylessPartitioner(): KeylessPartitioner {
    const { partitioner } = this.#options
    return keylessPartitioner(typeof partitioner === 'string' ? partitioner : 'java', this.#batchBytesMax, this.#random)
  }

  /**
   * Takes a record into a batch; false: there is no room. A record whose partitioner fails is refused through the hook and counts as
   * taken. `createdAt` is when it was handed to `send`, on the monotonic clock.
   */
  add(
    topic: Topic,
    explicitPartition: number,
    key: Field,
    value: Field,
    headers: FlatHeaders | null,
    timestamp: number,
    record: unknown,
    kind: SlotKind,
    first: unknown,
    second: unknown,
    generation: Generation,
    createdAt: number,
  ): boolean {
    if (topic.metadata === null) {
      return this.#stage(
        topic,
        explicitPartition,
        key,
        value,
        headers,
        timestamp,
        record,
        kind,
        first,
        second,
        generation,
        createdAt,
      )
    }
    const bytesMax = recordBytesMax(key, value, headers)
    let isKeyless = false
    let index = explicitPartition
    if (index < 0) {
      try {
        index = this.#keyedPartition(topic, key, record)
      } catch (error) {
        this.#hooks.onRefused(kind, first, second, error as KafkaError, generation)
        return true
      }
      if (index < 0) {
        isKeyless = true
        index = this.#keylessPartition(topic)
      }
    }
    let partition = topic.partitions[index] ?? topic.partitionFor(index, createdAt, this.#options.isIdempotent)
    let batch = partition.open
    // The usual case: the open batch has room even if every character takes three bytes.
    if (
      batch === null ||
      batch.pos + bytesMax > batch.limit ||
      batch.generation !== generation ||
      this.#isAged(batch, createdAt)
    ) {
      const bytes = recordBytesBound(key, value, headers)
      if (!this.#makeRoom(partition, bytes, generation, createdAt)) {
        if (isKeyless) {
          topic.keyless.onBoundary()
          const other = topic.partitions[topic.keyless.current()]!
          if (other !== partition) {
            partition = other
            if (this.#makeRoom(partition, bytes, generation, createdAt)) batch = partition.open
          }
        }
        if (partition.open === null && !this.#open(partition, bytes, generation, createdAt)) {
          this.isUnderPressure = true
          return false
        }
      }
      batch = partition.open!
    }
    const before = batch.pos
    batch.append(timestamp, key, value, headers, kind, first, second)
    if (isKeyless) topic.keyless.onAppended(batch.pos - before + (batch.count === 1 ? RECORDS_AT : 0), false)
    return true
  }

  /** The open batch takes `bytes` more, growing if it must; false: there is none (any more). */
  #makeRoom(partition: Partition, bytes: number, generation: Generation, now: number): boolean {
    const batch = partition.open
    if (batch === null) return false
    if (batch.generation === generation && !this.#isAged(batch, now)) {
      if (batch.pos + bytes <= batch.limit) return true
      const needed = batch.byteLength + bytes
      if (needed <= partition.topic.batchBytesMax && this.#grow(batch, needed, false)) return true
    }
    this.closeOpen(partition)
    return false
  }

  #isAged(batch: Batch, now: number): boolean {
    return now - batch.createdAt > this.#batchAgeMaxMs
  }

  /** Growth never waits: a batch that cannot grow is full. Only `recut` may pass the bound. */
  #grow(batch: Batch, needed: number, mayPassBound: boolean): boolean {
    if (!mayPassBound && !this.arena.hasRoomFor(needed)) return false
    const region = this.arena.take(needed)
    this.arena.release(batch.moveTo(region, this.#limitOf(batch, needed)))
    return true
  }

  #limitOf(batch: Batch, needed: number): number {
    return Math.max(needed, this.topics.get(batch.topicName)?.batchBytesMax ?? this.#batchBytesMax)
  }

  closeOpen(partition: Partition): void {
    if (partition.open === null) return
    partition.closeOpen()
    this.#hooks.onDue(partition)
  }

  #open(partition: Partition, bytes: number, generation: Generation, now: number): boolean {
    const region = this.#takeRegion(RECORDS_AT + bytes, partition.sizeHint)
    if (region === null) return false
    this.#openIn(region, partition, RECORDS_AT + bytes, generation, now)
    this.#hooks.onDue(partition)
    return true
  }

  #openIn(region: Region, partition: Partition, needed: number, generation: Generation, createdAt: number): Batch {
    const { topic } = partition
    const batch = this.#newBatch('open', topic, partition.index, region, needed, generation, createdAt)
    batch.order = ++this.#order
    batch.partition = partition
    partition.open = batch
    this.#hooks.onOpened(batch)
    return batch
  }

  #newBatch(
    state: 'open' | 'staged',
    topic: Topic,
    index: number,
    region: Region,
    needed: number,
    generation: Generation,
    createdAt: number,
  ): Batch {
    const batch = new Batch(
      state,
      topic.name,
      index,
      region,
      Math.max(needed, topic.batchBytesMax),
      this.#pool.take(),
      createdAt,
      createdAt + this.#options.deliveryTimeoutMs,
      generation,
    )
    this.unsettled.add(batch)
    return batch
  }

  /** A region for `needed` bytes, of the size that the partition's last batch had if there is room for that. */
  #takeRegion(needed: number, sizeHint: number): Region | null {
    if (sizeHint > needed && this.arena.hasRoomFor(sizeHint)) return this.arena.take(sizeHint)
    return this.arena.hasRoomFor(needed) ? this.arena.take(needed) : null
  }

  // ── Choosing the partition ──────────────────────────────────────────────────────────────────────────────────────────

  /** -1: the key says nothing. Throws `PARTITIONER_FAILED`. */
  #keyedPartition(topic: Topic, key: Field, record: unknown): number {
    const { partitioner, partitionerIgnoreKeys } = this.#options
    const count = topic.partitions.length
    if (partitioner === 'java') {
      if (key === null || partitionerIgnoreKeys) return -1
      if (typeof key !== 'string') return javaKeyed(murmur2(key), count)
      const hash = murmur2Ascii(key)
      return javaKeyed(hash === NOT_ASCII ? murmur2(Buffer.from(key, 'utf8')) : hash, count)
    }
    const bytes = key === null ? null : typeof key === 'string' ? Buffer.from(key, 'utf8') : key
    return this.#otherPartition(partitioner, topic, bytes, record)
  }

  #otherPartition(
    partitioner: Exclude<Partitioner, 'java'>,
    topic: Topic,
    key: Uint8Array | null,
    record: unknown,
  ): number {
    if (typeof partitioner !== 'string') {
      // A copy: what the user's function keeps must not change when the caller reuses its buffer.
      const copy = key === null ? null : Uint8Array.prototype.slice.call(key)
      return askPartitioner(partitioner, topic.name, copy, record, partitionInfos(topic))
    }
    if (key === null || !keyDecides(partitioner, key.length, this.#options.partitionerIgnoreKeys)) return -1
    return consistentKeyed(key, topic.partitions.length)
  }

  #keylessPartition(topic: Topic): number {
    topic.isKeylessUsed = true
    const index = topic.keyless.current()
    if (topic.partitions[index]?.open !== null) {
      topic.keyless.onBoundary()
      return topic.keyless.current()
    }
    return index
  }

  // ── Topics without metadata ─────────────────────────────────────────────────────────────────────────────────────────

  #stage(
    topic: Topic,
    explicitPartition: number,
    key: Field,
    value: Field,
    headers: FlatHeaders | null,
    timestamp: number,
    record: unknown,
    kind: SlotKind,
    first: unknown,
    second: unknown,
    generation: Generation,
    createdAt: number,
  ): boolean {
    const bytes = recordBytesBound(key, value, headers)
    let staged = topic.staged[topic.staged.length - 1]
    if (staged === undefined || !this.#fitsStaged(staged, bytes, topic, generation, createdAt)) {
      const needed = RECORDS_AT + bytes
      const region = this.#takeRegion(needed, 0)
      if (region === null) {
        this.isUnderPressure = true
        return false
      }
      const batch = this.#newBatch('staged', topic, -1, region, needed, generation, createdAt)
      staged = { batch, partitions: [], records: typeof this.#options.partitioner === 'function' ? [] : null }
      const isFirst = topic.staged.length === 0
      topic.staged.push(staged)
      this.#hooks.onOpened(batch)
      if (isFirst) this.#hooks.onUnknownTopic(topic)
    }
    staged.batch.append(timestamp, key, value, headers, kind, first, second)
    staged.partitions.push(explicitPartition)
    staged.records?.push(record)
    return true
  }

  #fitsStaged({ batch }: Staged, bytes: number, topic: Topic, generation: Generation, now: number): boolean {
    if (batch.generation !== generation || this.#isAged(batch, now)) return false
    if (batch.pos + bytes <= batch.limit) return true
    const needed = batch.byteLength + bytes
    return needed <= topic.batchBytesMax && this.#grow(batch, needed, false)
  }

  /** The topic is known now: its staged records go to their partitions, in the order they came. */
  unstage(topic: Topic): void {
    const all = topic.staged
    topic.staged = []
    for (const staged of all) {
      const { batch } = staged
      if (batch.settlement !== null) continue
      recut(batch, (view) => this.#placeStaged(topic, staged, view))
      this.dissolve(batch)
    }
  }

  #placeStaged(topic: Topic, { batch, partitions, records }: Staged, view: RecordView): void {
    const { slots } = batch
    let index = partitions[view.index]!
    let isKeyless = false
    if (index < 0) {
      try {
        index = this.#stagedPartition(topic, batch, view, records?.[view.index])
      } catch (error) {
        const { index: at } = view
        this.#hooks.onRefused(
          slots.takeKind(at),
          slots.first[at],
          slots.second[at],
          error as KafkaError,
          batch.generation,
        )
        slots.first[at] = undefined
        slots.second[at] = undefined
        return
      }
      if (index < 0) {
        isKeyless = true
        index = this.#keylessPartition(topic)
      }
    }
    const partition = topic.partitionFor(index, this.#clock.now(), this.#options.isIdempotent)
    // The record's new deltas may take more bytes than its old ones, never more than this.
    const bytes = view.end - view.restStart + 21
    const target = this.openForMoved(partition, bytes, batch)
    const before = target.pos
    target.appendEncoded(batch, view.index, view.restStart, view.end)
    if (isKeyless) topic.keyless.onAppended(target.pos - before + (target.count === 1 ? RECORDS_AT : 0), false)
  }

  #stagedPartition(topic: Topic, batch: Batch, view: RecordView, record: unknown): number {
    const { partitioner, partitionerIgnoreKeys } = this.#options
    const { buffer } = batch.region!
    if (partitioner === 'java') {
      if (view.keyStart < 0 || partitionerIgnoreKeys) return -1
      return javaKeyed(murmur2(buffer, view.keyStart, view.keyEnd), topic.partitions.length)
    }
    const key =
      view.keyStart < 0 ? null : view.keyStart === view.keyEnd ? NO_BYTES : buffer.subarray(view.keyStart, view.keyEnd)
    return this.#otherPartition(partitioner as Exclude<PartitionerName, 'java'>, topic, key, record)
  }

  /** An open batch with room for a record that another batch gives up; it may pass `bufferMemory`, for as long as that one still counts. */
  openForMoved(partition: Partition, bytes: number, source: Batch): Batch {
    const open = partition.open
    if (open !== null) {
      const needed = open.byteLength + bytes
      if (open.generation === source.generation && !this.#isAged(open, source.createdAt)) {
        if (open.pos + bytes <= open.limit) return open
        if (needed <= partition.topic.batchBytesMax && this.#grow(open, needed, true)) return open
      }
      this.closeOpen(partition)
    }
    const needed = RECORDS_AT + bytes
    const batch = this.#openIn(this.arena.take(needed), partition, needed, source.generation, source.createdAt)
    this.#hooks.onDue(partition)
    return batch
  }

  /** A batch whose records have all moved on: it settles nobody. */
  dissolve(batch: Batch): void {
    batch.state = 'settled'
    this.unsettled.delete(batch)
    this.releaseRegion(batch)
    this.#pool.give(batch.slots)
  }

  releaseRegion(batch: Batch): void {
    if (batch.region === null) return
    this.arena.release(batch.region)
    batch.region = null
  }

  /** A region of its own for a batch whose bytes must change while somebody may still read the old ones. */
  copyRegion(batch: Batch): void {
    const bytes = batch.byteLength
    this.arena.release(batch.moveTo(this.arena.take(bytes), bytes))
  }

  /** An empty batch beside the queue, for the children of a split; same deadline, generation and region of its own. */
  emptyLike(source: Batch, capacity: number): Batch {
    const region = this.arena.take(capacity)
    const child = new Batch(
      'open',
      source.topicName,
      source.partitionIndex,
      region,
      capacity,
      this.#pool.take(),
      source.createdAt,
      source.deadlineAt,
      source.generation,
    )
    child.partition = source.partition
    this.unsettled.add(child)
    return child
  }
}

/** The partitions of a topic as its users see them. */
export function partitionInfos(topic: Topic): readonly PartitionInfo[] {
  topic.infos ??= (topic.metadata?.partitions ?? []).map((partition) => ({
    topic: topic.name,
    partition: partition.partition,
    leader: partition.leader,
    replicas: partition.replicas,
    inSyncReplicas: partition.inSyncReplicas,
    offlineReplicas: partition.offlineReplicas,
  }))
  return topic.infos
}
