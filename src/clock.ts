// The only door to time: nothing else in src/ asks for it, so that tests can run a whole producer on a clock of their own.
// From: the system, or a fake in test/support. To: everybody who needs a deadline or a timestamp.

/** A timer that has been set; `cancel` may be called any number of times. */
export interface Timer {
  cancel(): void
}

/** What the producer knows of time. Two kinds: `now` never jumps and is for deadlines, `wallTimeMs` is for what users read. */
export interface Clock {
  /** Monotonic milliseconds, with fractions; only differences mean anything. */
  now(): number
  /** Epoch milliseconds, whole, as in a record's timestamp. */
  wallTimeMs(): number
  /**
   * Calls `callback` once, no earlier than `delayMs` from now.
   * With `keepAlive: false` the timer does not keep the process running.
   */
  setTimer(delayMs: number, callback: () => void, keepAlive?: boolean): Timer
  /** Calls `callback` after the I/O events that are ready now (`setImmediate`). It keeps the process running until then. */
  soon(callback: () => void): void
}

// setTimeout fires at once for anything above 2^31 - 1 (and for NaN): a longer wait is cut, and whoever set it looks again.
const LONGEST_TIMER_MS = 2_147_483_647

export const systemClock: Clock = {
  now: () => performance.now(),
  wallTimeMs: () => Date.now(),
  setTimer(delayMs, callback, keepAlive = true) {
    const timer = setTimeout(callback, Math.min(Math.max(0, Math.ceil(delayMs)), LONGEST_TIMER_MS))
    if (!keepAlive) timer.unref()
    return { cancel: () => clearTimeout(timer) }
  },
  soon(callback) {
    setImmediate(callback)
  },
}
