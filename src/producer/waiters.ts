// Who waits in the line: a single `send`, or a `sendMany` that feeds its records in as room comes.
// From: taking.ts, when the buffer is full. To: line.ts, which calls `tryEnter` on the head whenever room comes back.

import { type KafkaError, kafkaError } from '../errors.ts'
import type { Generation } from './generations.ts'
import type { Prepared } from './intake.ts'
import type { GiveUpReason, Waiter } from './line.ts'
import { type Field, type FlatHeaders, recordBytesBound } from './record-encoder.ts'
import type { SlotKind } from './slots.ts'
import type { Taking } from './taking.ts'

/** One record. Strings are held by reference, bytes as a copy: the caller may change its buffer after `send`. */
export class RecordWaiter implements Waiter {
  readonly waitingSince: number
  readonly bytes: number
  readonly generation: Generation
  isGone = false
  hasEntered = false
  readonly recordCount = 1
  readonly #taking: Pick<Taking, 'add' | 'decide' | 'refuse'>
  readonly #prepared: Prepared
  readonly #kind: SlotKind
  readonly #first: unknown
  readonly #second: unknown

  constructor(
    prepared: Prepared,
    kind: SlotKind,
    first: unknown,
    second: unknown,
    generation: Generation,
    now: number,
    taking: Pick<Taking, 'add' | 'decide' | 'refuse'>,
  ) {
    const { key, value, headers } = prepared
    this.#prepared = { ...prepared, key: copyOf(key), value: copyOf(value), headers: copyOfAll(headers) }
    this.#kind = kind
    this.#first = first
    this.#second = second
    this.generation = generation
    this.waitingSince = now
    this.bytes = recordBytesBound(key, value, headers)
    this.#taking = taking
  }

  get neededBytes(): number {
    return this.bytes
  }

  get topicName(): string {
    return this.#prepared.topic
  }

  tryEnter(): boolean {
    const error = this.#taking.decide(this.#prepared)
    if (this.isGone) return true
    if (error !== null) {
      this.#refuse(error)
      return true
    }
    const prepared = this.#prepared
    if (!this.#taking.add(prepared, this.#kind, this.#first, this.#second, this.generation, this.waitingSince))
      return false
    this.#letGo()
    return true
  }

  giveUp(reason: GiveUpReason, waitedMs: number): void {
    this.isGone = true
    this.#refuse(waitError(reason, this.#prepared.topic, waitedMs))
  }

  #refuse(error: KafkaError): void {
    this.#letGo()
    this.#taking.refuse(this.#kind, this.#first, this.#second, error, this.generation, this.#prepared.topic)
  }

  /** The line and the caller's signal may know this waiter for longer than it waits. */
  #letGo(): void {
    Object.assign(this.#prepared, { key: null, value: null, headers: null, record: null })
  }
}

/** Why a record that waits for room fails. */
export function waitError(reason: GiveUpReason, topic: string, waitedMs: number): KafkaError {
  if (typeof reason !== 'string') return reason
  return kafkaError('BUFFER_TIMEOUT', `no room came within ${Math.round(waitedMs)} ms for a record of topic ${topic}`, {
    topic,
    elapsedMs: Math.round(waitedMs),
    hint: 'Records come faster than the brokers take them: slow down, raise bufferMemory, or see why batches are not delivered.',
  })
}

function copyOf(field: Field): Field {
  // Not `instanceof Uint8Array`: bytes may come from another realm.
  return field === null || typeof field === 'string' ? field : Buffer.from(field)
}

function copyOfAll(headers: FlatHeaders | null): FlatHeaders | null {
  return headers === null ? null : headers.map(copyOf)
}
