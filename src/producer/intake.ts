// A user's record on its way in: interceptors, checks and serializers (user code first), then the accumulator, or the line.
// From: producer.ts (send, enqueue), send-many.ts, writable.ts, line.ts. To: accumulator.ts, settle-queue.ts.
//
// Whatever is wrong with a record fails that record alone. Getters, interceptors, serializers and partitioners may do anything, a `send`
// included: they run before the first byte moves.

import { isUint8Array } from 'node:util/types'
import type { Clock } from '../clock.ts'
import { KafkaError, kafkaError } from '../errors.ts'
import type { Log } from '../logger.ts'
import { RECORDS_AT } from '../protocol/record-batch.ts'
import type { Accumulator } from './accumulator.ts'
import { normalizeHeaders } from './headers.ts'
import type { Field, FlatHeaders } from './record-encoder.ts'
import { recordBytesBound, recordBytesMax } from './record-encoder.ts'
import { checkTopicName } from './topic-name.ts'
import type { Interceptor, ProducerRecord, Serializer } from './types.ts'

export interface IntakeOptions {
  readonly keySerializer: Serializer<unknown> | undefined
  readonly valueSerializer: Serializer<unknown> | undefined
  readonly interceptors: readonly Interceptor[]
  readonly maxRequestSize: number
  readonly partitioner: unknown
}

/** A record that is checked and serialized. One object for all: whoever keeps it copies it. */
export interface Prepared {
  topic: string
  key: Field
  value: Field
  headers: FlatHeaders | null
  timestamp: number
  /** -1: the partitioner decides. */
  partition: number
  /** The user's record, for a partitioner of the user's own; null otherwise. */
  record: unknown
}

/** Records between two looks at the clock within one turn of the event loop. */
const CLOCK_EVERY = 64

export class Intake {
  readonly #options: IntakeOptions
  readonly #accumulator: Accumulator
  readonly #clock: Clock
  readonly #log: Log
  readonly #keepsRecord: boolean
  readonly #hasInterceptors: boolean
  #now = 0
  #wallTimeMs = 0
  #clockUses = CLOCK_EVERY

  constructor(options: IntakeOptions, accumulator: Accumulator, clock: Clock, log: Log) {
    this.#options = options
    this.#accumulator = accumulator
    this.#clock = clock
    this.#log = log
    this.#keepsRecord = typeof options.partitioner === 'function'
    this.#hasInterceptors = options.interceptors.some((interceptor) => interceptor.onSend !== undefined)
  }

  /** Asking the system for the time costs as much as encoding a record: it is kept for the turn, and for 64 records at most. */
  now(): number {
    if (this.#clockUses >= CLOCK_EVERY) this.#readClock()
    this.#clockUses++
    return this.#now
  }

  /** A new turn has begun. */
  forgetClock(): void {
    this.#clockUses = CLOCK_EVERY
  }

  #readClock(): void {
    this.#clockUses = 0
    this.#now = this.#clock.now()
    this.#wallTimeMs = this.#clock.wallTimeMs()
  }

  /**
   * Fills `prepared` from the user's record.
   *
   * @throws KafkaError (mostly `RecordError`) saying what is wrong with this record.
   */
  prepare(input: unknown, prepared: Prepared): void {
    if (this.#clockUses >= CLOCK_EVERY) this.#readClock()
    const record = this.#hasInterceptors ? this.#intercept(input) : input
    if (typeof record !== 'object' || record === null) {
      throw kafkaError('INVALID_RECORD', `a record is an object { topic, value, ... }, not ${describe(record)}`)
    }
    const given = read(record)
    const topic = given.topic
    if (typeof topic !== 'string' || !this.#accumulator.topics.has(topic)) checkTopicName(topic)
    const { keySerializer, valueSerializer } = this.#options
    const key = toField(given.key, keySerializer, topic as string, given.headers, 'key')
    const value = toField(given.value, valueSerializer, topic as string, given.headers, 'value')
    const headers = given.headers === undefined || given.headers === null ? null : normalizeHeaders(given.headers)
    if (key === null && value === null) {
      throw kafkaError('INVALID_RECORD', 'key and value are both null', {
        topic: topic as string,
        hint: 'A null value is a tombstone, which deletes a key: it needs one.',
      })
    }
    // A property that is missing or misspelt must not delete a key.
    if (given.value === undefined) {
      throw kafkaError('INVALID_RECORD', 'the value is undefined', {
        topic: topic as string,
        hint: 'A tombstone, which deletes its key, has the value null.',
      })
    }
    const asked = given.partition ?? null
    let partition = asked === null ? -1 : checkPartition(asked, topic as string)
    this.#checkSize(topic as string, partition, key, value, headers)
    const time = given.timestamp ?? null
    const timestamp = time === null ? this.#wallTimeMs : checkTimestamp(time, topic as string)
    if (this.#keepsRecord && partition === -1) {
      partition = this.#accumulator.choosePartition(topic as string, key, record)
    }
    // No user code from here on: a `send` from inside a serializer or a partitioner has used the same object.
    prepared.topic = topic as string
    prepared.key = key
    prepared.value = value
    prepared.headers = headers
    prepared.partition = partition
    prepared.timestamp = timestamp
    prepared.record = this.#keepsRecord ? record : null
  }

  #intercept(input: unknown): unknown {
    let record = input
    for (const interceptor of this.#options.interceptors) {
      if (interceptor.onSend === undefined) continue
      try {
        record = interceptor.onSend(record as ProducerRecord)
      } catch (error) {
        this.#log.warn({ err: error }, 'an interceptor threw in onSend; the record goes on as it was')
      }
    }
    return record
  }

  /** Exact only when it matters: strings are measured when three bytes a character would be too many. */
  #checkSize(topic: string, partition: number, key: Field, value: Field, headers: FlatHeaders | null): void {
    const limit = Math.min(this.#options.maxRequestSize, this.#accumulator.arena.limit)
    if (RECORDS_AT + recordBytesMax(key, value, headers) <= limit) return
    const bytes = RECORDS_AT + recordBytesBound(key, value, headers)
    if (bytes <= limit) return
    const option = limit === this.#options.maxRequestSize ? 'maxRequestSize' : 'bufferMemory'
    const place = partition === -1 ? `topic ${topic}` : `topic ${topic}, partition ${partition}`
    throw kafkaError(
      'RECORD_TOO_LARGE',
      `the record takes ${bytes.toLocaleString('en')} bytes, ${option} is ${limit.toLocaleString('en')} (${place})`,
      {
        topic,
        partition: partition === -1 ? undefined : partition,
        hint: `Send less, or raise ${option}${option === 'maxRequestSize' ? " and the topic's max.message.bytes" : ''}.`,
      },
    )
  }
}

/** Each property once: a getter may answer something else the second time, or throw. */
function read(record: object): { [Name in keyof ProducerRecord]?: unknown } {
  try {
    const { topic, key, value, partition, timestamp, headers } = record as { [Name in keyof ProducerRecord]?: unknown }
    return { topic, key, value, partition, timestamp, headers }
  } catch (cause) {
    throw kafkaError('INVALID_RECORD', `the record cannot be read: ${messageOf(cause)}`, { cause })
  }
}

function toField(
  input: unknown,
  serializer: Serializer<unknown> | undefined,
  topic: string,
  headers: unknown,
  what: 'key' | 'value',
): Field {
  if (input === null || input === undefined) return null
  if (serializer === undefined) {
    if (typeof input === 'string' || isUint8Array(input)) return input
    throw kafkaError('SERIALIZATION_FAILED', `the ${what} is ${describe(input)}, not a string, a Uint8Array or null`, {
      topic,
      hint: `Set ${what}Serializer, for example to jsonSerializer.`,
    })
  }
  let output: unknown
  let isPromise: boolean
  try {
    output = serializer(input, topic, headers as Parameters<Serializer<unknown>>[2])
    if (output === null || typeof output === 'string' || isUint8Array(output)) return output
    isPromise = typeof (output as PromiseLike<unknown> | undefined)?.then === 'function'
  } catch (cause) {
    throw kafkaError('SERIALIZATION_FAILED', `the ${what} serializer threw: ${messageOf(cause)}`, { topic, cause })
  }
  // Its rejection is nobody's but ours: unhandled it would end the process.
  if (isPromise) Promise.resolve(output).catch(ignoreRejection)
  throw kafkaError(
    'SERIALIZATION_FAILED',
    `the ${what} serializer answered ${isPromise ? 'a promise' : describe(output)}`,
    {
      topic,
      hint: isPromise
        ? 'A serializer is synchronous: encode what must be awaited before send.'
        : 'It must answer a Uint8Array, a string or null.',
    },
  )
}

/** The record has failed already, for having been given a promise at all. */
function ignoreRejection(): void {}

function checkPartition(partition: unknown, topic: string): number {
  if (Number.isInteger(partition) && (partition as number) >= 0 && (partition as number) <= 2_147_483_647)
    return partition as number
  throw kafkaError('INVALID_PARTITION', `partition ${describe(partition)} of topic ${topic} cannot exist`, {
    topic,
    hint: 'A partition is a whole number from 0; leave it out to let the partitioner decide.',
  })
}

function checkTimestamp(timestamp: unknown, topic: string): number {
  const ms = timestamp instanceof Date ? timestamp.getTime() : timestamp
  if (Number.isSafeInteger(ms) && (ms as number) >= 0) return ms as number
  const what = timestamp instanceof Date && Number.isNaN(ms) ? 'an invalid Date' : describe(ms)
  throw kafkaError('INVALID_TIMESTAMP', `the timestamp is ${what}`, {
    topic,
    hint: 'It must be a Date or a whole number of milliseconds since 1970.',
  })
}

function describe(value: unknown): string {
  if (value === null) return 'null'
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint' || value === undefined)
    return String(value)
  if (Array.isArray(value)) return 'an array'
  return typeof value === 'object' ? `an object (${classOf(value)})` : `of type ${typeof value}`
}

/** Asked of the prototype: a `constructor` of the object's own is the record's data. */
function classOf(value: object): string {
  const name: unknown = Object.getPrototypeOf(value)?.constructor?.name
  return typeof name === 'string' && name !== '' ? name : 'no class'
}

function messageOf(cause: unknown): string {
  try {
    return cause instanceof Error ? cause.message : String(cause)
  } catch {
    // Anything can be thrown, also what has no text.
    return 'something that cannot be shown'
  }
}

/** Whatever user code threw, as an error of ours. */
export function asKafkaError(error: unknown): KafkaError {
  return error instanceof KafkaError
    ? error
    : kafkaError('INTERNAL', `unexpected: ${messageOf(error)}`, { cause: error })
}
