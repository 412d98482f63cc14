// StepClock: the fake clock whose `soon` waits too, until the test takes a turn. So nothing happens but what the test does, in the order
// in which it does it, and ten thousand turns take no time. From: stage.ts.
import { FakeClock } from '../fake-clock.ts'

export class StepClock extends FakeClock {
  #soon: (() => void)[] = []

  override soon(callback: () => void): void {
    this.#soon.push(callback)
  }

  get hasTurns(): boolean {
    return this.#soon.length > 0
  }

  /** One turn of the event loop: what was asked for before it. What that asks for waits for the next one. */
  turn(): void {
    const due = this.#soon
    this.#soon = []
    for (const callback of due) callback()
  }
}
