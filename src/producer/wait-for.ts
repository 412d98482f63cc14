// A caller's wait with a deadline and a signal: `connect`, `ready`, `flush`. What is waited for goes on when the wait ends.
// From: producer.ts, closing.ts. To: the clock.

import type { Clock } from '../clock.ts'
import { type KafkaError, kafkaError, type OwnCode } from '../errors.ts'

export interface WaitSpec<T> {
  /** For the message: the member that waits. */
  readonly what: string
  readonly code: OwnCode
  readonly timeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
  /** Begins the wait. The signal it is given ends when nobody waits any more. */
  readonly start: (signal: AbortSignal) => Promise<T>
  /** What the error of a wait that ran out adds: how much is still out. */
  readonly describe?: () => string
  /** What is known of why it takes so long, in place of the spec's code. */
  readonly reason?: () => KafkaError | undefined
}

/** @throws (rejects) the spec's code past `timeoutMs`; `ABORTED` by the signal; whatever `start` rejects with. */
export function waitFor<T>({ clock }: { readonly clock: Clock }, spec: WaitSpec<T>): Promise<T> {
  const { what, code, timeoutMs, signal, start, describe, reason } = spec
  if (signal?.aborted) return Promise.reject(aborted(what, signal))
  const fault = timeoutFault(what, timeoutMs)
  if (fault !== null) return Promise.reject(fault)
  return new Promise<T>((resolve, reject) => {
    const ended = new AbortController()
    const finish = (settle: () => void): void => {
      timer?.cancel()
      signal?.removeEventListener('abort', onAbort)
      settle()
    }
    const onAbort = (): void => {
      finish(() => reject(aborted(what, signal!)))
      ended.abort()
    }
    const timer =
      timeoutMs === undefined || timeoutMs === Number.POSITIVE_INFINITY
        ? undefined
        : clock.setTimer(timeoutMs, () => {
            // The event loop may have been blocked: what is here already counts.
            clock.soon(() => {
              const still = describe === undefined ? '' : `: ${describe()}`
              const error = reason?.() ?? kafkaError(code, `${what} did not end within ${timeoutMs} ms${still}`)
              finish(() => reject(error))
              ended.abort()
            })
          })
    signal?.addEventListener('abort', onAbort, { once: true })
    start(ended.signal).then(
      (value) => finish(() => resolve(value)),
      (error) => finish(() => reject(error)),
    )
  })
}

/** What is wrong with the `timeoutMs` that was given to a member, if anything. */
export function timeoutFault(what: string, timeoutMs: unknown): KafkaError | null {
  if (timeoutMs === undefined || (typeof timeoutMs === 'number' && timeoutMs >= 0)) return null
  return kafkaError('INVALID_CONFIG', `${what}: timeoutMs is ${timeoutMs}, but must be a number, 0 or more`)
}

function aborted(what: string, signal: AbortSignal) {
  return kafkaError('ABORTED', `${what} was ended by its signal`, { cause: signal.reason })
}
