// Timers: the two shapes in which this layer uses the clock. One lazy timer an object, which never keeps the process alive; and one
// anchor a pool, which does while somebody's promise depends on what those timers will do.
// From: lane.ts, control.ts, campaign.ts, cluster.ts, broker-pool.ts. To: clock.ts.
import type { Clock, Timer } from '../clock.ts'

/** One timer that is set anew instead of added to. It never keeps the process alive: see `Anchor`. */
export class LazyTimer {
  readonly #clock: Clock
  readonly #callback: () => void
  #at = Number.POSITIVE_INFINITY
  #timer: Timer | undefined

  constructor(clock: Clock, callback: () => void) {
    this.#clock = clock
    this.#callback = callback
  }

  /** Calls back at the instant `at` of `clock.now()`, and no more at what was set before. Infinity: not at all. */
  set(at: number): void {
    this.#timer?.cancel()
    this.#at = at
    this.#timer =
      at === Number.POSITIVE_INFINITY
        ? undefined
        : this.#clock.setTimer(Math.max(0, at - this.#clock.now()), () => this.#fire(), false)
  }

  clear(): void {
    this.set(Number.POSITIVE_INFINITY)
  }

  // A timer can come a fraction of a millisecond early, and 24 days are the longest there is: then the rest is waited for.
  #fire(): void {
    if (this.#clock.now() < this.#at) {
      this.set(this.#at)
      return
    }
    this.#timer = undefined
    this.#at = Number.POSITIVE_INFINITY
    this.#callback()
  }
}

const FAR_MS = 2_147_483_647

/** Keeps the process alive while it is held at least once. */
export class Anchor {
  readonly #clock: Clock
  #held = 0
  #timer: Timer | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Returns what lets go again; a second call of that does nothing. */
  hold(): () => void {
    this.#held++
    if (this.#timer === undefined) this.#drop()
    let holding = true
    return () => {
      if (!holding) return
      holding = false
      if (--this.#held > 0) return
      this.#timer?.cancel()
      this.#timer = undefined
    }
  }

  #drop(): void {
    this.#timer = this.#clock.setTimer(FAR_MS, () => this.#drop(), true)
  }
}
