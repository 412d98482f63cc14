// The line of `send` calls that found the buffer full: first come, first served, bounded in number and bytes.
// From: producer.ts, when a record finds no room or others wait already. To: accumulator.ts, which takes the head whenever room comes
// back. Nothing overtakes it, so the order per partition is the order of the calls, and a large record is not starved by small ones.
//
// It is a ring of chunks rather than one array: `shift` on a million waiting sends would move them all.

import type { KafkaError } from '../errors.ts'
import type { Generation } from './generations.ts'

/** Waited for too long, or the error that ends all waiting: the producer was closed, or has failed for good. */
export type GiveUpReason = 'timeout' | KafkaError

/** One place in the line. `take` is told to try: it answers true when it is done and the next may come. */
export interface Waiter {
  /** Monotonic: since when it waits, for `maxBlockMs`. A `sendMany` starts anew with each record that got in. */
  readonly waitingSince: number
  /** What it adds to `maxWaitingBytes`. */
  readonly bytes: number
  /** What its next record needs. */
  readonly neededBytes: number
  readonly generation: Generation
  readonly topicName: string
  /** Records that have not got in. */
  readonly recordCount: number
  /** Tries to get in; false: still no room. */
  tryEnter(): boolean
  /** It waited too long, or the producer closes: settles its records. */
  giveUp(reason: GiveUpReason, waitedMs: number): void
  /** Its caller's signal ended the wait: it is passed over. */
  isGone: boolean
  /** All of it has got in: it is no longer the line's. */
  hasEntered: boolean
}

const CHUNK = 1024

export class Line {
  // A place is empty once its waiter was passed.
  #chunks: (Waiter | undefined)[][] = []
  #headAt = 0
  #goneCount = 0
  count = 0
  bytes = 0

  /** Waiters that are kept in memory: those who wait, and of those who gave up as many again and one chunk at most. */
  get held(): number {
    return this.count + this.#goneCount
  }

  get isEmpty(): boolean {
    return this.count === 0
  }

  push(waiter: Waiter): void {
    let last = this.#chunks[this.#chunks.length - 1]
    if (last === undefined || last.length === CHUNK) {
      last = []
      this.#chunks.push(last)
    }
    last.push(waiter)
    this.count++
    this.bytes += waiter.bytes
  }

  /** A waiter was settled where it stands; it leaves the ring when it comes to the head, or when too many such stand in it. */
  abandon(waiter: Waiter): void {
    if (waiter.isGone) return
    waiter.isGone = true
    this.count--
    this.bytes -= waiter.bytes
    this.#goneCount++
    this.#closeRanks()
  }

  #closeRanks(): void {
    if (this.#goneCount <= this.count + CHUNK) return
    const waiting = this.#waiting()
    this.#chunks = []
    for (let at = 0; at < waiting.length; at += CHUNK) this.#chunks.push(waiting.slice(at, at + CHUNK))
    this.#headAt = 0
    this.#goneCount = 0
  }

  #waiting(): Waiter[] {
    const isWaiting = (waiter: Waiter | undefined): waiter is Waiter => waiter !== undefined && !waiter.isGone
    return this.#chunks.flatMap((chunk) => chunk.filter(isWaiting))
  }

  /** The first one that still waits. */
  head(): Waiter | undefined {
    for (;;) {
      const chunk = this.#chunks[0]
      if (chunk === undefined) return undefined
      const waiter = chunk[this.#headAt]
      if (waiter === undefined) return undefined
      if (!waiter.isGone) return waiter
      this.#goneCount--
      this.#advance(chunk)
    }
  }

  /** The head has got in. */
  shift(): void {
    const waiter = this.head()
    if (waiter === undefined) return
    waiter.hasEntered = true
    this.count--
    this.bytes -= waiter.bytes
    this.#advance(this.#chunks[0]!)
    this.#closeRanks()
  }

  #advance(chunk: (Waiter | undefined)[]): void {
    chunk[this.#headAt] = undefined
    this.#headAt++
    if (this.#headAt === chunk.length) {
      this.#chunks.shift()
      this.#headAt = 0
    }
  }

  /** Those who wait, first come first. Whoever goes through them changes nothing meanwhile. */
  *inOrder(): Iterable<Waiter> {
    let at = this.#headAt
    for (const chunk of this.#chunks) {
      for (; at < chunk.length; at++) if (!chunk[at]!.isGone) yield chunk[at]!
      at = 0
    }
  }

  /** Takes everybody out, for `giveUp`. */
  takeAll(): Waiter[] {
    const waiters = this.#waiting()
    this.#chunks = []
    this.#headAt = 0
    this.#goneCount = 0
    this.count = 0
    this.bytes = 0
    return waiters
  }
}
