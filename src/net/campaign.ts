// Campaign: reach any one of several addresses. They are tried in turn; one that says nothing is not waited for alone.
// From: control.ts. To: connector.ts.
import type { Clock } from '../clock.ts'
import type { KafkaError } from '../errors.ts'
import type { Address } from './address.ts'
import type { Connection } from './connection.ts'
import type { Connector } from './connector.ts'
import { LazyTimer } from './timers.ts'

export interface Candidate {
  readonly address: Address
  /** For messages: `broker 2 at host:port`, or `host:port` for a bootstrap address. */
  readonly brokerName: string
  /** Undefined for a bootstrap address. */
  readonly nodeId: number | undefined
}

export interface Failure {
  readonly candidate: Candidate
  readonly error: KafkaError
}

export type Outcome =
  | { readonly kind: 'reached'; readonly candidate: Candidate; readonly connection: Connection }
  | { readonly kind: 'unreachable'; readonly failures: readonly Failure[] }
  | { readonly kind: 'aborted' }

/** How long a candidate is tried alone before the next one is tried beside it. */
const HEAD_START_MS = 1_000

/**
 * Connects to the first of the candidates that can be reached. Those in back-off are left for later; when all are, the first that may
 * be tried again is waited for, so every campaign tries at least one. Bound: one attempt a candidate.
 *
 * Never rejects. `unreachable` names each candidate once, with what it said in this campaign or, if its back-off was not over, in the
 * last one.
 */
export function reachAny(
  candidates: readonly Candidate[],
  connector: Connector,
  clock: Clock,
  signal: AbortSignal,
  onClosed: (connection: Connection, cause: KafkaError) => void,
): Promise<Outcome> {
  return new Promise((resolve) => {
    const untried = [...candidates]
    const trying = new Map<Candidate, AbortController>()
    const failures: Failure[] = []
    const timer = new LazyTimer(clock, () => tryNext())
    let settled = false

    const settle = (outcome: Outcome): void => {
      settled = true
      timer.clear()
      signal.removeEventListener('abort', onAbort)
      for (const abort of trying.values()) abort.abort(signal.aborted ? signal.reason : undefined)
      resolve(outcome)
    }
    const onAbort = (): void => settle({ kind: 'aborted' })

    const tryNext = (): void => {
      const now = clock.now()
      const index = untried.findIndex(({ address }) => connector.retryAt(address) <= now)
      const candidate = untried[index]
      if (candidate !== undefined) {
        untried.splice(index, 1)
        timer.set(now + HEAD_START_MS)
        attempt(candidate)
      } else if (trying.size === 0 && (failures.length > 0 || untried.length === 0)) {
        for (const left of untried) failures.push({ candidate: left, error: connector.lastError(left.address)! })
        settle({ kind: 'unreachable', failures })
      } else if (untried.length > 0) {
        timer.set(Math.min(...untried.map(({ address }) => connector.retryAt(address))))
      }
    }

    const attempt = (candidate: Candidate): void => {
      const abort = new AbortController()
      trying.set(candidate, abort)
      connector.open(candidate.address, candidate.brokerName, abort.signal, onClosed).then(
        (connection) => {
          trying.delete(candidate)
          if (settled) connection.close()
          else settle({ kind: 'reached', candidate, connection })
        },
        (error: KafkaError) => {
          trying.delete(candidate)
          if (settled) return
          failures.push({ candidate, error })
          tryNext()
        },
      )
    }

    if (signal.aborted) onAbort()
    else {
      signal.addEventListener('abort', onAbort, { once: true })
      tryNext()
    }
  })
}
