// InFlight: the requests of one connection that are under way, in the order in which they were written.
// From, to: connection.ts.
import type { Pending } from './exchange.ts'
import { Fifo } from './fifo.ts'

export class InFlight {
  /** Its bound is the senders': `maxInFlightRequestsPerConnection`, and a few control requests. */
  readonly #awaited = new Fifo<Pending>()
  /** Requests without an answer are over once written. Bounded likewise: nobody sends while the socket holds unsent bytes. */
  readonly #unwritten = new Set<Pending>()

  get count(): number {
    return this.#awaited.length + this.#unwritten.size
  }

  add(pending: Pending): void {
    if (pending.options.expectsAnswer) this.#awaited.push(pending)
    else this.#unwritten.add(pending)
  }

  /** The oldest that expects an answer: the next answer must be its. */
  get oldest(): Pending | undefined {
    return this.#awaited.peek()
  }

  answered(): void {
    this.#awaited.shift()
  }

  written(pending: Pending): void {
    this.#unwritten.delete(pending)
  }

  /** The one whose deadline is the earliest. */
  get mostUrgent(): Pending | undefined {
    let earliest: Pending | undefined
    this.#each((pending) => {
      if (earliest === undefined || pending.deadlineAt < earliest.deadlineAt) earliest = pending
    })
    return earliest
  }

  extendDeadlines(byMs: number): void {
    this.#each((pending) => {
      pending.deadlineAt += byMs
    })
  }

  /** Takes all of them out, oldest first. */
  removeAll(): Pending[] {
    const all: Pending[] = []
    this.#each((pending) => all.push(pending))
    this.#awaited.clear()
    this.#unwritten.clear()
    return all
  }

  #each(visit: (pending: Pending) => void): void {
    this.#awaited.forEach(visit)
    this.#unwritten.forEach(visit)
  }
}
