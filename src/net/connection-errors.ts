// ConnectionErrors: the texts of everything that ends a connection, each with the broker's name in it.
// From, to: connection.ts.
import { KafkaError, kafkaError } from '../errors.ts'
import type { Pending } from './exchange.ts'

/** What a connection knows of itself when it is lost. */
export interface LossContext {
  readonly inFlightCount: number
  readonly isInsideAnswer: boolean
  readonly hasShakenHands: boolean
  /** The handshake's not counted. */
  readonly answerCount: number
}

export class ConnectionErrors {
  readonly #broker: string

  constructor(brokerName: string) {
    this.#broker = brokerName
  }

  closedByUs(): KafkaError {
    return this.#make('CONNECTION_CLOSED', `${this.#broker}: we closed the connection`)
  }

  /** @param error What the stream said; `undefined`: the broker hung up. */
  lost(error: unknown, { inFlightCount, isInsideAnswer, hasShakenHands, answerCount }: LossContext): KafkaError {
    const reason =
      error === undefined ? 'the broker closed the connection' : `the connection was lost (${errorText(error)})`
    const requests = `${inFlightCount} ${inFlightCount === 1 ? 'request' : 'requests'} under way`
    const where = isInsideAnswer ? ', in the middle of an answer' : ''
    // A listener that wants something else than plaintext rarely says so: it hangs up at the first or at the second request.
    let hint: string | undefined
    if (!hasShakenHands) hint = 'The listener may expect TLS, or may not be Kafka'
    else if (answerCount === 0 && inFlightCount > 0) hint = 'The listener may require SASL'
    return this.#make('CONNECTION_CLOSED', `${this.#broker}: ${reason} with ${requests}${where}`, error, hint)
  }

  timedOut({ api, options }: Pending): KafkaError {
    const what = `${options.expectsAnswer ? 'did not answer' : 'did not take'} ${api.name} v${options.version}`
    return this.#make('REQUEST_TIMEOUT', `${this.#broker} ${what} within ${options.timeoutMs} ms`)
  }

  strayAnswer(correlationId: number, oldest: Pending | undefined): KafkaError {
    const expected =
      oldest === undefined ? 'nothing is asked' : `${oldest.api.name} with ${oldest.correlationId} is next`
    return this.#make(
      'PROTOCOL_ERROR',
      `${this.#broker} answered with correlation id ${correlationId}, where ${expected}`,
    )
  }

  /** What was thrown while we did `what`: with the broker's name when it lacks one; INTERNAL when it is no error of ours. */
  thrown(error: unknown, what: string): KafkaError {
    if (error instanceof KafkaError && error.broker !== undefined) return error
    const code = error instanceof KafkaError ? error.code : 'INTERNAL'
    const reason = error instanceof Error ? error.message : String(error)
    return this.#make(code, `${this.#broker}: ${what}: ${reason}`, error)
  }

  #make(code: string, message: string, cause?: unknown, hint?: string): KafkaError {
    return kafkaError(code, message, { broker: this.#broker, cause, hint })
  }
}

/** The system's code (`ECONNREFUSED`), or the message where there is none. */
export function errorText(error: unknown): string {
  return error instanceof Error ? ((error as NodeJS.ErrnoException).code ?? error.message) : String(error)
}
