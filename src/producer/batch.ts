// One batch: records of one partition on their way to one answer. It is the only place where a record settles.
// From: accumulator.ts, which appends records to it; sender.ts, which has it sealed and tells it its outcome; recut.ts, which makes new
// ones of it. To: settle-queue.ts, which calls back for each record.
//
//   staged (no partition) ─ metadata ─► recut          open ─ full, due, flushed, aged ─► ready ─ drained ─► flying ─ answer ─► settled
//   flying ─ retriable, lost ─► ready                                          flying ─ deadline ─► ghost ─ answer, close ─► gone
//
// Bytes and fate are two things: a record settles on time while a socket may still read its bytes. So the region has its own life.

import { type KafkaError, kafkaError } from '../errors.ts'
import {
  ATTRIBUTES_AT,
  BASE_OFFSET_AT,
  BASE_SEQUENCE_AT,
  BASE_TIMESTAMP_AT,
  BATCH_LENGTH_AT,
  CRC_AT,
  LAST_OFFSET_DELTA_AT,
  MAGIC_AT,
  MAX_TIMESTAMP_AT,
  PARTITION_LEADER_EPOCH_AT,
  PRODUCER_EPOCH_AT,
  PRODUCER_ID_AT,
  RECORD_COUNT_AT,
  RECORDS_AT,
} from '../protocol/record-batch.ts'
import type { Region } from './arena.ts'
import type { Generation } from './generations.ts'
import type { Partition } from './partition.ts'
import {
  copyRecord,
  type Field,
  type FlatHeaders,
  writeRecord,
  writtenKeyBytes,
  writtenValueBytes,
} from './record-encoder.ts'
import type { Identity } from './sequences.ts'
import { SLOT_CALLBACK, SLOT_GONE, SLOT_GROUP, SLOT_NOBODY, SLOT_PROMISE, type SlotKind, type Slots } from './slots.ts'
import type { DeliveryCallback, RecordMetadata } from './types.ts'

export type BatchState = 'staged' | 'open' | 'ready' | 'flying' | 'ghost' | 'settled'

/** How all records of a batch end. */
export type Settlement =
  | { readonly kind: 'delivered'; readonly baseOffset: number; readonly logAppendTimeMs: number }
  | { readonly kind: 'failed'; readonly error: KafkaError }

/** One promise for many records (`sendMany`, `writable`): told of each record by its index. */
export interface SlotGroup {
  settled(index: number, error: KafkaError | null, metadata: RecordMetadata | null): void
}

/** The checksum over a part of a buffer; the kernel of protocol/crc32c.ts. */
export interface Checksum {
  checksum(bytes: Uint8Array, start: number, end: number): number
}

export class Batch {
  state: BatchState
  /** Null while it is staged. */
  partition: Partition | null = null
  readonly topicName: string
  readonly partitionIndex: number
  /** Null once it was given back: the records have settled, or were moved by recut. */
  region: Region | null
  /** Absolute positions in the region's buffer: the end of the records, and the first byte that they may not use. */
  pos: number
  limit: number
  count = 0
  /** For the metrics. */
  largestRecordBytes = 0
  readonly slots: Slots
  baseTimestamp = 0
  maxTimestamp = 0

  /** Monotonic: when its first record was handed to `send`. */
  readonly createdAt: number
  readonly deadlineAt: number
  /** Records handed over so much later than its first belong in another batch: its deadline would come too early for them. */
  ageMaxMs = Number.POSITIVE_INFINITY
  /** Which `flush` calls wait for it. */
  readonly generation: Generation
  /** Records that a promise waits for; `drop-oldest` leaves such a batch alone. */
  promiseCount = 0
  /** Records that settled before the batch did, or moved to another one. */
  goneCount = 0
  /** Records that failed and whose owner did not want to hear of it: they go to the log. */
  unheardCount = 0

  identity: Identity | null = null
  epoch = -1
  baseSequence = -1
  /** Header and checksum are right for the present identity, epoch and sequence. */
  isSealed = false
  /** How often it was put on the wire, the flying attempt included; so many of those do not count as `retries`. */
  attempts = 0
  freeAttempts = 0
  /** An attempt ended without a definite answer: the batch may be in the log. */
  isUnclear = false
  /**
   * It is unclear, and the leader has refused its sequence: the leader has neither this batch nor any behind it, or has one behind it and
   * has forgotten this one.
   */
  isDisowned = false
  lastAttemptAt = 0
  /** Made from a refused batch, by splitting it or sifting out its culprits: it keeps that batch's base timestamp. */
  isSplitChild = false
  /** Place in its partition, counting up as batches are opened. The children of a split share its width of 1. */
  order = 0
  orderWidth = 1
  lastError: KafkaError | null = null

  settlement: Settlement | null = null

  constructor(
    state: 'staged' | 'open',
    topicName: string,
    partitionIndex: number,
    region: Region,
    batchBytes: number,
    slots: Slots,
    createdAt: number,
    deadlineAt: number,
    generation: Generation,
  ) {
    this.state = state
    this.topicName = topicName
    this.partitionIndex = partitionIndex
    this.region = region
    this.pos = region.start + RECORDS_AT
    this.limit = region.start + Math.min(region.capacity, batchBytes)
    this.slots = slots
    this.createdAt = createdAt
    this.deadlineAt = deadlineAt
    this.generation = generation
  }

  /** Bytes with the header: what the broker counts. */
  get byteLength(): number {
    return this.region === null ? 0 : this.pos - this.region.start
  }

  /** Appends a record for which the caller has made sure that there is room. `pos` and `count` move last, so nothing is half in. */
  append(
    timestamp: number,
    key: Field,
    value: Field,
    headers: FlatHeaders | null,
    kind: SlotKind,
    first: unknown,
    second: unknown,
  ): void {
    const index = this.count
    const slots = this.slots
    if (index === slots.capacity) slots.grow()
    if (index === 0) {
      this.baseTimestamp = timestamp
      this.maxTimestamp = timestamp
    } else if (timestamp > this.maxTimestamp) this.maxTimestamp = timestamp
    const end = writeRecord(this.region!.buffer, this.pos, timestamp - this.baseTimestamp, index, key, value, headers)
    slots.kinds[index] = kind
    slots.keyBytes[index] = writtenKeyBytes
    slots.valueBytes[index] = writtenValueBytes
    slots.timestamps[index] = timestamp
    slots.first[index] = first
    slots.second[index] = second
    if (kind === SLOT_PROMISE) this.promiseCount++
    if (end - this.pos > this.largestRecordBytes) this.largestRecordBytes = end - this.pos
    this.pos = end
    this.count = index + 1
  }

  /**
   * Appends a record that another batch holds encoded, with new deltas. `restStart` to `restEnd` is everything behind its offset delta:
   * key, value, headers. Its slot moves along.
   */
  appendEncoded(source: Batch, sourceIndex: number, restStart: number, restEnd: number): void {
    const index = this.count
    const timestamp = source.slots.timestamps[sourceIndex]!
    if (index === 0 && !this.isSplitChild) this.baseTimestamp = timestamp
    if (index === 0 || timestamp > this.maxTimestamp) this.maxTimestamp = timestamp
    if (source.slots.kinds[sourceIndex] === SLOT_PROMISE) this.promiseCount++
    this.slots.moveFrom(source.slots, sourceIndex, index)
    source.goneCount++
    const from = source.region!.buffer
    const to = this.region!.buffer
    const end = copyRecord(from, restStart, restEnd, to, this.pos, timestamp - this.baseTimestamp, index)
    if (end - this.pos > this.largestRecordBytes) this.largestRecordBytes = end - this.pos
    this.pos = end
    this.count = index + 1
  }

  /** Moves the bytes into a larger region and answers the one that is free now. */
  moveTo(region: Region, batchBytes: number): Region {
    const old = this.region!
    const used = this.pos - old.start
    if (region.buffer === old.buffer) region.buffer.copyWithin(region.start, old.start, this.pos)
    else region.buffer.set(old.buffer.subarray(old.start, this.pos), region.start)
    this.region = region
    this.pos = region.start + used
    this.limit = region.start + Math.min(region.capacity, batchBytes)
    return old
  }

  /**
   * Writes the header, with identity and sequence as they are now, and the checksum. After this the bytes change only when the partition
   * starts a new epoch, and then only while no request carries them (`region.pins` is 0).
   */
  seal(crc: Checksum): void {
    const region = this.region!
    const { buffer, start } = region
    writeInt64(buffer, start + BASE_OFFSET_AT, 0)
    buffer.writeInt32BE(this.pos - start - (BATCH_LENGTH_AT + 4), start + BATCH_LENGTH_AT)
    buffer.writeInt32BE(-1, start + PARTITION_LEADER_EPOCH_AT)
    buffer[start + MAGIC_AT] = 2
    buffer.writeInt16BE(0, start + ATTRIBUTES_AT)
    buffer.writeInt32BE(this.count - 1, start + LAST_OFFSET_DELTA_AT)
    writeInt64(buffer, start + BASE_TIMESTAMP_AT, this.baseTimestamp)
    writeInt64(buffer, start + MAX_TIMESTAMP_AT, this.maxTimestamp)
    buffer.writeInt32BE(this.identity === null ? -1 : this.identity.producerIdHigh, start + PRODUCER_ID_AT)
    buffer.writeInt32BE(this.identity === null ? -1 : this.identity.producerIdLow, start + PRODUCER_ID_AT + 4)
    buffer.writeInt16BE(this.epoch, start + PRODUCER_EPOCH_AT)
    buffer.writeInt32BE(this.baseSequence, start + BASE_SEQUENCE_AT)
    buffer.writeInt32BE(this.count, start + RECORD_COUNT_AT)
    buffer.writeUInt32BE(crc.checksum(buffer, start + ATTRIBUTES_AT, this.pos), start + CRC_AT)
    this.isSealed = true
  }

  /** The sealed bytes: a view, valid as long as the region is pinned or owned. */
  bytes(): Buffer {
    const region = this.region!
    return region.buffer.subarray(region.start, this.pos)
  }

  /** Decides how its records end, once. The calls themselves are made by the settle queue. */
  settle(settlement: Settlement): void {
    if (this.settlement !== null) {
      throw kafkaError('INTERNAL', `a batch of ${this.topicName}-${this.partitionIndex} was settled twice`)
    }
    this.settlement = settlement
  }

  /**
   * Calls back for the records from `from` on, at most `max` of them, and answers where to go on. What a callback throws goes to
   * `onFault` and stops nothing.
   */
  callBack(from: number, max: number, observer: DeliveryObserver | null, onFault: (fault: unknown) => void): number {
    const settlement = this.settlement!
    const { slots, topicName, partitionIndex } = this
    const end = Math.min(this.count, from + max)
    const isDelivered = settlement.kind === 'delivered'
    const error = isDelivered ? null : settlement.error
    const baseOffset = isDelivered ? settlement.baseOffset : -1
    const appendTime = isDelivered ? settlement.logAppendTimeMs : -1
    for (let i = from; i < end; i++) {
      const kind = slots.kinds[i]!
      if (kind === SLOT_GONE) continue
      const first = slots.first[i]
      const second = slots.second[i]
      slots.kinds[i] = SLOT_GONE
      slots.first[i] = undefined
      slots.second[i] = undefined
      const metadata: RecordMetadata | null =
        error !== null
          ? null
          : {
              topic: topicName,
              partition: partitionIndex,
              offset: baseOffset < 0 ? -1 : baseOffset + i,
              timestamp: appendTime >= 0 ? appendTime : slots.timestamps[i]!,
              serializedKeySize: slots.keyBytes[i]!,
              serializedValueSize: slots.valueBytes[i]!,
            }
      try {
        observer?.(error, metadata)
        if (kind === SLOT_CALLBACK) (first as DeliveryCallback<unknown>)(error, metadata, second)
        else if (kind === SLOT_PROMISE) {
          if (error === null) (first as (metadata: RecordMetadata) => void)(metadata!)
          else (second as (error: KafkaError) => void)(error)
        } else if (kind === SLOT_NOBODY) this.unheardCount += error === null ? 0 : 1
        else if (kind === SLOT_GROUP) (first as SlotGroup).settled(second as number, error, metadata)
      } catch (fault) {
        onFault(fault)
      }
    }
    return end
  }
}

/** Sees every outcome before its owner does: the interceptors. It does not throw. */
export type DeliveryObserver = (error: KafkaError | null, metadata: RecordMetadata | null) => void

// int64 as two halves: 3 ns where BigInt takes 60 (bench/micro). Whole numbers within ±2^53.
function writeInt64(buffer: Buffer, at: number, value: number): void {
  const high = Math.floor(value / 4_294_967_296)
  buffer.writeInt32BE(high, at)
  buffer.writeUInt32BE(value - high * 4_294_967_296, at + 4)
}
