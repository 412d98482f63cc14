// Exchange: what is asked of a connection, and what becomes of it.
// From: lane.ts, producer/sender.ts. To: connection.ts, in-flight.ts.
import type { KafkaError } from '../errors.ts'
import type { Api } from '../protocol/api.ts'

/** What becomes of one request: exactly one of `onAnswer` and `onFailed`, once. What they throw is logged and stops nothing. */
export interface Exchange<Response> {
  /**
   * Every byte was handed to the kernel: the socket no longer reads the segments. Never called once the connection has ended; it may
   * come after `onAnswer` on a stream that is not a socket.
   */
  onWritten?(): void
  /** @param bytes of the answer's frame, its size in front included */
  onAnswer(response: Response, bytes: number): void
  /**
   * The connection has ended and reads no segment any more, or the request could not even begin.
   * @param mayBeOnTheWire False: not one byte was given to the socket, so the broker cannot have seen the request.
   */
  onFailed(error: KafkaError, mayBeOnTheWire: boolean): void
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

/** An exchange under way. */
export interface Pending {
  readonly api: Api<unknown, unknown>
  readonly options: ExchangeOptions
  readonly correlationId: number
  readonly mayBeOnTheWire: boolean
  /** Instant of the clock. */
  deadlineAt: number
  readonly exchange: Exchange<unknown>
}
