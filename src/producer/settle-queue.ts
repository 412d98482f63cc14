// Callbacks last: what has been decided waits here until bookkeeping is done and the next requests are on the wire, and is then called
// back in order, a few milliseconds at a time, so that a million callbacks do not stall the event loop.
// From: sender.ts, deadlines.ts, accumulator.ts (batches with a settlement, records that were refused). To: the user's code.
//
// Bound: batches are bounded by bufferMemory; refusals by REFUSALS_MAX, past which they are counted and logged instead of called.

import type { Clock } from '../clock.ts'
import type { KafkaError } from '../errors.ts'
import type { Log } from '../logger.ts'
import type { Batch, DeliveryObserver, SlotGroup } from './batch.ts'
import type { Generation, Generations } from './generations.ts'
import { SLOT_CALLBACK, SLOT_GROUP, SLOT_NOBODY, SLOT_PROMISE, type SlotKind, type SlotsPool } from './slots.ts'
import type { DeliveryCallback } from './types.ts'

/** A record that never got into a batch. */
interface Refusal {
  readonly kind: SlotKind
  readonly first: unknown
  readonly second: unknown
  readonly error: KafkaError
  readonly generation: Generation
}

const REFUSALS_MAX = 100_000
const SLICE_MS = 5
// Records called back between two looks at the clock: doubling from 1 up to this, and from 1 again after callbacks that took long, since
// nobody knows what a callback does.
const CHUNK_MAX = 64
const LONG_MS = 1

export class SettleQueue {
  #items: (Batch | Refusal)[] = []
  #headAt = 0
  // Records of the head batch that were called back already.
  #inHead = 0
  #isRunning = false
  #refusalsWaiting = 0
  readonly #pool: SlotsPool
  readonly #generations: Generations
  readonly #clock: Clock
  readonly #log: Log
  readonly #observer: DeliveryObserver | null
  readonly #onPromises: (count: number) => void
  /** Refusals that could not be called back because too many waited. */
  refusalsUncalled = 0

  /** @param onPromises that many promises have settled */
  constructor(
    pool: SlotsPool,
    generations: Generations,
    clock: Clock,
    log: Log,
    observer: DeliveryObserver | null,
    onPromises: (count: number) => void,
  ) {
    this.#pool = pool
    this.#generations = generations
    this.#clock = clock
    this.#log = log
    this.#observer = observer
    this.#onPromises = onPromises
  }

  get isEmpty(): boolean {
    return this.#headAt === this.#items.length
  }

  push(batch: Batch): void {
    this.#items.push(batch)
  }

  /**
   * A record that got into no batch, or out of one. Past the bound it is counted and logged instead, unless a promise waits for it. Nobody's
   * code is called from here, an interceptor's neither: it might refuse the next one.
   */
  refuse(kind: SlotKind, first: unknown, second: unknown, error: KafkaError, generation: Generation): void {
    if (this.#refusalsWaiting >= REFUSALS_MAX && (kind === SLOT_CALLBACK || kind === SLOT_NOBODY)) {
      this.refusalsUncalled++
      this.#log.error(
        { code: error.code, uncalled: this.refusalsUncalled },
        `a refused record was not called back: ${error.message}`,
      )
      this.#generations.settled(generation, 0, 1)
      return
    }
    this.#refusalsWaiting++
    this.#items.push({ kind, first, second, error, generation })
  }

  /** Calls back for at most 5 ms; answers whether something is left. Does nothing when called from a callback. */
  run(): boolean {
    if (this.#isRunning) return !this.isEmpty
    this.#isRunning = true
    let lookedAt = this.#clock.now()
    const until = lookedAt + SLICE_MS
    let chunk = 1
    while (this.#headAt < this.#items.length) {
      const item = this.#items[this.#headAt]!
      if ('error' in item) {
        this.#advance()
        this.#refusalsWaiting--
        this.#callRefusal(item)
      } else {
        this.#inHead = item.callBack(this.#inHead, chunk, this.#observer, this.#onFault)
        if (this.#inHead === item.count) {
          this.#advance()
          this.#finish(item)
        }
      }
      const now = this.#clock.now()
      if (now >= until) break
      chunk = now - lookedAt > LONG_MS ? 1 : Math.min(CHUNK_MAX, chunk * 2)
      lookedAt = now
    }
    this.#isRunning = false
    return !this.isEmpty
  }

  #advance(): void {
    this.#inHead = 0
    this.#headAt++
    if (this.#headAt === this.#items.length) {
      this.#items = []
      this.#headAt = 0
    } else if (this.#headAt > 1024 && this.#headAt * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#headAt)
      this.#headAt = 0
    }
  }

  #finish(batch: Batch): void {
    const count = batch.count - batch.goneCount
    if (batch.unheardCount > 0 && batch.settlement?.kind === 'failed') {
      const { error } = batch.settlement
      this.#log.warn(
        { code: error.code, records: batch.unheardCount, err: error },
        'records failed and nobody asked to be told',
      )
    }
    this.#pool.give(batch.slots)
    if (batch.promiseCount > 0) this.#onPromises(batch.promiseCount)
    if (batch.settlement!.kind === 'delivered') this.#generations.settled(batch.generation, count, 0)
    else this.#generations.settled(batch.generation, 0, count)
  }

  #callRefusal({ kind, first, second, error, generation }: Refusal): void {
    try {
      this.#observer?.(error, null)
      if (kind === SLOT_CALLBACK) (first as DeliveryCallback<unknown>)(error, null, second)
      else if (kind === SLOT_PROMISE) {
        this.#onPromises(1)
        ;(second as (error: KafkaError) => void)(error)
      } else if (kind === SLOT_GROUP) (first as SlotGroup).settled(second as number, error, null)
    } catch (fault) {
      this.#onFault(fault)
    }
    this.#generations.settled(generation, 0, 1)
  }

  readonly #onFault = (fault: unknown): void => {
    this.#log.error({ err: fault }, 'a delivery callback threw; other callbacks are not affected')
  }
}
