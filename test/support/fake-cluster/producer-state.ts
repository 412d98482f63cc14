// ProducerState: what the leader of a partition remembers of each producer id, so that a batch sent twice is stored once (KIP-98, KIP-360).
// From: partition-log.ts, one for each partition. The rules are those of Kafka's ProducerStateManager and ProducerAppendInfo:
//   nothing known of the id              any first sequence is taken
//   older epoch                          INVALID_PRODUCER_EPOCH
//   newer epoch                          must begin at sequence 0, else OUT_OF_ORDER_SEQUENCE_NUMBER
//   one of the last five batches again   answered with its first offset, stored once; the window does not move
//   sequence that does not follow        OUT_OF_ORDER_SEQUENCE_NUMBER; 2147483647 is followed by 0

export interface SequencedBatch {
  /** Decimal: producer ids are int64. */
  readonly producerId: string
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly recordCount: number
}

export type Verdict =
  | { readonly kind: 'append' }
  | { readonly kind: 'duplicate'; readonly baseOffset: number }
  | {
      readonly kind: 'refuse'
      readonly error: 'OUT_OF_ORDER_SEQUENCE_NUMBER' | 'INVALID_PRODUCER_EPOCH'
      readonly message: string
      /** Of a batch that is out of order: the sequence that is next. */
      readonly expected?: number
    }

interface RememberedBatch {
  readonly baseSequence: number
  readonly lastSequence: number
  readonly baseOffset: number
}

interface Entry {
  epoch: number
  /** Oldest first, at most five. */
  batches: RememberedBatch[]
}

/** As in Kafka: the reason why at most five requests may be in flight with idempotence. */
export const BATCHES_REMEMBERED = 5

export const sequenceAfter = (sequence: number, count: number): number => (sequence + count) % 2_147_483_648

export class ProducerState {
  readonly #entries = new Map<string, Entry>()

  judge(batch: SequencedBatch): Verdict {
    const entry = this.#entries.get(batch.producerId)
    if (entry === undefined) return { kind: 'append' }
    if (batch.producerEpoch < entry.epoch) {
      return {
        kind: 'refuse',
        error: 'INVALID_PRODUCER_EPOCH',
        message: `epoch ${batch.producerEpoch} of producer ${batch.producerId} is older than ${entry.epoch}`,
      }
    }
    if (batch.producerEpoch > entry.epoch) {
      return batch.baseSequence === 0 ? { kind: 'append' } : outOfOrder(batch, 0)
    }
    const lastSequence = sequenceAfter(batch.baseSequence, batch.recordCount - 1)
    const stored = entry.batches.find(
      (each) => each.baseSequence === batch.baseSequence && each.lastSequence === lastSequence,
    )
    if (stored !== undefined) return { kind: 'duplicate', baseOffset: stored.baseOffset }
    const expected = sequenceAfter(entry.batches.at(-1)!.lastSequence, 1)
    return batch.baseSequence === expected ? { kind: 'append' } : outOfOrder(batch, expected)
  }

  /** The batch was stored at this offset. */
  appended(batch: SequencedBatch, baseOffset: number): void {
    let entry = this.#entries.get(batch.producerId)
    if (entry === undefined || entry.epoch !== batch.producerEpoch) {
      entry = { epoch: batch.producerEpoch, batches: [] }
      this.#entries.set(batch.producerId, entry)
    }
    const lastSequence = sequenceAfter(batch.baseSequence, batch.recordCount - 1)
    entry.batches.push({ baseSequence: batch.baseSequence, lastSequence, baseOffset })
    if (entry.batches.length > BATCHES_REMEMBERED) entry.batches.shift()
  }

  /** As after a restart: what Kafka writes down of a producer, and reads again, is its last batch alone. */
  rememberLastOnly(): void {
    for (const entry of this.#entries.values()) entry.batches.splice(0, entry.batches.length - 1)
  }

  /** As after `producer.id.expiration.ms`, or when retention took all records. */
  forget(): void {
    this.#entries.clear()
  }
}

const outOfOrder = (batch: SequencedBatch, expected: number): Verdict => ({
  kind: 'refuse',
  error: 'OUT_OF_ORDER_SEQUENCE_NUMBER',
  message: `producer ${batch.producerId} epoch ${batch.producerEpoch} sent sequence ${batch.baseSequence}, but ${expected} is next`,
  expected,
})
