// START HERE. The producer as its users see it. Each member reads as what it does in a few calls; the parts are tied together in core.ts.
//
//   send / enqueue / sendMany / writable ─► intake ─► accumulator ─► (a turn later) sender ─► broker ─► fate ─► settle queue ─► you
//
// From: the user. To: core.ts.

import type { Writable } from 'node:stream'
import { type KafkaError, kafkaError } from '../errors.ts'
import { closeCore, flushCore } from './closing.ts'
import { Core } from './core.ts'
import { healthOf, metricsOf } from './health.ts'
import { asKafkaError, type Prepared } from './intake.ts'
import { resolveOptions, type Seams } from './options.ts'
import { optionsFromProperties } from './properties.ts'
import { SendMany } from './send-many.ts'
import { sendWithSignal } from './signal.ts'
import { SLOT_CALLBACK, SLOT_NOBODY, SLOT_PROMISE } from './slots.ts'
import { checkTopicName } from './topic-name.ts'
import type {
  CloseOptions,
  CloseReport,
  DeliveryCallback,
  FlushReport,
  PartitionInfo,
  ProducerHealth,
  ProducerMetrics,
  ProducerOptions,
  ProducerRecord,
  RecordBytes,
  RecordMetadata,
  SendOptions,
  WaitOptions,
  WritableOptions,
} from './types.ts'
import { timeoutFault, waitFor } from './wait-for.ts'
import { producerWritable } from './writable.ts'

// One executor for all promises of `send`: a closure for each would cost as much again as the promise. It leaves its two functions
// here, and `send` takes them in the same breath.
let takenResolve: (metadata: RecordMetadata) => void
let takenReject: (error: KafkaError) => void
const takeBoth = (resolve: (metadata: RecordMetadata) => void, reject: (error: KafkaError) => void): void => {
  takenResolve = resolve
  takenReject = reject
}

/**
 * A Kafka producer: idempotent by default, with up to five requests under way on each connection. Opens nothing before it is used, and
 * keeps the process alive only while records are out.
 *
 * @typeParam K What `keySerializer` takes; strings, bytes and null without one.
 * @typeParam V What `valueSerializer` takes.
 */
export class Producer<K = RecordBytes, V = RecordBytes> implements AsyncDisposable {
  readonly #core: Core
  readonly #prepared: Prepared = {
    topic: '',
    key: null,
    value: null,
    headers: null,
    timestamp: 0,
    partition: -1,
    record: null,
  }
  #closing: Promise<CloseReport> | null = null

  /**
   * Checks every option at once.
   *
   * @throws ConfigError naming each option that is unknown or cannot work, its value, and what is allowed.
   */
  constructor(options: ProducerOptions<K, V>, /** @internal */ seams?: Seams) {
    this.#core = new Core(resolveOptions(options, seams) as unknown as ConstructorParameters<typeof Core>[0])
  }

  /**
   * A producer from Java's names: the text of a `producer.properties`, or an object `{ 'linger.ms': 5 }`. `overrides` are options of ours
   * that such a file cannot say (serializers, a logger).
   *
   * @throws ConfigError naming the property.
   */
  static fromProperties<K = RecordBytes, V = RecordBytes>(
    properties: string | Readonly<Record<string, unknown>>,
    overrides: Partial<ProducerOptions<K, V>> = {},
  ): Producer<K, V> {
    const { options, notes } = optionsFromProperties(properties, overrides)
    return new Producer<K, V>(options as ProducerOptions<K, V>, { notes })
  }

  /**
   * Reaches the cluster now, so that wrong addresses show at start. Everything else connects by itself.
   *
   * @throws ConnectionError with a line for each address, when none could be used within `maxBlockMs`; `CLOSED`.
   */
  connect(): Promise<void> {
    return waitFor(this.#core, {
      what: 'connect',
      timeoutMs: this.#core.options.maxBlockMs,
      code: 'CONNECT_TIMEOUT',
      reason: () => this.#core.cluster.lastError,
      start: (signal) => this.#core.context.run(() => this.#core.cluster.connect(signal)),
    })
  }

  /**
   * Sends one record. The bytes are taken during the call. Never throws: what is wrong comes as a rejection.
   *
   * When the buffer is full it waits its turn, up to `maxBlockMs`; the line is bounded by `maxWaitingSends` and `maxWaitingBytes`.
   *
   * @throws (rejects) RecordError when this record is wrong; DeliveryError, ConnectionError, AuthenticationError when it could not be
   *   delivered, with `persisted` saying whether it can be in the log; BufferFullError when there was no room in the line, or none in time.
   */
  send(record: ProducerRecord<K, V>, options?: SendOptions): Promise<RecordMetadata> {
    const promise = new Promise<RecordMetadata>(takeBoth)
    const resolve = takenResolve
    const reject = takenReject
    if (options?.signal !== undefined) sendWithSignal(this.#core, record, options.signal, resolve, reject)
    else this.#accept(record, resolve, reject)
    return promise
  }

  #accept(record: unknown, resolve: (metadata: RecordMetadata) => void, reject: (error: KafkaError) => void): void {
    const core = this.#core
    const prepared = this.#prepared
    if (core.state.kind !== 'open') {
      core.taking.turnAway(SLOT_PROMISE, resolve, reject, core.taking.refusal())
      return
    }
    try {
      core.intake.prepare(record, prepared)
    } catch (error) {
      core.taking.turnAway(SLOT_PROMISE, resolve, reject, asKafkaError(error))
      return
    }
    core.taking.take(prepared, SLOT_PROMISE, resolve, reject)
  }

  /**
   * Hands over one record and never waits. `onDelivery(error, metadata, context)` follows exactly once, from a later turn of the event
   * loop; without it failures go to the error counter and the logger.
   *
   * @returns true: there is room for more. false: wait for `ready()`; the record was taken nevertheless, unless the buffer was really
   *   full: then `overflow` decided.
   */
  enqueue<C = undefined>(record: ProducerRecord<K, V>, onDelivery?: DeliveryCallback<C>, context?: C): boolean {
    const core = this.#core
    const prepared = this.#prepared
    const kind = onDelivery === undefined ? SLOT_NOBODY : SLOT_CALLBACK
    if (core.state.kind !== 'open') {
      core.taking.turnAway(kind, onDelivery, context, core.taking.refusal())
      return false
    }
    try {
      core.intake.prepare(record, prepared)
    } catch (error) {
      core.taking.turnAway(kind, onDelivery, context, asKafkaError(error))
      return core.room.isAmple
    }
    core.taking.takeOrOverflow(prepared, kind, onDelivery, context)
    return core.room.isAmple
  }

  /**
   * Resolves when `enqueue` would answer true.
   *
   * @throws `READY_TIMEOUT` past `timeoutMs`, `ABORTED` by the signal, `CLOSED`, or the error that ended the producer.
   */
  ready(options: WaitOptions = {}): Promise<void> {
    const core = this.#core
    if (core.state.kind !== 'open') return Promise.reject(core.taking.refusal())
    return waitFor(core, {
      what: 'ready',
      code: 'READY_TIMEOUT',
      timeoutMs: options.timeoutMs,
      signal: options.signal,
      start: (signal) =>
        new Promise<void>((resolve, reject) => {
          const wait = core.room.wait({ resolve, reject })
          signal.addEventListener('abort', () => wait.cancel(), { once: true })
        }),
    })
  }

  /**
   * Sends many records and resolves in their order. Takes them as room comes: do not change the array until it settles.
   *
   * @throws SendManyError when any failed; its `results` holds every record's metadata or error, in input order.
   */
  sendMany(records: readonly ProducerRecord<K, V>[]): Promise<RecordMetadata[]> {
    const core = this.#core
    if (core.state.kind !== 'open') return Promise.reject(core.taking.refusal())
    if (!Array.isArray(records)) {
      return Promise.reject(kafkaError('INVALID_RECORD', 'sendMany takes an array of records'))
    }
    if (records.length === 0) return Promise.resolve([])
    return new Promise((resolve, reject) =>
      core.taking.takeMany(new SendMany(core, records, core.intake.now(), resolve, reject)),
    )
  }

  /**
   * A stream in object mode: every chunk is a record, or with `topic` a value. `finish` comes after the last record is settled; a record
   * that fails destroys the stream with its error.
   */
  writable(options: WritableOptions = {}): Writable {
    if (options.topic !== undefined) checkTopicName(options.topic)
    return producerWritable(this.#core, options)
  }

  /**
   * Sends everything that is buffered now, whatever `lingerMs` says, and resolves when every record handed over before the call has
   * settled. Never rejects because a record failed: the report counts them.
   *
   * @throws `FLUSH_TIMEOUT` past `timeoutMs`, with the count still out; `ABORTED` by the signal. The records go on.
   */
  flush(options: WaitOptions = {}): Promise<FlushReport> {
    return flushCore(this.#core, options)
  }

  /**
   * Takes no more records, flushes within `timeoutMs` (default 30 s), fails what is left with `CLOSED`, and closes every socket and timer.
   * Safe to call twice, in a callback, and while anything is under way.
   */
  close(options: CloseOptions = {}): Promise<CloseReport> {
    const { timeoutMs } = options
    const fault = timeoutFault('close', timeoutMs)
    if (fault !== null) return Promise.reject(fault)
    this.#closing ??= closeCore(this.#core, timeoutMs)
    return this.#closing
  }

  /** `close()`; rejects with `CLOSED` when records were abandoned. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { abandoned } = await this.close()
    if (abandoned > 0)
      throw kafkaError('CLOSED', `${abandoned} records were not acknowledged when the producer was closed`)
  }

  /** For a readiness probe; cheap. */
  health(): ProducerHealth {
    return healthOf(this.#core)
  }

  /**
   * The partitions of a topic, in their order; waits for its metadata up to `maxBlockMs`.
   *
   * @throws (rejects) `UNKNOWN_TOPIC_OR_PARTITION`, `TOPIC_AUTHORIZATION_FAILED`, `INVALID_TOPIC_EXCEPTION`, `METADATA_TIMEOUT`, `CLOSED`.
   */
  async partitionsFor(topic: string): Promise<PartitionInfo[]> {
    const core = this.#core
    checkTopicName(topic)
    if (core.state.kind !== 'open') throw core.taking.refusal()
    return [...(await core.topicWaits.wait(topic))]
  }

  /** What has happened so far, as plain data; every producer metric of Java under its own name in camelCase. */
  metrics(): ProducerMetrics {
    return metricsOf(this.#core)
  }
}
