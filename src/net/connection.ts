// Connection: one broker, one stream of bytes, many requests under way; answers come in the order of the requests.
// From: lane.ts (Produce) and broker-pool.ts (control requests). To: the stream that `dial` opened; handshake.ts before anyone else.
//
//   open ──wrong bytes, deadline, end, error, close()──► poisoned ──the stream's close event──► closed
//        requests are written                  the stream is destroyed                 every exchange has been failed
//
// Why exchanges fail in the close event and nowhere else: until then the stream may still read their segments, and after `destroy` a
// write callback proves nothing (Node 20 reports success). Whoever gets `onFailed` may use the memory again.
import type { Duplex } from 'node:stream'
import type { Clock, Timer } from '../clock.ts'
import { KafkaError, kafkaError } from '../errors.ts'
import type { Log } from '../logger.ts'
import { type Api, pickVersion, type VersionRange } from '../protocol/api.ts'
import { correlationIdOf, decodeResponseBody, encodeRequestFrame } from '../protocol/header.ts'
import { apiVersions } from '../protocol/messages/api-versions.ts'
import type { Address } from './address.ts'
import { CorrelationIds } from './correlation-ids.ts'
import type { Dial } from './dial.ts'
import { Fifo } from './fifo.ts'
import { FrameReader } from './frame-reader.ts'
import { clientSoftware, negotiateVersions, versionAfterReset } from './handshake.ts'
import { Setup } from './setup.ts'
import { clientMustHold } from './throttle.ts'

/** What becomes of one request: exactly one of `onAnswer` and `onFailed`, once. What they throw is logged and stops nothing. */
export interface Exchange<Response> {
  /**
   * Every byte was handed to the kernel: the socket no longer reads the segments. Never called once the connection has ended; may
   * come after `onAnswer` on a stream that is not a socket.
   */
  onWritten?(): void
  onAnswer(response: Response): void
  /**
   * The connection has ended and reads no segment any more, or the request could not even begin.
   * @param mayBeOnTheWire False: not one byte was given to the socket, so the broker cannot have seen the request.
   */
  onFailed(error: KafkaError, mayBeOnTheWire: boolean): void
}

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
  /** Default 0. Only a test of the wrap-around has reason to choose. */
  readonly firstCorrelationId?: number | undefined
}

export interface ExchangeOptions {
  readonly version: number
  /** From now to the answer; time for which the broker throttles us is added. */
  readonly timeoutMs: number
  /** False for Produce with acks 0: over once written, `onAnswer` is never called. */
  readonly expectsAnswer: boolean
}

export interface RequestOptions {
  /** Default: the highest that both speak, at most `cap`. */
  readonly version?: number | undefined
  readonly cap?: number | undefined
  /** Default: the connection's `requestTimeoutMs`. */
  readonly timeoutMs?: number | undefined
}

interface Pending {
  readonly api: Api<unknown, unknown>
  readonly version: number
  readonly correlationId: number
  readonly expectsAnswer: boolean
  readonly mayBeOnTheWire: boolean
  readonly timeoutMs: number
  deadlineAt: number
  readonly exchange: Exchange<unknown>
}

const MAX_FRAME_BYTES = 104_857_600
/** How often a passed deadline is looked at again while answers are still being read. One turn of the loop reads up to 2 MiB. */
const LOOKS_MAX = 32
const CLOSE_LOOK_MS = 1_000

export class Connection {
  readonly brokerName: string
  /** The socket took everything: `unsentBytes` fell to 0 after a request had left some. */
  onWritable: (() => void) | undefined
  /** Called once, after every exchange was failed. */
  onClosed: ((cause: KafkaError) => void) | undefined

  readonly #stream: Duplex
  readonly #options: ConnectionOptions
  readonly #clock: Clock
  readonly #reader: FrameReader
  readonly #ids: CorrelationIds
  /** Requests whose answers are due, oldest first. Bounded by who sends: `maxInFlightRequestsPerConnection`, and a few control requests. */
  readonly #awaited = new Fifo<Pending>()
  /** Requests without an answer until they are written. Bounded likewise: nobody sends while `unsentBytes` is above 0. */
  readonly #unwritten = new Set<Pending>()
  #state: ConnectionState = { kind: 'open' }
  #versions: ReadonlyMap<number, VersionRange> | undefined
  #throttledUntil = 0
  #lastUsedAt: number
  #answerCount = 0
  #receivedBytes = 0
  #hasUnsent = false
  #deadlineTimer: Timer | undefined
  #deadlineTimerAt = 0
  #closeTimer: Timer | undefined

  /**
   * Dials and shakes hands, both within `setupTimeoutMs`.
   *
   * @param signal Aborting it ends the attempt; a `KafkaError` as its reason becomes the rejection.
   * @throws `KafkaError` naming broker and phase: DNS_FAILED, CONNECTION_FAILED, CONNECTION_CLOSED, NOT_KAFKA, TLS_EXPECTED,
   *   PROTOCOL_ERROR, UNSUPPORTED_VERSION, or the broker's own error.
   */
  static async open(address: Address, options: ConnectionOptions, signal: AbortSignal): Promise<Connection> {
    const setup = new Setup(options, signal)
    let version: number | undefined = apiVersions.versions.max
    try {
      for (;;) {
        const connection: Connection = new Connection(await setup.dial(address), options)
        try {
          connection.#versions = await setup.handshake(
            'the answer to ApiVersions',
            negotiateVersions(
              (asked) => {
                version = asked
                return connection.request(apiVersions, clientSoftware, { version: asked })
              },
              version,
              options.brokerName,
            ),
            (cause) => connection.close(cause),
          )
          return connection
        } catch (error) {
          connection.close(error instanceof KafkaError ? error : undefined)
          version = isRemoteClose(error) && !setup.signal.aborted ? versionAfterReset(version) : undefined
          if (version === undefined) throw error
          options.log.debug({ broker: options.brokerName, version }, 'closed at ApiVersions: trying a lower version')
        }
      }
    } finally {
      setup.end()
    }
  }

  private constructor(stream: Duplex, options: ConnectionOptions) {
    this.#stream = stream
    this.#options = options
    this.#clock = options.clock
    this.brokerName = options.brokerName
    this.#lastUsedAt = this.#clock.now()
    this.#ids = new CorrelationIds(options.firstCorrelationId)
    this.#reader = new FrameReader(
      options.maxFrameBytes ?? MAX_FRAME_BYTES,
      (frame) => this.#onFrame(frame),
      this.brokerName,
    )
    // These stay for good: an error event without a listener, however late, would end the process.
    stream.on('data', (chunk: unknown) => this.#onData(chunk))
    stream.on('end', () => this.#poison(this.#lost(undefined)))
    stream.on('error', (error: unknown) => this.#poison(this.#lost(error)))
    stream.on('close', () => this.#onStreamClose())
  }

  get state(): ConnectionState {
    return this.#state
  }

  /** Requests whose answers are due, and requests without an answer that are not written yet. */
  get inFlightCount(): number {
    return this.#awaited.length + this.#unwritten.size
  }

  /** What the stream holds and has not handed on. */
  get unsentBytes(): number {
    return this.#stream.writableLength
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
   * Writes a request, in one `writev` where the stream can, its record segments by reference. Never throws: on a connection that is
   * not open, and for a request that cannot be encoded, `onFailed` follows from `clock.soon`.
   */
  exchange<Q, R>(api: Api<Q, R>, request: Q, options: ExchangeOptions, exchange: Exchange<R>): void {
    if (this.#state.kind !== 'open') {
      this.#failSoon(exchange, this.#state.cause)
      return
    }
    const { version, timeoutMs, expectsAnswer } = options
    const correlationId = this.#ids.next(expectsAnswer)
    let segments: Uint8Array[]
    try {
      segments = encodeRequestFrame(api, request, { version, correlationId, clientId: this.#options.clientId })
    } catch (error) {
      this.#failSoon(exchange, this.#asKafkaError(error, `${api.name} v${version} cannot be encoded`))
      return
    }
    const now = this.#clock.now()
    const pending: Pending = {
      api: api as Api<unknown, unknown>,
      version,
      correlationId,
      expectsAnswer,
      // A stream that has been destroyed and has not told us yet takes nothing.
      mayBeOnTheWire: !this.#stream.destroyed,
      timeoutMs,
      deadlineAt: now + timeoutMs,
      exchange: exchange as Exchange<unknown>,
    }
    if (this.inFlightCount === 0) setRef(this.#stream, true)
    if (expectsAnswer) this.#awaited.push(pending)
    else this.#unwritten.add(pending)
    this.#lastUsedAt = now
    this.#armDeadline(pending.deadlineAt)
    if (pending.mayBeOnTheWire) this.#write(segments, pending)
    else this.#poison(this.#lost(undefined))
  }

  /** The same as a promise, for requests that are few. Rejects with what `onFailed` gets, or UNSUPPORTED_VERSION. */
  request<Q, R>(api: Api<Q, R>, request: Q, options: RequestOptions = {}): Promise<R> {
    return new Promise((resolve, reject) => {
      const version = options.version ?? this.versionFor(api, options.cap)
      const timeoutMs = options.timeoutMs ?? this.#options.requestTimeoutMs
      this.exchange(api, request, { version, timeoutMs, expectsAnswer: true }, { onAnswer: resolve, onFailed: reject })
    })
  }

  /** Destroys the stream. Exchanges under way fail with `cause` in its close event. Safe to call at any time, again too. */
  close(cause?: KafkaError): void {
    this.#poison(
      cause ??
        kafkaError('CONNECTION_CLOSED', `${this.brokerName}: we closed the connection`, { broker: this.brokerName }),
    )
  }

  #write(segments: readonly Uint8Array[], pending: Pending): void {
    const stream = this.#stream
    const last = segments.length - 1
    try {
      stream.cork()
      for (let index = 0; index < last; index++) stream.write(segments[index])
      stream.write(segments[last], (error) => this.#onWritten(pending, error))
      stream.uncork()
    } catch (error) {
      this.#poison(this.#lost(error))
    }
    if (stream.writableLength > 0) this.#hasUnsent = true
  }

  #onWritten(pending: Pending, error: unknown): void {
    if (error) this.#poison(this.#lost(error))
    if (this.#state.kind !== 'open' || this.#stream.destroyed) return
    if (!pending.expectsAnswer) {
      this.#unwritten.delete(pending)
      this.#restIfIdle()
    }
    try {
      pending.exchange.onWritten?.()
    } catch (fault) {
      this.#logFault(fault)
    }
    if (!this.#hasUnsent || this.#stream.writableLength > 0) return
    this.#hasUnsent = false
    try {
      this.onWritable?.()
    } catch (fault) {
      this.#logFault(fault)
    }
  }

  #onData(chunk: unknown): void {
    if (this.#state.kind !== 'open') return
    if (!(chunk instanceof Uint8Array)) {
      this.#poison(this.#lost(new TypeError(`the stream that dial opened gave ${typeof chunk} data, not bytes`)))
      return
    }
    this.#receivedBytes += chunk.length
    try {
      this.#reader.push(Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length))
    } catch (error) {
      this.#poison(this.#asKafkaError(error, `${this.brokerName}: an answer cannot be read`))
    }
  }

  #onFrame(frame: Buffer): void {
    // An earlier frame of the same chunk poisoned the connection: what follows cannot be trusted.
    if (this.#state.kind !== 'open') return
    const correlationId = correlationIdOf(frame)
    const oldest = this.#awaited.peek()
    if (oldest === undefined || oldest.correlationId !== correlationId) {
      this.#onStray(correlationId, oldest)
      return
    }
    const response = decodeResponseBody(oldest.api, oldest.version, frame)
    this.#awaited.shift()
    this.#answerCount++
    this.#lastUsedAt = this.#clock.now()
    this.#restIfIdle()
    if (clientMustHold(oldest.api.key, oldest.version)) this.#throttle(response as { readonly throttleTimeMs: number })
    try {
      oldest.exchange.onAnswer(response)
    } catch (fault) {
      this.#logFault(fault)
    }
  }

  #onStray(correlationId: number, oldest: Pending | undefined): void {
    if (this.#ids.isUnanswered(correlationId)) {
      this.#options.log.debug(
        { broker: this.brokerName, correlationId },
        'an answer to a request with acks 0: discarded',
      )
      return
    }
    const expected =
      oldest === undefined
        ? 'nothing was asked'
        : `the oldest request is ${oldest.api.name} with ${oldest.correlationId}`
    throw kafkaError(
      'PROTOCOL_ERROR',
      `${this.brokerName} answered with correlation id ${correlationId}, but ${expected}`,
      {
        broker: this.brokerName,
      },
    )
  }

  // The broker reads nothing from us for that long, so requests that are out already get the time on top.
  #throttle({ throttleTimeMs }: { readonly throttleTimeMs: number }): void {
    if (throttleTimeMs <= 0) return
    this.#throttledUntil = Math.max(this.#throttledUntil, this.#clock.now() + throttleTimeMs)
    this.#awaited.forEach((pending) => {
      pending.deadlineAt += throttleTimeMs
    })
    for (const pending of this.#unwritten) pending.deadlineAt += throttleTimeMs
    try {
      this.#options.onThrottle?.(throttleTimeMs)
    } catch (fault) {
      this.#logFault(fault)
    }
  }

  // One timer for all requests. It is set for the earliest deadline and left alone when that request is answered: when it fires, it
  // looks what the earliest deadline is by then.
  #armDeadline(deadlineAt: number): void {
    if (this.#deadlineTimer !== undefined && this.#deadlineTimerAt <= deadlineAt) return
    this.#deadlineTimer?.cancel()
    this.#deadlineTimerAt = deadlineAt
    const delayMs = deadlineAt - this.#clock.now()
    // The stream keeps the process alive while something is awaited: the timer need not.
    this.#deadlineTimer = this.#clock.setTimer(delayMs, () => this.#onDeadlineTimer(), false)
  }

  #onDeadlineTimer(): void {
    this.#deadlineTimer = undefined
    if (this.#overdue() !== undefined) this.#lookAgain(LOOKS_MAX)
  }

  // A timer that fires late, because something blocked the event loop, runs before the sockets are read: the answer may be there. So
  // the sockets get their turn first, and more turns as long as they bring something.
  #lookAgain(looksLeft: number): void {
    const receivedBytes = this.#receivedBytes
    this.#clock.soon(() => {
      const overdue = this.#overdue()
      if (overdue === undefined) return
      if (looksLeft > 1 && this.#receivedBytes > receivedBytes) this.#lookAgain(looksLeft - 1)
      else this.#poison(this.#timedOut(overdue))
    })
  }

  /** The request whose deadline is the earliest, if it has passed; otherwise the timer is set for it. */
  #overdue(): Pending | undefined {
    if (this.#state.kind !== 'open') return undefined
    let earliest: Pending | undefined
    const look = (pending: Pending): void => {
      if (earliest === undefined || pending.deadlineAt < earliest.deadlineAt) earliest = pending
    }
    this.#awaited.forEach(look)
    this.#unwritten.forEach(look)
    if (earliest === undefined || earliest.deadlineAt <= this.#clock.now()) return earliest
    this.#armDeadline(earliest.deadlineAt)
    return undefined
  }

  #restIfIdle(): void {
    if (this.inFlightCount === 0) setRef(this.#stream, false)
  }

  #poison(cause: KafkaError): void {
    if (this.#state.kind !== 'open') return
    this.#state = { kind: 'poisoned', cause }
    this.#deadlineTimer?.cancel()
    this.#deadlineTimer = undefined
    this.#destroyStream()
  }

  #destroyStream(): void {
    try {
      this.#stream.destroy()
    } catch (fault) {
      this.#logFault(fault)
    }
    this.#closeTimer ??= this.#clock.setTimer(CLOSE_LOOK_MS, () => this.#lookForClose(), this.inFlightCount > 0)
  }

  // For streams that close without a word (`emitClose: false`). One that does not close at all may still read our segments: its
  // exchanges stay under way, which is worth a line in the log.
  #lookForClose(): void {
    if (this.#stream.closed) {
      this.#ended()
      return
    }
    const fields = { broker: this.brokerName, inFlight: this.inFlightCount }
    this.#options.log.warn(fields, 'a stream that dial opened was destroyed and has not closed')
    this.#closeTimer = this.#clock.setTimer(CLOSE_LOOK_MS, () => this.#lookForClose(), false)
  }

  #onStreamClose(): void {
    this.#poison(this.#lost(undefined))
    // An event that a stream emits by hand is no proof.
    if (this.#stream.destroyed) this.#ended()
  }

  #ended(): void {
    if (this.#state.kind !== 'poisoned') return
    const { cause } = this.#state
    this.#state = { kind: 'closed', cause }
    this.#closeTimer?.cancel()
    for (let pending = this.#awaited.shift(); pending !== undefined; pending = this.#awaited.shift())
      this.#fail(pending, cause)
    for (const pending of this.#unwritten) this.#fail(pending, cause)
    this.#unwritten.clear()
    try {
      this.onClosed?.(cause)
    } catch (fault) {
      this.#logFault(fault)
    }
  }

  #fail(pending: Pick<Pending, 'exchange' | 'mayBeOnTheWire'>, cause: KafkaError): void {
    try {
      pending.exchange.onFailed(cause, pending.mayBeOnTheWire)
    } catch (fault) {
      this.#logFault(fault)
    }
  }

  #failSoon<R>(exchange: Exchange<R>, cause: KafkaError): void {
    this.#clock.soon(() => this.#fail({ exchange: exchange as Exchange<unknown>, mayBeOnTheWire: false }, cause))
  }

  #timedOut(pending: Pending): KafkaError {
    const what = pending.expectsAnswer ? 'did not answer' : 'did not take'
    return kafkaError(
      'REQUEST_TIMEOUT',
      `${this.brokerName} ${what} ${pending.api.name} v${pending.version} within ${pending.timeoutMs} ms`,
      { broker: this.brokerName },
    )
  }

  #lost(error: unknown): KafkaError {
    const waiting = this.inFlightCount
    const reason = error === undefined ? 'was closed by the broker' : `was lost (${codeOf(error)})`
    const cut = this.#reader.bufferedBytes > 0 ? ', in the middle of an answer' : ''
    return kafkaError(
      'CONNECTION_CLOSED',
      `${this.brokerName}: the connection ${reason} with ${waiting} ${waiting === 1 ? 'request' : 'requests'} under way${cut}`,
      { broker: this.brokerName, hint: this.#hint(), cause: error },
    )
  }

  // A listener that wants something else than plaintext rarely says so: it hangs up at the first or at the second request.
  #hint(): string | undefined {
    if (this.#versions === undefined) return 'The listener may expect TLS, or may not be Kafka'
    if (this.#answerCount === 1 && this.inFlightCount > 0) return 'The listener may require SASL'
    return undefined
  }

  #asKafkaError(error: unknown, what: string): KafkaError {
    if (error instanceof KafkaError && error.broker !== undefined) return error
    const details = { broker: this.brokerName, cause: error }
    if (error instanceof KafkaError) return kafkaError(error.code, `${what}: ${error.message}`, details)
    return kafkaError('INTERNAL', `${what}: ${error instanceof Error ? error.message : String(error)}`, details)
  }

  #logFault(error: unknown): void {
    this.#options.log.error({ err: error, broker: this.brokerName }, 'a listener of the connection threw')
  }
}

// A stream of the user's may have neither.
function setRef(stream: Duplex & { ref?: () => unknown; unref?: () => unknown }, keepAlive: boolean): void {
  if (keepAlive) stream.ref?.()
  else stream.unref?.()
}

const isRemoteClose = (error: unknown): boolean => error instanceof KafkaError && error.code === 'CONNECTION_CLOSED'

const codeOf = (error: unknown): string =>
  error instanceof Error ? ((error as NodeJS.ErrnoException).code ?? error.message) : String(error)
