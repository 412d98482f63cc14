// Control link: the connection for everything but Produce: metadata, producer ids, topics. Opened when something is asked, to whichever
// broker can be reached; requests wait here, in order, until it is.
// From: broker-pool.ts. To: campaign.ts, connection.ts.
import type { KafkaError } from '../errors.ts'
import type { Api } from '../protocol/api.ts'
import { type Candidate, type Outcome, reachAny } from './campaign.ts'
import type { Connection } from './connection.ts'
import type { Connector } from './connector.ts'
import type { NetOptions } from './options.ts'
import { bootstrapFailed } from './reach-errors.ts'
import { LazyTimer } from './timers.ts'

/** What a link needs of the pool it belongs to. */
export interface ControlHome {
  readonly options: NetOptions
  readonly connector: Connector
  /** Whom to try, in which order; asked anew for every campaign. */
  candidates(): readonly Candidate[]
  /** A connection is ready. */
  reached(candidate: Candidate): void
}

type ControlState =
  | { readonly kind: 'idle' }
  | { readonly kind: 'connecting'; readonly abort: AbortController }
  | { readonly kind: 'open'; readonly connection: Connection; readonly candidate: Candidate }
  | { readonly kind: 'closed'; readonly cause: KafkaError }

interface Waiting {
  send(connection: Connection): void
  reject(error: KafkaError): void
}

export class ControlLink {
  readonly #home: ControlHome
  readonly #timer: LazyTimer
  #state: ControlState = { kind: 'idle' }
  // Bound: what callers ask at the same time, each its own promise: one metadata request, one for a producer id, one for all names.
  #waiting: Waiting[] = []
  #flying = 0
  // The next campaign begins elsewhere: this broker was lost, or its answers were of no use.
  #last: Candidate | undefined

  constructor(home: ControlHome) {
    this.#home = home
    this.#timer = new LazyTimer(home.options.clock, () => this.#wake())
  }

  /**
   * @param build Makes the request for the version that the broker and we have in common.
   * @throws BOOTSTRAP_FAILED when nobody can be reached; UNSUPPORTED_VERSION; what ends a connection; CLOSED.
   */
  ask<Request, Response>(
    api: Api<Request, Response>,
    build: (version: number) => Request,
    timeoutMs: number,
  ): Promise<Response> {
    const { watch } = this.#home.options
    return new Promise((resolve, reject) => {
      let again = false
      const waiting: Waiting = {
        reject,
        send: (connection) => {
          const version = connection.versionFor(api)
          const request = build(version)
          this.#flying++
          const sentBytes = connection.exchange(
            api,
            request,
            { version, timeoutMs, expectsAnswer: true },
            {
              onAnswer: (response, bytes) => {
                this.#flying--
                watch?.controlAnswered(bytes)
                resolve(response)
              },
              // Not one byte went out: the broker had hung up before, most likely on a connection long unused. Asking once more, on
              // a new connection, costs nothing.
              onFailed: (error, mayBeOnTheWire) => {
                this.#flying--
                if (mayBeOnTheWire || again || error.code !== 'CONNECTION_CLOSED') reject(error)
                else {
                  again = true
                  this.#enqueue(waiting)
                }
              },
            },
          )
          if (sentBytes > 0) watch?.controlSent(sentBytes)
        },
      }
      this.#enqueue(waiting)
    })
  }

  /** The next request goes to another broker, if there is one. What is under way is not touched. */
  moveOn(): void {
    if (this.#state.kind !== 'open' || this.#flying > 0) return
    const { connection } = this.#state
    this.#become({ kind: 'idle' })
    connection.close()
  }

  /** Ends the connection; what is under way fails with `cause`. */
  reset(cause: KafkaError): void {
    if (this.#state.kind === 'open') this.#state.connection.close(cause)
  }

  /** Where the open connection leads. */
  get reached(): Candidate | undefined {
    return this.#state.kind === 'open' ? this.#state.candidate : undefined
  }

  close(cause: KafkaError): void {
    const state = this.#state
    this.#become({ kind: 'closed', cause })
    if (state.kind === 'open') state.connection.close(cause)
    else if (state.kind === 'connecting') state.abort.abort(cause)
    this.#rejectAll(cause)
  }

  #become(state: ControlState): void {
    this.#state = state
    this.#timer.clear()
  }

  #enqueue(waiting: Waiting): void {
    this.#waiting.push(waiting)
    this.#pump()
  }

  #pump(): void {
    const state = this.#state
    if (this.#waiting.length === 0) return
    if (state.kind === 'closed') this.#rejectAll(state.cause)
    else if (state.kind === 'idle') this.#connect()
    else if (state.kind === 'open') this.#send(state.connection)
  }

  #send(connection: Connection): void {
    // Poisoned: its close event comes, and brings everything back here.
    if (connection.state.kind !== 'open') return
    if (connection.throttledUntil > this.#home.options.clock.now()) {
      this.#timer.set(connection.throttledUntil)
      return
    }
    const ready = this.#waiting
    this.#waiting = []
    for (const waiting of ready) {
      try {
        waiting.send(connection)
      } catch (error) {
        waiting.reject(error as KafkaError)
      }
    }
    this.#timer.set(this.#idleAt(connection))
  }

  #connect(): void {
    const { options, connector } = this.#home
    const abort = new AbortController()
    this.#become({ kind: 'connecting', abort })
    const candidates = elsewhereFirst(this.#home.candidates(), this.#last)
    void reachAny(candidates, connector, options.clock, abort.signal, (connection, cause) =>
      this.#ended(connection, cause),
    ).then((outcome) => this.#campaignEnded(outcome))
  }

  #campaignEnded(outcome: Outcome): void {
    if (this.#state.kind !== 'connecting') {
      if (outcome.kind === 'reached') outcome.connection.close()
    } else if (outcome.kind === 'reached') {
      const { candidate, connection } = outcome
      this.#last = candidate
      this.#become({ kind: 'open', connection, candidate })
      this.#home.reached(candidate)
      this.#timer.set(this.#idleAt(connection))
      this.#pump()
    } else if (outcome.kind === 'unreachable') {
      this.#become({ kind: 'idle' })
      this.#rejectAll(bootstrapFailed(outcome.failures))
    }
  }

  #ended(connection: Connection, cause: KafkaError): void {
    const state = this.#state
    if (state.kind !== 'open' || state.connection !== connection) return
    this.#home.connector.lost(state.candidate.address, cause)
    this.#become({ kind: 'idle' })
    this.#pump()
  }

  #rejectAll(error: KafkaError): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const { reject } of waiting) reject(error)
  }

  // The throttle is over, or the connection has long been idle.
  #wake(): void {
    const state = this.#state
    if (state.kind !== 'open') return
    this.#pump()
    if (this.#waiting.length > 0) return
    const now = this.#home.options.clock.now()
    const idleAt = this.#idleAt(state.connection)
    if (this.#flying === 0 && idleAt <= now) this.moveOn()
    else this.#timer.set(idleAt > now ? idleAt : now + this.#home.options.connectionsMaxIdleMs)
  }

  #idleAt(connection: Connection): number {
    return connection.lastUsedAt + this.#home.options.connectionsMaxIdleMs
  }
}

// Known brokers before bootstrap addresses, and among either the one that we come from last.
function elsewhereFirst(candidates: readonly Candidate[], last: Candidate | undefined): Candidate[] {
  const rank = (candidate: Candidate): number =>
    (candidate.nodeId === undefined ? 2 : 0) + (last !== undefined && isSame(candidate, last) ? 1 : 0)
  return [...candidates].sort((a, b) => rank(a) - rank(b))
}

const isSame = (a: Candidate, b: Candidate): boolean =>
  a.address.host === b.address.host && a.address.port === b.address.port
