// No record settles later than its deadline, whatever else is broken: this hangs on nothing but the clock.
// From: accumulator.ts and taking.ts, by way of core.ts, which say what waits until when. To: `sweep`, which settles what is over.
//
// One timer, set for the earliest deadline there is. When all settle in time it still fires once, finds nothing and is not set again: that
// is cheaper than to set and clear it with every record of a quiet producer, and it does not keep the process alive. A timer that fires
// late (the event loop was blocked, the process was frozen) looks after the sockets had their turn: an answer that is already here counts.

import type { Clock } from '../clock.ts'
import { LazyTimer } from '../net/timers.ts'

// Two deadlines closer than this share a look.
const TICK_MS = 5

export class Deadlines {
  readonly #clock: Clock
  readonly #timer: LazyTimer
  #at = Number.POSITIVE_INFINITY
  #isLookDue = false

  /** @param sweep settles what is over at `now` and answers the earliest deadline that is left. */
  constructor(clock: Clock, sweep: (now: number) => number) {
    this.#clock = clock
    this.#timer = new LazyTimer(clock, () => {
      this.#at = Number.POSITIVE_INFINITY
      this.#isLookDue = true
      clock.soon(() => {
        if (!this.#isLookDue) return
        this.#isLookDue = false
        this.expect(sweep(clock.now()))
      })
    })
  }

  /** Something is over at `at`. Costs a comparison unless it is the first to be. */
  expect(at: number): void {
    if (at >= this.#at) return
    this.#at = at
    this.#timer.set(Math.max(at, this.#clock.now() + TICK_MS))
  }

  clear(): void {
    this.#at = Number.POSITIVE_INFINITY
    this.#isLookDue = false
    this.#timer.clear()
  }
}
