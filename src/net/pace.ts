// Pace: when metadata must be asked for and when it may be. Holds instants, but no timer and no request: cluster.ts has those.
// From: cluster.ts. To: backoff.ts.
import { backoffMs } from '../backoff.ts'
import type { NetOptions } from './options.ts'

export type PaceOptions = Pick<
  NetOptions,
  | 'retryBackoffMs'
  | 'retryBackoffMaxMs'
  | 'metadataMaxAgeMs'
  | 'metadataRecoveryStrategy'
  | 'metadataRecoveryRebootstrapTriggerMs'
  | 'random'
>

const NEVER = Number.POSITIVE_INFINITY
const AGE = 'older than metadataMaxAgeMs'
// A broker cut off from the rest of its cluster serves old metadata for ever: after so many useless answers another one is asked.
const USELESS_ANSWERS_AT_MOST = 5

export class Pace {
  readonly #options: PaceOptions
  // Why a full refresh is wanted; undefined: it is not.
  #reason: string | undefined
  // Full answers in a row that changed nothing although a change was hoped for, and the spacing that follows from them.
  #uselessAnswers = 0
  #refreshAllowedAt = 0
  // The last full answer, or a failure while nobody needed anything.
  #agesFrom = NEVER
  #failures = 0
  #retryAt = 0
  // Since when every attempt has failed (KIP-1102).
  #tryingSince: number | undefined
  #hasAnswered = false

  constructor(options: PaceOptions) {
    this.#options = options
  }

  /** Whether any request was ever answered. */
  get hasAnswered(): boolean {
    return this.#hasAnswered
  }

  get failures(): number {
    return this.#failures
  }

  /** @returns Whether that is new: the reason that came first stays. */
  want(reason: string): boolean {
    if (this.#reason !== undefined) return false
    this.#reason = reason
    return true
  }

  /**
   * The instant of the next request; Infinity when nothing is needed.
   * @param topicsAt When the first of the unknown or leaderless topics is due.
   * @param isAwaited Somebody waits for the first answer of all.
   */
  nextAskAt(now: number, topicsAt: number, isAwaited: boolean): number {
    const needed = Math.min(
      topicsAt,
      this.#reason === undefined ? NEVER : this.#refreshAllowedAt,
      isAwaited ? now : NEVER,
      this.#agesAt(),
    )
    return Math.max(needed, this.#retryAt)
  }

  /**
   * A request goes out now.
   * @returns Whether it is for everything, and why. From here on another doubt is a new one: the answer may have been made before it.
   */
  begin(now: number): { readonly isFull: boolean; readonly reason: string | undefined } {
    this.#tryingSince ??= now
    if (this.#agesAt() <= now) this.#reason ??= AGE
    if (this.#hasAnswered && (this.#reason === undefined || this.#refreshAllowedAt > now)) {
      return { isFull: false, reason: undefined }
    }
    const reason = this.#reason
    this.#reason = undefined
    return { isFull: true, reason }
  }

  answered(): void {
    this.#hasAnswered = true
    this.#failures = 0
    this.#retryAt = 0
    this.#tryingSince = undefined
  }

  /**
   * A full answer came. Answers that change nothing are common while a leader is lost and no other chosen yet.
   * @returns False when another broker should be asked next time, since this one's answers have been useless too often.
   */
  answeredFull(changed: boolean, reason: string | undefined, now: number): boolean {
    const { retryBackoffMs, retryBackoffMaxMs, random } = this.#options
    // What was useless long ago, in another search for another leader, does not count.
    const isSeries = now - this.#agesFrom <= 2 * retryBackoffMaxMs
    this.#uselessAnswers = changed || reason === AGE ? 0 : isSeries ? this.#uselessAnswers + 1 : 1
    const attempt = Math.max(0, this.#uselessAnswers - 1)
    this.#refreshAllowedAt = now + backoffMs(attempt, retryBackoffMs, retryBackoffMaxMs, random)
    this.#agesFrom = now
    return this.#uselessAnswers === 0 || this.#uselessAnswers % USELESS_ANSWERS_AT_MOST > 0
  }

  /**
   * @param reason What `begin` said.
   * @param isNeeded Somebody uses a topic, or waits for the first answer.
   */
  failed(reason: string | undefined, isNeeded: boolean, now: number): void {
    const { retryBackoffMs, retryBackoffMaxMs, random } = this.#options
    this.#retryAt = now + backoffMs(this.#failures++, retryBackoffMs, retryBackoffMaxMs, random)
    if (isNeeded) {
      this.#reason ??= reason
      return
    }
    // An idle producer whose cluster is down does not knock every second.
    this.#reason = undefined
    if (this.#hasAnswered) this.#agesFrom = now
  }

  /** The instant from which on the brokers we know are given up; Infinity when nothing is wrong. */
  get rebootstrapAt(): number {
    const { metadataRecoveryStrategy, metadataRecoveryRebootstrapTriggerMs } = this.#options
    if (metadataRecoveryStrategy === 'none' || !this.#hasAnswered || this.#tryingSince === undefined) return NEVER
    return this.#tryingSince + metadataRecoveryRebootstrapTriggerMs
  }

  rebootstrapped(now: number): void {
    this.#tryingSince = now
  }

  #agesAt(): number {
    return this.#agesFrom + this.#options.metadataMaxAgeMs
  }
}
