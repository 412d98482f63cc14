// `ready()`: when is there room again? And the two water marks between which the answer lies.
// From: producer.ts (`enqueue` answers with `isAmple`, `ready` waits). To: whoever awaits `ready()`.
//
// Ample up to a half; whoever found it full is called back below three eighths, so that a loop does not start and stop with every batch.
// Unless nothing flies: then what is left cannot leave (its partition has no leader, say), and may not stop the records of others.

import type { KafkaError } from '../errors.ts'
import type { Core } from './core.ts'

const HIGH_WATER = 1 / 2
const LOW_WATER = 3 / 8

interface ReadyWait {
  readonly resolve: () => void
  readonly reject: (error: KafkaError) => void
}

export class Room {
  readonly #core: Core
  readonly #highBytes: number
  readonly #lowBytes: number
  #waits = new Set<ReadyWait>()

  constructor(core: Core) {
    this.#core = core
    this.#highBytes = core.options.bufferMemory * HIGH_WATER
    this.#lowBytes = core.options.bufferMemory * LOW_WATER
  }

  /** What `enqueue` answers. */
  get isAmple(): boolean {
    return this.#isBelow(this.#highBytes)
  }

  #isBelow(bytes: number): boolean {
    const { accumulator, line, options, taking } = this.#core
    return accumulator.arena.used <= bytes && taking.pendingPromises < options.maxPendingRecords && line.isEmpty
  }

  get #isAmpleAgain(): boolean {
    return this.#isBelow(this.#lowBytes) || (this.isAmple && !this.#core.sender.isFlying)
  }

  /** Resolves at once when there is room. The wait can be taken back with `cancel`. */
  wait(wait: ReadyWait): { cancel(): void } {
    if (this.isAmple) wait.resolve()
    else this.#waits.add(wait)
    return { cancel: () => this.#waits.delete(wait) }
  }

  /** Something was settled. */
  look(): void {
    if (this.#waits.size === 0 || !this.#isAmpleAgain) return
    const waits = this.#waits
    this.#waits = new Set()
    for (const { resolve } of waits) resolve()
  }

  rejectAll(error: KafkaError): void {
    const waits = this.#waits
    this.#waits = new Set()
    for (const { reject } of waits) reject(error)
  }
}
