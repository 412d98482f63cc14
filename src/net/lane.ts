// Lane: the way to one node for Produce requests: one connection at a time, opened on demand, with what becomes of it in one word.
// It knows where the node is now and moves when the node moves, but never before the answers of the old connection are in.
// From: the sender, through broker-pool.ts. To: connector.ts, connection.ts.
import { backoffMs } from '../backoff.ts'
import { type KafkaError, kafkaError } from '../errors.ts'
import type { Api } from '../protocol/api.ts'
import { type Address, formatAddress } from './address.ts'
import type { Connection, Exchange, ExchangeOptions } from './connection.ts'
import type { Connector } from './connector.ts'
import type { NetOptions } from './options.ts'
import { notListed } from './reach-errors.ts'
import { LazyTimer } from './timers.ts'

export type LaneState =
  | { readonly kind: 'idle' }
  | { readonly kind: 'connecting'; readonly abort: AbortController }
  | { readonly kind: 'open'; readonly connection: Connection; readonly target: Address }
  | { readonly kind: 'backoff'; readonly until: number; readonly cause: KafkaError }
  | { readonly kind: 'closed' }

/** What a lane needs of the pool it belongs to. */
export interface LaneHome {
  readonly options: NetOptions
  readonly connector: Connector
  /** The lane opened, failed, is writable again, may send again, or has closed its connection. */
  changed(lane: Lane): void
  /** Says what the failure means in this cluster. */
  explain(nodeId: number, error: KafkaError): KafkaError
}

const IDLE: LaneState = { kind: 'idle' }
const CLOSED: LaneState = { kind: 'closed' }

export class Lane {
  readonly nodeId: number
  readonly #home: LaneHome
  readonly #timer: LazyTimer
  #state: LaneState = IDLE
  // Where the node is; undefined when the cluster does not list it. The same object as long as the address is the same.
  #target: Address | undefined
  // connect() was called during a back-off: dial when it is over.
  #wanted = false
  #flying = 0
  // Requests whose bytes this connection's stream may still read: an answer can come before the write callback.
  #unwritten = 0
  #throttledUntil = 0
  // How often in a row connect() was called while the node was not there.
  #absences = 0
  #lastError: KafkaError | undefined

  constructor(nodeId: number, home: LaneHome) {
    this.nodeId = nodeId
    this.#home = home
    this.#timer = new LazyTimer(home.options.clock, () => this.#wake())
  }

  get state(): LaneState {
    return this.#state
  }

  /** `broker 2 at kafka-2:9092`; the address is the one that is dialled. */
  get brokerName(): string {
    if (this.#state.kind === 'open') return this.#state.connection.brokerName
    return this.#target === undefined
      ? `broker ${this.nodeId}`
      : `broker ${this.nodeId} at ${formatAddress(this.#target)}`
  }

  /** Requests that were handed over and have neither been answered nor failed. */
  get flyingCount(): number {
    return this.#flying
  }

  /** Bytes that the socket has not taken over yet. */
  get unsentBytes(): number {
    return this.#state.kind === 'open' ? this.#state.connection.unsentBytes : 0
  }

  /** Why the last attempt failed or the last connection was lost; `undefined` once a connection is ready. */
  get lastError(): KafkaError | undefined {
    return this.#lastError
  }

  /** The instant until which the broker wants to hear nothing (KIP-219); 0 when it does not mind. */
  get throttledUntil(): number {
    return this.#state.kind === 'open' ? this.#state.connection.throttledUntil : 0
  }

  /**
   * Dials when there is no connection; during a back-off, as soon as that is over. Otherwise nothing. `changed` tells what became
   * of it, never within this call. The timers here do not keep the process alive: who waits for the lane has a deadline that does.
   */
  connect(): void {
    if (this.#state.kind === 'idle') this.#dial()
    else if (this.#state.kind === 'backoff') {
      if (this.#home.options.clock.now() >= this.#state.until) this.#dial()
      else {
        this.#wanted = true
        this.#timer.set(this.#state.until)
      }
    }
  }

  /**
   * Open, not about to move, fewer than `maxInFlight` requests out, not throttled at `now`, and the socket has taken everything it was
   * given.
   */
  canSend(now: number, maxInFlight: number): boolean {
    const state = this.#state
    return (
      state.kind === 'open' &&
      state.target === this.#target &&
      this.#flying < maxInFlight &&
      state.connection.state.kind === 'open' &&
      state.connection.throttledUntil <= now &&
      state.connection.unsentBytes === 0
    )
  }

  /**
   * The version in which to speak to this broker.
   * @throws UNSUPPORTED_VERSION; CONNECTION_CLOSED when the lane is not open.
   */
  versionFor<Request, Response>(api: Api<Request, Response>, cap?: number): number {
    if (this.#state.kind !== 'open') throw this.#notOpen()
    return this.#state.connection.versionFor(api, cap)
  }

  /** As `Connection.exchange`. On a lane that is not open the exchange fails, from a later turn, as not on the wire. */
  exchange<Request, Response>(
    api: Api<Request, Response>,
    request: Request,
    options: ExchangeOptions,
    exchange: Exchange<Response>,
  ): void {
    const state = this.#state
    if (state.kind !== 'open') {
      const cause = this.#notOpen()
      this.#home.options.clock.soon(() => exchange.onFailed(cause, false))
      return
    }
    const { connection } = state
    this.#flying++
    this.#unwritten++
    connection.exchange(api, request, options, {
      onWritten: () => {
        this.#unwritten--
        if (!options.expectsAnswer) this.#flying--
        exchange.onWritten?.()
        this.#landed(connection)
      },
      onAnswer: (response, bytes) => {
        this.#flying--
        exchange.onAnswer(response, bytes)
        this.#landed(connection)
      },
      // Either the connection has ended, and #unwritten with it, or the request could not be encoded.
      onFailed: (error, mayBeOnTheWire) => {
        this.#flying--
        if (connection.state.kind === 'open') this.#unwritten--
        exchange.onFailed(error, mayBeOnTheWire)
        this.#landed(connection)
      },
    })
  }

  /**
   * Says where the node is now. A connection to another place carries nothing new, and closes when its answers are in.
   * For the pool alone.
   */
  moveTo(target: Address | undefined): void {
    if (sameAddress(target, this.#target)) return
    const state = this.#state
    // It came back to where we are connected: as if nothing had been.
    this.#target = state.kind === 'open' && sameAddress(target, state.target) ? state.target : target
    this.#absences = 0
    if (state.kind === 'open') {
      if (this.#isAtRest && state.target !== this.#target) this.#leave(state.connection)
    } else if (state.kind === 'connecting') {
      state.abort.abort(this.#notOpen())
      this.#dial()
    } else if (state.kind === 'backoff') {
      this.#become(IDLE)
      if (this.#wanted) this.#dial()
    }
  }

  /** Fails what is flying with `cause`, in the connection's close event. */
  close(cause: KafkaError): void {
    const state = this.#state
    this.#become(CLOSED)
    if (state.kind === 'open') state.connection.close(cause)
    else if (state.kind === 'connecting') state.abort.abort(cause)
  }

  get #isAtRest(): boolean {
    return this.#flying === 0 && this.#unwritten === 0
  }

  #become(state: LaneState): void {
    this.#state = state
    this.#timer.clear()
  }

  #dial(): void {
    const target = this.#target
    this.#wanted = false
    if (target === undefined) {
      this.#absent()
      return
    }
    const abort = new AbortController()
    this.#become({ kind: 'connecting', abort })
    this.#home.connector
      .open(target, this.brokerName, abort.signal, (connection, cause) => this.#ended(connection, target, cause))
      .then(
        (connection) => this.#opened(connection, target, abort),
        (error: KafkaError) => {
          if (abort.signal.aborted) return
          this.#backOff(this.#home.connector.retryAt(target), error)
          const fields = { nodeId: this.nodeId, code: error.code }
          this.#home.options.log.warn(fields, this.#lastError?.message ?? error.message)
        },
      )
  }

  #opened(connection: Connection, target: Address, abort: AbortController): void {
    if (abort.signal.aborted) {
      connection.close()
      return
    }
    this.#lastError = undefined
    this.#throttledUntil = 0
    this.#unwritten = 0
    this.#become({ kind: 'open', connection, target })
    connection.onWritable = () => this.#home.changed(this)
    this.#timer.set(connection.lastUsedAt + this.#home.options.connectionsMaxIdleMs)
    this.#home.changed(this)
  }

  #ended(connection: Connection, target: Address, cause: KafkaError): void {
    if (this.#state.kind !== 'open' || this.#state.connection !== connection) return
    this.#home.connector.lost(target, cause)
    this.#backOff(this.#home.connector.retryAt(target), cause)
  }

  #backOff(until: number, error: KafkaError): void {
    const cause = this.#home.explain(this.nodeId, error)
    this.#lastError = cause
    this.#become({ kind: 'backoff', until, cause })
    this.#home.changed(this)
  }

  // Asked for by whoever still believes in this node; what helps is new metadata, so the answer comes like that of any other failure.
  #absent(): void {
    const { clock, random, reconnectBackoffMs, reconnectBackoffMaxMs } = this.#home.options
    const until = clock.now() + backoffMs(this.#absences++, reconnectBackoffMs, reconnectBackoffMaxMs, random)
    const cause = notListed(this.nodeId)
    this.#lastError = cause
    this.#become({ kind: 'backoff', until, cause })
    clock.soon(() => this.#home.changed(this))
  }

  // One request less is out on this connection.
  #landed(connection: Connection): void {
    const state = this.#state
    if (state.kind !== 'open' || state.connection !== connection) return
    if (state.target !== this.#target && this.#isAtRest) {
      this.#leave(connection)
      return
    }
    if (connection.throttledUntil > this.#throttledUntil) {
      this.#throttledUntil = connection.throttledUntil
      this.#timer.set(this.#throttledUntil)
    }
  }

  // Of our own will, at rest: no failure, so no back-off, and no bytes that the closing stream could still read.
  #leave(connection: Connection): void {
    this.#become(IDLE)
    connection.close()
    this.#home.options.clock.soon(() => this.#home.changed(this))
  }

  #wake(): void {
    const state = this.#state
    if (state.kind === 'backoff') {
      if (this.#wanted) this.#dial()
    } else if (state.kind === 'open') {
      const now = this.#home.options.clock.now()
      const idleAt = state.connection.lastUsedAt + this.#home.options.connectionsMaxIdleMs
      if (this.#isAtRest && idleAt <= now) {
        this.#leave(state.connection)
        return
      }
      this.#timer.set(idleAt > now ? idleAt : now + this.#home.options.connectionsMaxIdleMs)
      if (this.#throttledUntil !== 0 && this.#throttledUntil <= now) {
        this.#throttledUntil = 0
        this.#home.changed(this)
      }
    }
  }

  #notOpen(): KafkaError {
    return (
      this.#lastError ??
      kafkaError('CONNECTION_CLOSED', `the connection to ${this.brokerName} is not open`, { broker: this.brokerName })
    )
  }
}

const sameAddress = (a: Address | undefined, b: Address | undefined): boolean =>
  a === b || (a !== undefined && b !== undefined && a.host === b.host && a.port === b.port)
