// Idempotence: who we are to the brokers (producer id, epoch) and which number each record of a partition carries.
// From: sender.ts, which fetches producer ids, drains batches and hears of their ends. To: batch.ts, whose header takes the numbers.
//
// The broker takes a batch only if its first sequence follows the last one it has from the same (id, epoch), and answers a batch that
// it has already as if it had just come (KIP-98; it remembers the last five). So id, epoch and sequence belong to the *partition*, are
// given when a batch is first drained, and stay with it through all retries. What was never drained leaves no gap when it fails.
//
// A batch that was drained and will never arrive (it was refused, or it expired) leaves a hole: everything behind it would be
// OUT_OF_ORDER for ever. Then the partition **rebases**:
//   1. nothing new is drained;
//   2. batches that may be in the log (`isUnclear`) are repeated as they are until they are answered: their old sequence is the only
//      way to learn whether they are there. One that is refused is disowned: only the answers to those behind it tell what that means;
//   3. once nothing flies and nothing is unclear, the partition goes to epoch + 1 and sequence 0, and what is left is sealed again.
// The new epoch fences whatever of the old one is still on its way to the broker (KIP-360; the epoch is raised here, without a request).

import type { Batch } from './batch.ts'

/** A producer id as its two halves: it is only ever copied into headers. */
export interface Identity {
  readonly producerIdHigh: number
  readonly producerIdLow: number
  /** What InitProducerId answered with; partitions count up from here, each for itself. */
  readonly firstEpoch: number
}

export const EPOCH_MAX = 32_767

// Far below the day (producer.id.expiration.ms) after which a leader forgets a producer that has not written.
const REST_MS = 60_000

/** Sequences wrap from 2^31 - 1 to 0, never to a negative number. */
export function sequenceAfter(sequence: number, count: number): number {
  return (sequence + count) & 0x7fff_ffff
}

/** The state of one partition towards the broker. */
export class Sequences {
  identity: Identity | null = null
  epoch = -1
  nextSequence = 0
  /**
   * The present leader has accepted the present id and epoch. Until it has, one batch flies: a broker without state for this id accepts
   * *any* first sequence, so with two on the way the second could be taken and the first refused.
   */
  isProven: boolean
  #provenAt = 0
  isRebasing = false
  /** The `order` of the newest batch that was accepted with the present id and epoch; -1: none. */
  acceptedOrder = -1
  /** The `order` of the newest batch that failed, may be in the log, and cannot be asked for any more; -1: none. */
  unheardOrder = -1

  /** Without idempotence nothing is ever numbered, and nothing has to be proven. */
  constructor(isIdempotent: boolean) {
    this.isProven = !isIdempotent
  }

  /** Takes an identity for the first time, or another one after `EPOCH_MAX`. Nothing may be flying. */
  adopt(identity: Identity): void {
    this.identity = identity
    this.epoch = identity.firstEpoch
    this.nextSequence = 0
    this.acceptedOrder = -1
    this.unheardOrder = -1
    this.isProven = false
  }

  /** Gives a batch that has none its place in the sequence. */
  assign(batch: Batch): void {
    batch.identity = this.identity
    batch.epoch = this.epoch
    batch.baseSequence = this.nextSequence
    batch.isSealed = false
    this.nextSequence = sequenceAfter(this.nextSequence, batch.count)
  }

  /** The present leader has accepted a batch of the present id and epoch. */
  prove(now: number): void {
    this.isProven = true
    this.#provenAt = now
  }

  /** A batch leaves and nothing else flies: after a long rest the leader may have forgotten us, and has to accept us anew. */
  doubtAfterRest(now: number): void {
    if (now - this.#provenAt > REST_MS) this.isProven = false
  }

  /** A sequence that was used will never arrive. */
  startRebase(): void {
    this.isRebasing = true
    this.isProven = false
  }

  /**
   * Step 3, for the batches that wait, in their order. The caller has made sure that nothing flies and nothing is unclear.
   * Answers whether the partition can go on; false: its epochs are used up and it needs another producer id.
   */
  finishRebase(waiting: readonly Batch[]): boolean {
    this.isRebasing = false
    this.isProven = false
    this.nextSequence = 0
    this.acceptedOrder = -1
    this.unheardOrder = -1
    for (const batch of waiting) {
      batch.identity = null
      batch.epoch = -1
      batch.baseSequence = -1
      batch.isSealed = false
    }
    if (this.epoch < EPOCH_MAX) {
      this.epoch++
      return true
    }
    this.identity = null
    return false
  }
}
