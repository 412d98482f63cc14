// Deadline: one timer for all the requests of a connection. It is set for the earliest deadline and left alone when that request is
// answered: when it fires, it looks what the earliest deadline is by then. So a request costs no timer.
// From: connection.ts. To: clock.ts.
import type { Clock, Timer } from '../clock.ts'

export interface DeadlineOptions {
  readonly clock: Clock
  /** The earliest deadline of what is awaited now. Infinity: nothing is. */
  earliest(): number
  /** Grows with everything that is received. */
  progress(): number
  /** The earliest deadline has passed, and the sockets had their turn since. */
  onPassed(): void
}

/** How often a passed deadline is looked at again while something arrives. One turn of the loop reads up to 2 MiB from a socket. */
const LOOKS_MAX = 32

export class Deadline {
  readonly #options: DeadlineOptions
  #timer: Timer | undefined
  #timerAt = 0
  #isStopped = false

  constructor(options: DeadlineOptions) {
    this.#options = options
  }

  /** Something is awaited until `deadlineAt`. */
  expect(deadlineAt: number): void {
    if (this.#isStopped || (this.#timer !== undefined && this.#timerAt <= deadlineAt)) return
    this.#timer?.cancel()
    this.#timerAt = deadlineAt
    const { clock } = this.#options
    // What is awaited keeps the process alive by itself (a socket), and the timer may outlive it.
    this.#timer = clock.setTimer(deadlineAt - clock.now(), () => this.#onTimer(), false)
  }

  /** For good. */
  stop(): void {
    this.#isStopped = true
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #onTimer(): void {
    this.#timer = undefined
    if (this.#hasPassed()) this.#lookAgain(LOOKS_MAX)
  }

  // A timer that fires late, because something blocked the event loop, runs before the sockets are read: the answer may be there. So
  // the sockets get their turn first, and more turns as long as they bring something.
  #lookAgain(looksLeft: number): void {
    const { clock, progress, onPassed } = this.#options
    const seen = progress()
    clock.soon(() => {
      if (!this.#hasPassed()) return
      if (looksLeft > 1 && progress() > seen) this.#lookAgain(looksLeft - 1)
      else onPassed()
    })
  }

  #hasPassed(): boolean {
    if (this.#isStopped) return false
    const earliest = this.#options.earliest()
    if (earliest === Number.POSITIVE_INFINITY) return false
    if (earliest <= this.#options.clock.now()) return true
    this.expect(earliest)
    return false
  }
}
