// Connection: one broker, one stream of bytes, many requests under way; answers come in the order of the requests.
// From: lane.ts (Produce) and broker-pool.ts (control requests). To: wire.ts; handshake.ts before anyone else.
//
//   open ──wrong bytes, deadline, end, error, close()──► poisoned ──the stream's close event──► closed
//        requests are written                  the stream is destroyed                 every exchange has been failed
//
// Why exchanges fail in the close event and nowhere else: until then the stream may still read their segments. Whoever gets `onFailed`
// may use the memory again.
import type { Duplex } from 'node:stream'
import type { Clock } from '../clock.ts'
import { KafkaError } from '../errors.ts'
import type { Log } from '../logger.ts'
import { type Api, pickVersion, type VersionRange } from '../protocol/api.ts'
import { correlationIdOf, decodeResponseBody, encodeRequestFrame } from '../protocol/header.ts'
import { apiVersions } from '../protocol/messages/api-versions.ts'
import type { Address } from './address.ts'
import { ConnectionErrors } from './connection-errors.ts'
import { CorrelationIds } from './correlation-ids.ts'
import { Deadline } from './deadline.ts'
import type { Dial } from './dial.ts'
import type { Exchange, ExchangeOptions, Pending, RequestOptions } from './exchange.ts'
import { FrameReader } from './frame-reader.ts'
import { clientSoftware, negotiateVersions, versionAfterReset } from './handshake.ts'
import { InFlight } from './in-flight.ts'
import type { RequestWatch } from './options.ts'
import { Setup } from './setup.ts'
import { clientMustHold } from './throttle.ts'
import { Wire } from './wire.ts'

export type { Exchange, ExchangeOptions, RequestOptions } from './exchange.ts'

export type ConnectionState =
  | { readonly kind: 'open' }
  /** Of no more use, and the stream has been destroyed; its exchanges fail when it has closed. */
  | { readonly kind: 'poisoned'; readonly cause: KafkaError }
  | { readonly kind: 'closed'; readonly cause: KafkaError }

export interface ConnectionOptions {
  readonly clientId: string
  readonly requestTimeoutMs: number
  /** For everything up to and including the handshake. */
  readonly setupTimeoutMs: number
  readonly dial: Dial
  readonly clock: Clock
  /** `"broker 1 at host:port"` or `"host:port"`, for messages. */
  readonly brokerName: string
  readonly log: Log
  /** Larger answers are refused. Default 100 MiB. */
  readonly maxFrameBytes?: number | undefined
  /** A quota made the broker ask us to wait (KIP-219); `throttledUntil` says so already. */
  readonly onThrottle?: ((throttleTimeMs: number) => void) | undefined
  /** Told of the requests that `request` makes, the handshake's included. */
  readonly watch?: RequestWatch | undefined
  /** Default 0. Only a test of the wrap-around has reason to choose. */
  readonly firstCorrelationId?: number | undefined
}

const MAX_FRAME_BYTES = 104_857_600
// In front of every frame.
const FRAME_SIZE_BYTES = 4

export class Connection {
  readonly brokerName: string
  /** The socket took everything: `unsentBytes` fell to 0 after a request had left some. */
  onWritable: (() => void) | undefined
  /** Called once, after every exchange was failed. */
  onClosed: ((cause: KafkaError) => void) | undefined

  readonly #options: ConnectionOptions
  readonly #errors: ConnectionErrors
  readonly #clock: Clock
  readonly #wire: Wire
  readonly #reader: FrameReader
  readonly #ids: CorrelationIds
  readonly #deadline: Deadline
  readonly #inFlight = new InFlight()
  #state: ConnectionState = { kind: 'open' }
  #versions: ReadonlyMap<number, VersionRange> | undefined
  #throttledUntil = 0
  #lastUsedAt: number
  #receivedBytes = 0
  #answerCount = 0

  /**
   * Dials and shakes hands, all within `setupTimeoutMs`.
   *
   * @param signal Aborting it ends the attempt; a `KafkaError` as its reason becomes the rejection.
   * @throws `KafkaError` naming broker and phase: DNS_FAILED, CONNECTION_FAILED, CONNECTION_CLOSED, NOT_KAFKA, TLS_EXPECTED,
   *   PROTOCOL_ERROR, UNSUPPORTED_VERSION, or the broker's own error.
   */
  static async open(address: Address, options: ConnectionOptions, signal: AbortSignal): Promise<Connection> {
    const setup = new Setup(options, signal)
    try {
      // Twice at most: see versionAfterReset.
      for (let asked: number | undefined = apiVersions.versions.max; ; ) {
        const connection: Connection = new Connection(await setup.dial(address), options)
        const ask = (version: number) => {
          asked = version
          return connection.request(apiVersions, clientSoftware, { version })
        }
        try {
          const negotiation = negotiateVersions(ask, asked, options.brokerName)
          connection.#versions = await setup.handshake(negotiation, (cause) => connection.close(cause))
          return connection
        } catch (error) {
          const cause = error instanceof KafkaError ? error : connection.#errors.thrown(error, 'the handshake failed')
          connection.close(cause)
          const wasReset = cause.code === 'CONNECTION_CLOSED' && !setup.signal.aborted
          asked = wasReset ? versionAfterReset(asked) : undefined
          if (asked === undefined) throw cause
          options.log.debug(
            { broker: options.brokerName, version: asked },
            'closed at ApiVersions: asking at a lower version',
          )
        }
      }
    } finally {
      setup.end()
    }
  }

  private constructor(stream: Duplex, options: ConnectionOptions) {
    this.#options = options
    this.#errors = new ConnectionErrors(options.brokerName)
    this.#clock = options.clock
    this.brokerName = options.brokerName
    this.#lastUsedAt = this.#clock.now()
    this.#ids = new CorrelationIds(options.firstCorrelationId)
    this.#reader = new FrameReader(
      options.maxFrameBytes ?? MAX_FRAME_BYTES,
      (frame) => this.#onFrame(frame),
      this.brokerName,
    )
    this.#deadline = new Deadline({
      clock: this.#clock,
      earliest: () => this.#inFlight.mostUrgent?.deadlineAt ?? Number.POSITIVE_INFINITY,
      progress: () => this.#receivedBytes,
      onPassed: () => this.#onDeadlinePassed(),
    })
    const events = {
      onBytes: (bytes: Buffer) => this.#onBytes(bytes),
      onDrained: () => this.#tell(() => this.onWritable?.()),
      onLost: (error: unknown) => this.#poison(this.#lost(error)),
      onClosed: () => this.#onWireClosed(),
    }
    this.#wire = new Wire(stream, events, options)
  }

  get state(): ConnectionState {
    return this.#state
  }

  /** Requests whose answers are due, and requests without an answer that are not written yet. */
  get inFlightCount(): number {
    return this.#inFlight.count
  }

  /** What the socket holds and has not handed to the kernel. */
  get unsentBytes(): number {
    return this.#wire.unsentBytes
  }

  /** Instant of the clock up to which the broker wants to be left alone (KIP-219). 0: it never said so. */
  get throttledUntil(): number {
    return this.#throttledUntil
  }

  /** Instant of the clock of the last request or answer. */
  get lastUsedAt(): number {
    return this.#lastUsedAt
  }

  /** @throws UNSUPPORTED_VERSION naming the API and both ranges. */
  versionFor<Q, R>(api: Api<Q, R>, cap?: number): number {
    return pickVersion(api, this.#versions?.get(api.key), cap)
  }

  /**
   * Writes a request, in one `writev`, its record segments by reference. Never throws: on a connection that is not open, and for a
   * request that cannot be encoded, `onFailed` follows from `clock.soon`.
   *
   * @returns Bytes handed to the stream, the frame's size in front included; 0 when none were.
   */
  exchange<Q, R>(api: Api<Q, R>, request: Q, options: ExchangeOptions, exchange: Exchange<R>): number {
    if (this.#state.kind !== 'open') {
      this.#failSoon(exchange, this.#state.cause)
      return 0
    }
    const { version, timeoutMs, expectsAnswer } = options
    const correlationId = this.#ids.next(expectsAnswer)
    let segments: Uint8Array[]
    try {
      segments = encodeRequestFrame(api, request, { version, correlationId, clientId: this.#options.clientId })
    } catch (error) {
      this.#failSoon(exchange, this.#errors.thrown(error, `${api.name} v${version} cannot be encoded`))
      return 0
    }
    const now = this.#clock.now()
    const deadlineAt = now + timeoutMs
    const mayBeOnTheWire = this.#wire.isWritable
    const pending = { api, options, correlationId, mayBeOnTheWire, deadlineAt, exchange } as Pending
    if (this.inFlightCount === 0) this.#wire.setKeepAlive(true)
    this.#inFlight.add(pending)
    this.#lastUsedAt = now
    this.#deadline.expect(deadlineAt)
    if (!mayBeOnTheWire) {
      this.#poison(this.#lost(undefined))
      return 0
    }
    this.#wire.write(segments, () => this.#onWritten(pending))
    return segments.reduce((bytes, segment) => bytes + segment.length, 0)
  }

  /** The same as a promise, for requests that are few. Rejects with what `onFailed` gets, or UNSUPPORTED_VERSION. */
  request<Q, R>(api: Api<Q, R>, request: Q, options: RequestOptions = {}): Promise<R> {
    return new Promise((resolve, reject) => {
      const version = options.version ?? this.versionFor(api, options.cap)
      const timeoutMs = options.timeoutMs ?? this.#options.requestTimeoutMs
      const { watch } = this.#options
      const onAnswer = (response: R, bytes: number): void => {
        watch?.controlAnswered(bytes)
        resolve(response)
      }
      const bytes = this.exchange(
        api,
        request,
        { version, timeoutMs, expectsAnswer: true },
        { onAnswer, onFailed: reject },
      )
      if (bytes > 0) watch?.controlSent(bytes)
    })
  }

  /** Destroys the stream. Exchanges under way fail with `cause` in its close event. Safe to call at any time, and again. */
  close(cause?: KafkaError): void {
    this.#poison(cause ?? this.#errors.closedByUs())
  }

  #onWritten(pending: Pending): void {
    if (!pending.options.expectsAnswer) {
      this.#inFlight.written(pending)
      this.#restIfIdle()
    }
    this.#tell(() => pending.exchange.onWritten?.())
  }

  #onBytes(bytes: Buffer): void {
    this.#receivedBytes += bytes.length
    try {
      this.#reader.push(bytes)
    } catch (error) {
      this.#poison(this.#errors.thrown(error, 'an answer cannot be read'))
    }
  }

  #onFrame(frame: Buffer): void {
    // An earlier frame of the same chunk poisoned the connection: what follows cannot be trusted.
    if (this.#state.kind !== 'open') return
    const correlationId = correlationIdOf(frame)
    const { oldest } = this.#inFlight
    if (oldest === undefined || oldest.correlationId !== correlationId) {
      this.#onStrayAnswer(correlationId, oldest)
      return
    }
    const { version } = oldest.options
    const response = decodeResponseBody(oldest.api, version, frame)
    this.#inFlight.answered()
    if (this.#versions !== undefined) this.#answerCount++
    this.#lastUsedAt = this.#clock.now()
    this.#restIfIdle()
    if (clientMustHold(oldest.api.key, version)) this.#throttle(response as { readonly throttleTimeMs: number })
    this.#tell(() => oldest.exchange.onAnswer(response, FRAME_SIZE_BYTES + frame.length))
  }

  #onStrayAnswer(correlationId: number, oldest: Pending | undefined): void {
    if (this.#ids.isUnanswered(correlationId)) {
      const fields = { broker: this.brokerName, correlationId }
      this.#options.log.debug(fields, 'the broker answered a request with acks 0: thrown away')
      return
    }
    throw this.#errors.strayAnswer(correlationId, oldest)
  }

  // The broker reads nothing of ours for that long: requests that are out already get the time on top.
  #throttle({ throttleTimeMs }: { readonly throttleTimeMs: number }): void {
    if (throttleTimeMs <= 0) return
    this.#throttledUntil = Math.max(this.#throttledUntil, this.#clock.now() + throttleTimeMs)
    this.#inFlight.extendDeadlines(throttleTimeMs)
    this.#tell(() => this.#options.onThrottle?.(throttleTimeMs))
  }

  #onDeadlinePassed(): void {
    const late = this.#inFlight.mostUrgent
    if (late !== undefined) this.#poison(this.#errors.timedOut(late))
  }

  #restIfIdle(): void {
    if (this.inFlightCount === 0) this.#wire.setKeepAlive(false)
  }

  #poison(cause: KafkaError): void {
    if (this.#state.kind !== 'open') return
    this.#state = { kind: 'poisoned', cause }
    this.#deadline.stop()
    this.#wire.destroy()
  }

  #onWireClosed(): void {
    if (this.#state.kind !== 'poisoned') return
    const { cause } = this.#state
    this.#state = { kind: 'closed', cause }
    for (const { exchange, mayBeOnTheWire } of this.#inFlight.removeAll()) {
      this.#tell(() => exchange.onFailed(cause, mayBeOnTheWire))
    }
    this.#tell(() => this.onClosed?.(cause))
  }

  #failSoon(exchange: Pick<Exchange<never>, 'onFailed'>, cause: KafkaError): void {
    this.#clock.soon(() => this.#tell(() => exchange.onFailed(cause, false)))
  }

  #tell(listener: () => void): void {
    try {
      listener()
    } catch (error) {
      this.#options.log.error({ err: error, broker: this.brokerName }, 'a listener of the connection threw')
    }
  }

  #lost(error: unknown): KafkaError {
    return this.#errors.lost(error, {
      inFlightCount: this.inFlightCount,
      isInsideAnswer: this.#reader.bufferedBytes > 0,
      hasShakenHands: this.#versions !== undefined,
      answerCount: this.#answerCount,
    })
  }
}
