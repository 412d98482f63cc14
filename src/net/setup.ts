// Setup: one span of time for everything it takes to get a connection (DNS, TCP, versions), and the caller's wish to stop.
// From: connection.ts. To: dial, whose signal it is, and the connection that shakes hands.
import type { Duplex } from 'node:stream'
import type { Clock, Timer } from '../clock.ts'
import { KafkaError, kafkaError } from '../errors.ts'
import type { Address } from './address.ts'
import type { Dial } from './dial.ts'

export interface SetupOptions {
  readonly brokerName: string
  readonly setupTimeoutMs: number
  readonly clock: Clock
  readonly dial: Dial
}

export class Setup {
  readonly #options: SetupOptions
  readonly #controller = new AbortController()
  readonly #outer: AbortSignal
  readonly #timer: Timer
  /** What is being waited for, for the message. */
  #phase = 'the connection (DNS or TCP)'
  #isOver = false

  constructor(options: SetupOptions, outer: AbortSignal) {
    this.#options = options
    this.#outer = outer
    // The timer may fire late, after a blocked event loop: what is in the sockets by now is looked at first.
    this.#timer = options.clock.setTimer(options.setupTimeoutMs, () => options.clock.soon(() => this.#timedOut()))
    outer.addEventListener('abort', this.#stopped, { once: true })
    if (outer.aborted) this.#stopped()
  }

  /** Aborted with a `KafkaError` as its reason. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /**
   * A stream to the broker. When time runs out first, a stream that still comes is destroyed.
   *
   * @throws What `dial` rejects with, as a `KafkaError`; the signal's reason.
   */
  dial(address: Address): Promise<Duplex> {
    this.#phase = 'the connection (DNS or TCP)'
    const { signal } = this
    return new Promise((resolve, reject) => {
      if (signal.aborted) throw signal.reason
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
      const dialed = (stream: Duplex): void => {
        if (typeof stream?.write !== 'function' || typeof stream.destroy !== 'function') {
          reject(this.#dialFailed(new TypeError('dial answered something that is not a Duplex stream')))
        } else if (signal.aborted) {
          discard(stream)
        } else {
          resolve(stream)
        }
      }
      const start = async (): Promise<Duplex> => this.#options.dial({ host: address.host, port: address.port, signal })
      start().then(dialed, (error: unknown) => reject(this.#dialFailed(error)))
    })
  }

  /**
   * The result of `work`, unless time runs out first: then `stop` is told, and what becomes of `work` does not matter any more.
   *
   * @throws What `work` rejects with; the signal's reason.
   */
  handshake<T>(work: Promise<T>, stop: (cause: KafkaError) => void): Promise<T> {
    this.#phase = 'the answer to ApiVersions'
    const { signal } = this
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        stop(signal.reason)
        reject(signal.reason)
      }
      work.then(resolve, reject)
      if (signal.aborted) onAbort()
      else signal.addEventListener('abort', onAbort, { once: true })
    })
  }

  /** Nothing of it is left: no timer, no listener. */
  end(): void {
    this.#isOver = true
    this.#timer.cancel()
    this.#outer.removeEventListener('abort', this.#stopped)
  }

  readonly #stopped = (): void => {
    const reason: unknown = this.#outer.reason
    const { brokerName } = this.#options
    const cause =
      reason instanceof KafkaError
        ? reason
        : kafkaError('CONNECTION_FAILED', `${brokerName}: nobody waits for ${this.#phase} any more`, {
            broker: brokerName,
            cause: reason,
          })
    this.#controller.abort(cause)
  }

  #timedOut(): void {
    if (this.#isOver) return
    const { brokerName, setupTimeoutMs } = this.#options
    this.#controller.abort(
      kafkaError(
        'CONNECTION_FAILED',
        `${brokerName}: timed out after ${setupTimeoutMs} ms, waiting for ${this.#phase}`,
        {
          broker: brokerName,
        },
      ),
    )
  }

  #dialFailed(error: unknown): KafkaError {
    if (error instanceof KafkaError) return error
    const { brokerName } = this.#options
    const reason = error instanceof Error ? error.message : String(error)
    return kafkaError('CONNECTION_FAILED', `${brokerName}: dial failed: ${reason}`, {
      broker: brokerName,
      cause: error,
    })
  }
}

function discard(stream: Duplex): void {
  // It was opened too late, so whatever goes wrong with it concerns nobody; without a listener it would end the process.
  stream.on('error', () => stream.destroy())
  stream.destroy()
}
