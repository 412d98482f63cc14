// FakeClock: time that moves when a test says so. Timers fire inside `advance`; `soon` is the real `setImmediate`, so that real sockets
// get their turn. From: tests. To: anything that takes a Clock.
import type { Clock, Timer } from '../../src/clock.ts'

interface FakeTimer {
  readonly at: number
  readonly keepAlive: boolean
  readonly callback: () => void
}

export class FakeClock implements Clock {
  #nowMs: number
  readonly #wallOffsetMs: number
  /** In the order in which they were set. */
  readonly #timers = new Set<FakeTimer>()

  /** @param wallTimeMs What `wallTimeMs` says at the start. */
  constructor(wallTimeMs = Date.UTC(2026, 0, 1)) {
    // Not 0: code that takes 0 for "never" must not pass by accident.
    this.#nowMs = 1_000
    this.#wallOffsetMs = wallTimeMs - this.#nowMs
  }

  now(): number {
    return this.#nowMs
  }

  wallTimeMs(): number {
    return Math.floor(this.#nowMs + this.#wallOffsetMs)
  }

  setTimer(delayMs: number, callback: () => void, keepAlive = true): Timer {
    const timer = { at: this.#nowMs + Math.max(0, delayMs), keepAlive, callback }
    this.#timers.add(timer)
    return { cancel: () => void this.#timers.delete(timer) }
  }

  soon(callback: () => void): void {
    setImmediate(callback)
  }

  /** Moves time on; every timer fires at its own instant, in order, those set meanwhile included. */
  advance(byMs: number): void {
    const target = this.#nowMs + byMs
    for (let next = this.#dueBy(target); next !== undefined; next = this.#dueBy(target)) {
      this.#nowMs = Math.max(this.#nowMs, next.at)
      this.#fire(next)
    }
    this.#nowMs = target
  }

  /** As after a blocked event loop: time has moved on before the first timer fires. */
  advanceLate(byMs: number): void {
    this.#nowMs += byMs
    for (let next = this.#dueBy(this.#nowMs); next !== undefined; next = this.#dueBy(this.#nowMs)) this.#fire(next)
  }

  /** In how many ms each timer that is set will fire, soonest first. */
  get pendingDelaysMs(): number[] {
    return [...this.#timers].map((timer) => timer.at - this.#nowMs).sort((a, b) => a - b)
  }

  /** Timers that would keep a process running. */
  get keepAliveCount(): number {
    return [...this.#timers].filter((timer) => timer.keepAlive).length
  }

  #dueBy(instant: number): FakeTimer | undefined {
    let due: FakeTimer | undefined
    for (const timer of this.#timers) if (timer.at <= instant && (due === undefined || timer.at < due.at)) due = timer
    return due
  }

  #fire(timer: FakeTimer): void {
    this.#timers.delete(timer)
    timer.callback()
  }
}
