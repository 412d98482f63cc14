// CorrelationIds: numbers the requests of one connection, and remembers which numbers no answer belongs to.
//
// A request with acks 0 has no answer, yet Azure Event Hubs sends one. It must be thrown away instead of being taken for a fault, also
// when thousands of such requests are out already. Ids are handed out in order, so runs of them are enough to remember:
//   acks 0: 1 2 3 4    answered: 5    acks 0: 6 7 8      runs: [1..4] [6..8]
//
// From, to: connection.ts.

const LAST_ID = 0x7fff_ffff
/** A connection carries requests of one kind, so there is one run, as a rule. The oldest run goes when there are more. */
const RUNS_MAX = 16

interface Run {
  readonly first: number
  last: number
}

export class CorrelationIds {
  #next: number
  readonly #unanswered: Run[] = []

  /** @param first The first id; only a test of the wrap-around has reason to choose. */
  constructor(first = 0) {
    this.#next = first
  }

  /** 0 to 2^31-1, then 0 again. */
  next(expectsAnswer: boolean): number {
    const id = this.#next
    this.#next = id === LAST_ID ? 0 : id + 1
    if (!expectsAnswer) this.#remember(id)
    return id
  }

  /** Whether `id` was given to a request without an answer, as far back as we remember. */
  isUnanswered(id: number): boolean {
    return this.#unanswered.some((run) => run.first <= id && id <= run.last)
  }

  #remember(id: number): void {
    const latest = this.#unanswered.at(-1)
    if (latest !== undefined && latest.last === id - 1) {
      latest.last = id
      return
    }
    this.#unanswered.push({ first: id, last: id })
    if (this.#unanswered.length > RUNS_MAX) this.#unanswered.shift()
  }
}
