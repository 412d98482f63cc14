// The accumulator: a record becomes bytes here, in the caller's turn, in the open batch of its partition. It opens and closes batches,
// grows their regions, and keeps the sum of all regions within `bufferMemory`.
// From: producer.ts and line.ts, with a record that is serialized and checked. To: sender.ts, which drains what is due.
//
// Nothing here seals, compresses or writes to a socket, and nothing calls user code but a partitioner of the user's own, which comes
// before any byte moves: a `send` from inside it finds every batch whole.

import type { KafkaError } from '../errors.ts'
import { RECORDS_AT } from '../protocol/record-batch.ts'
import type { Arena, Region } from './arena.ts'
import { Batch } from './batch.ts'
import { Choice } from './choice.ts'
import type { Generation } from './generations.ts'
import type { Partition } from './partition.ts'
import type { Partitioner } from './partitioner.ts'
import { type Field, type FlatHeaders, recordBytesBound, recordBytesMax } from './record-encoder.ts'
import type { SlotKind, SlotsPool } from './slots.ts'
import { Staging } from './staging.ts'
import { Topic } from './topic.ts'

export interface AccumulatorOptions {
  readonly batchSize: number
  readonly deliveryTimeoutMs: number
  readonly maxBlockMs: number
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

// How far growing batches may pass `bufferMemory` while records move into them (the batch that these leave still counts): an eighth.
const MOVING_SHARE = 1 / 8
// Below this, records that find no room as they move share a smallest region; larger ones get what they take and no more.
const SHARING_BYTES = 512

export class Accumulator {
  readonly topics = new Map<string, Topic>()
  readonly arena: Arena
  /** A record found no room: open batches are due until some comes back. */
  isUnderPressure = false
  /** Not settled, in the order they were opened. */
  readonly unsettled = new Set<Batch>()

  readonly #options: AccumulatorOptions
  readonly #pool: SlotsPool
  readonly #random: () => number
  readonly #hooks: AccumulatorHooks
  readonly #choice: Choice
  readonly #staging: Staging
  readonly #batchBytesMax: number
  #order = 0
  #lastTopic: Topic | null = null

  constructor(
    options: AccumulatorOptions,
    arena: Arena,
    pool: SlotsPool,
    random: () => number,
    hooks: AccumulatorHooks,
  ) {
    this.#options = options
    this.arena = arena
    this.#pool = pool
    this.#random = random
    this.#hooks = hooks
    this.#choice = new Choice(options)
    this.#staging = new Staging(this, this.#choice, options.isIdempotent, hooks)
    this.#batchBytesMax = Math.max(1, options.batchSize)
  }

  topic(name: string): Topic {
    const last = this.#lastTopic
    if (last !== null && last.name === name) return last
    let topic = this.topics.get(name)
    if (topic === undefined) {
      topic = new Topic(name, this.#choice.newKeyless(this.#batchBytesMax, this.#random), this.#batchBytesMax)
      this.topics.set(name, topic)
    }
    this.#lastTopic = topic
    return topic
  }

  forget(topic: Topic): void {
    this.topics.delete(topic.name)
    if (this.#lastTopic === topic) this.#lastTopic = null
  }

  /**
   * Asks a partitioner of the user's own, which is asked once for each record: before anything else is done with it, or, when the topic is
   * not known yet, by whoever holds the record until it is. -1: there is no such partitioner, or it is too early.
   *
   * @throws PARTITIONER_FAILED
   */
  choosePartition(topicName: string, key: Field, record: unknown): number {
    if (!this.#choice.wantsRecord) return -1
    const topic = this.topics.get(topicName)
    return topic === undefined || topic.metadata === null ? -1 : this.#choice.keyed(topic, key, record)
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
    if (topic.metadata === null || topic.isUnstaging) {
      return this.#staging.add(
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
        index = this.#choice.keyed(topic, key, record)
      } catch (error) {
        this.#hooks.onRefused(kind, first, second, error as KafkaError, generation)
        return true
      }
      if (index < 0) {
        isKeyless = true
        index = this.#choice.keyless(topic)
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
    if (this.fits(batch, bytes, partition.topic, generation, now, false)) return true
    this.closeOpen(partition)
    return false
  }

  /** The batch takes `bytes` more, growing if it must; only records that move may pass the bound for that, and not by much. */
  fits(batch: Batch, bytes: number, topic: Topic, generation: Generation, now: number, mayPassBound: boolean): boolean {
    if (batch.generation !== generation || this.#isAged(batch, now)) return false
    if (batch.pos + bytes <= batch.limit) return true
    const needed = batch.byteLength + bytes
    return needed <= topic.batchBytesMax && this.#grow(batch, needed, mayPassBound)
  }

  /** Whether its deadline is not this record's: too early for it, or (it was handed over first, behind a `sendMany`) too late. */
  #isAged(batch: Batch, createdAt: number): boolean {
    const ageMs = createdAt - batch.createdAt
    return ageMs > batch.ageMaxMs || ageMs < 0
  }

  /** Growth never waits: a batch that cannot grow is full. */
  #grow(batch: Batch, needed: number, mayPassBound: boolean): boolean {
    if (!this.arena.hasRoomFor(needed, mayPassBound ? this.arena.limit * MOVING_SHARE : 0)) return false
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
    // The last batch may have been one record larger than batchSize: that says nothing about the next.
    const sizeHint = Math.min(partition.sizeHint, partition.topic.batchBytesMax)
    const region = this.#takeRegion(RECORDS_AT + bytes, sizeHint)
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
    if (partition.missingSince > 0) batch.ageMaxMs = this.#waitingAgeMaxMs
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
    // Its oldest record decides when all of them expire.
    batch.ageMaxMs = state === 'staged' ? this.#waitingAgeMaxMs : this.#options.deliveryTimeoutMs / 10
    this.unsettled.add(batch)
    return batch
  }

  /** Of a batch that waits for metadata. */
  get #waitingAgeMaxMs(): number {
    const { deliveryTimeoutMs, maxBlockMs } = this.#options
    return Math.min(deliveryTimeoutMs, maxBlockMs) / 10
  }

  /** A region for `needed` bytes, of the size that the partition's last batch had if there is room for that. */
  #takeRegion(needed: number, sizeHint: number): Region | null {
    if (sizeHint > needed && this.arena.hasRoomFor(sizeHint)) return this.arena.take(sizeHint)
    return this.arena.hasRoomFor(needed) ? this.arena.take(needed) : null
  }

  // ── Topics without metadata ─────────────────────────────────────────────────────────────────────────────────────────

  /** A batch without a partition, with room for a record of so many bytes; null: there is no room. */
  openStaged(topic: Topic, bytes: number, generation: Generation, createdAt: number): Batch | null {
    const needed = RECORDS_AT + bytes
    const region = this.#takeRegion(needed, 0)
    if (region === null) {
      this.isUnderPressure = true
      return null
    }
    return this.#newBatch('staged', topic, -1, region, needed, generation, createdAt)
  }

  /** The topic is known now: its staged records go to their partitions. */
  unstage(topic: Topic): void {
    this.#staging.unstage(topic)
  }

  // ── Moved records, and the ends of batches ──────────────────────────────────────────────────────────────────────────

  /** An open batch with room for a record that another batch gives up; it may pass `bufferMemory`, for as long as that one still counts. */
  openForMoved(partition: Partition, bytes: number, source: Batch): Batch {
    const { open, topic } = partition
    if (open !== null) {
      if (this.fits(open, bytes, topic, source.generation, source.createdAt, true)) return open
      this.closeOpen(partition)
    }
    const needed = RECORDS_AT + bytes
    const isExact = needed > SHARING_BYTES && !this.arena.hasRoomFor(needed)
    const region = isExact ? this.arena.takeFromHeap(needed) : this.arena.take(needed)
    const batch = this.#openIn(region, partition, needed, source.generation, source.createdAt)
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
    // Exactly so large: a piece of the arena would be up to four times that, for each of the children.
    const region = this.arena.takeFromHeap(capacity)
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
    // Its records have been sent before: the metrics count them once.
    child.lastAttemptAt = source.lastAttemptAt
    this.unsettled.add(child)
    return child
  }
}
