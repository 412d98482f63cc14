// `sendMany`: many records, one promise. Records are taken from the caller's array as room comes, so its length does not matter to
// `bufferMemory`; while it waits it holds one place in the line, so nothing overtakes it.
// From: producer.ts. To: intake.ts and core.ts for each record.

import { type KafkaError, SendManyError } from '../errors.ts'
import type { SlotGroup } from './batch.ts'
import type { Core } from './core.ts'
import type { Generation } from './generations.ts'
import { asKafkaError, type Prepared } from './intake.ts'
import type { GiveUpReason, Waiter } from './line.ts'
import { recordBytesBound } from './record-encoder.ts'
import { SLOT_GROUP } from './slots.ts'
import type { RecordMetadata } from './types.ts'
import { waitError } from './waiters.ts'

const NO_RECORD: Prepared = {
  topic: '',
  key: null,
  value: null,
  headers: null,
  timestamp: 0,
  partition: -1,
  record: null,
}

export class SendMany implements SlotGroup, Waiter {
  readonly generation: Generation
  /** It is bounded by the caller's array, which it does not copy. */
  readonly bytes = 0
  isGone = false
  hasEntered = false
  /** Anew for each record that got in: it is the wait for room that `maxBlockMs` bounds. */
  waitingSince: number
  readonly #core: Core
  readonly #records: readonly unknown[]
  // Of the call: whatever is done to the array afterwards, so many records were accepted and must settle.
  readonly #count: number
  readonly #results: (RecordMetadata | KafkaError)[]
  readonly #resolve: (results: RecordMetadata[]) => void
  readonly #reject: (error: SendManyError<RecordMetadata>) => void
  readonly #prepared: Prepared = { ...NO_RECORD }
  // The record that waits for room is prepared already: its serializer is not asked twice.
  #isPrepared = false
  #next = 0
  #settledCount = 0
  #failedCount = 0

  constructor(
    core: Core,
    records: readonly unknown[],
    now: number,
    resolve: (results: RecordMetadata[]) => void,
    reject: (error: SendManyError<RecordMetadata>) => void,
  ) {
    this.#core = core
    this.#records = records
    this.#count = records.length
    this.#results = new Array(this.#count)
    this.#resolve = resolve
    this.#reject = reject
    this.waitingSince = now
    this.generation = core.generations.current
    core.generations.acceptInto(this.generation, this.#count)
  }

  get recordCount(): number {
    return this.#count - this.#next
  }

  get topicName(): string {
    return this.#prepared.topic
  }

  /** Takes records until there is no room; true: all were taken. */
  tryEnter(): boolean {
    const core = this.#core
    for (; this.#next < this.#count; this.#next++) {
      const now = core.intake.now()
      if (!(this.#isPrepared ? this.#decide() : this.#prepare())) continue
      if (!core.taking.add(this.#prepared, SLOT_GROUP, this, this.#next, this.generation, now)) return false
      this.#isPrepared = false
      this.waitingSince = now
    }
    return true
  }

  #prepare(): boolean {
    try {
      this.#core.intake.prepare(this.#records[this.#next], this.#prepared)
      this.#isPrepared = true
      return true
    } catch (error) {
      this.#refuse(asKafkaError(error))
      return false
    }
  }

  #decide(): boolean {
    const error = this.#core.taking.decide(this.#prepared)
    if (error === null) return true
    this.#isPrepared = false
    this.#refuse(error)
    return false
  }

  #refuse(error: KafkaError): void {
    const topic = this.#isPrepared ? this.#prepared.topic : error.topic
    this.#core.taking.refuse(SLOT_GROUP, this, this.#next, error, this.generation, topic)
  }

  /** What the record at the head of the rest needs. */
  get neededBytes(): number {
    const { key, value, headers } = this.#prepared
    return this.#isPrepared ? recordBytesBound(key, value, headers) : 0
  }

  /** The records that are not taken yet fail. */
  giveUp(reason: GiveUpReason, waitedMs: number): void {
    this.isGone = true
    const error = waitError(reason, this.#prepared.topic, waitedMs)
    for (; this.#next < this.#count; this.#next++) {
      this.#refuse(error)
      this.#isPrepared = false
    }
  }

  settled(index: number, error: KafkaError | null, metadata: RecordMetadata | null): void {
    this.#results[index] = error ?? metadata!
    if (error !== null) this.#failedCount++
    this.#settledCount++
    if (this.#settledCount < this.#count) return
    if (this.#failedCount === 0) this.#resolve(this.#results as RecordMetadata[])
    else this.#reject(new SendManyError<RecordMetadata>(this.#results))
  }
}
