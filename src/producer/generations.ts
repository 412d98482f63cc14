// What `flush` waits for. Each record belongs to the generation that was current when it was handed over; `flush` ends the current one
// and waits until all up to it have settled: in batches, in the line, or staged, through splits and retries alike.
// From: producer.ts (a record was accepted), settle-queue.ts (records have settled). To: flush.ts and close.
//
// Costs one counter change a record accepted and one a batch settled; a generation that holds nothing is not ended again, so many
// flushes in a row share one.

export interface Generation {
  readonly number: number
  /** Records accepted and not settled. */
  outstanding: number
}

interface Waiter {
  readonly upTo: number
  outstanding: number
  delivered: number
  failed: number
  readonly done: (report: { delivered: number; failed: number }) => void
}

/** A flush in progress; `cancel` when its caller does not wait any more. */
export interface FlushWait {
  readonly outstanding: number
  /** What has settled so far. */
  readonly report: { readonly delivered: number; readonly failed: number }
  cancel(): void
}

export class Generations {
  current: Generation = { number: 1, outstanding: 0 }
  /** Records accepted and not settled, in all. */
  outstanding = 0
  /** The newest generation that a flush has asked for: its batches are due at once. */
  flushedUpTo = 0
  #waiters: Waiter[] = []

  accept(): Generation {
    this.current.outstanding++
    this.outstanding++
    return this.current
  }

  /** `sendMany` hands over its records as room comes, all in the generation of the call. */
  acceptInto(generation: Generation, count: number): void {
    generation.outstanding += count
    this.outstanding += count
  }

  settled(generation: Generation, delivered: number, failed: number): void {
    const count = delivered + failed
    generation.outstanding -= count
    this.outstanding -= count
    if (this.#waiters.length === 0) return
    let isAnyDone = false
    for (const waiter of this.#waiters) {
      if (generation.number > waiter.upTo) continue
      waiter.outstanding -= count
      waiter.delivered += delivered
      waiter.failed += failed
      if (waiter.outstanding === 0) isAnyDone = true
    }
    if (!isAnyDone) return
    const done = this.#waiters.filter((waiter) => waiter.outstanding === 0)
    this.#waiters = this.#waiters.filter((waiter) => waiter.outstanding !== 0)
    for (const waiter of done) waiter.done({ delivered: waiter.delivered, failed: waiter.failed })
  }

  /** Ends the current generation and waits for everything up to it. `done` is called at once when nothing is out. */
  flush(done: (report: { delivered: number; failed: number }) => void): FlushWait {
    if (this.current.outstanding > 0) {
      this.current = { number: this.current.number + 1, outstanding: 0 }
    }
    const upTo = this.current.number - 1
    this.flushedUpTo = upTo
    const waiter: Waiter = {
      upTo,
      outstanding: this.outstanding - this.current.outstanding,
      delivered: 0,
      failed: 0,
      done,
    }
    if (waiter.outstanding === 0) done({ delivered: 0, failed: 0 })
    else this.#waiters.push(waiter)
    return {
      get outstanding() {
        return waiter.outstanding
      },
      get report() {
        return { delivered: waiter.delivered, failed: waiter.failed }
      },
      cancel: () => {
        this.#waiters = this.#waiters.filter((other) => other !== waiter)
      },
    }
  }
}
