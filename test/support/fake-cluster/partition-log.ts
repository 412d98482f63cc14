// PartitionLog: what one partition has stored, in order, with what its leader remembers of producers.
// From: handlers/produce.ts, which appends. To: the test, which reads records and batches back.
// Bound: `bytesKept`; past it the oldest batches go and the log start moves, as retention would do it.

import type { BatchRecordHeader } from '../../../src/protocol/record.ts'
import type { RecordBatch } from '../../../src/protocol/record-batch.ts'
import { ProducerState, type SequencedBatch } from './producer-state.ts'

export interface StoredRecord {
  readonly offset: number
  /** Epoch milliseconds. */
  readonly timestamp: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly BatchRecordHeader[]
}

/** Where a batch came from. */
export interface BatchOrigin {
  readonly broker: number
  readonly connection: number
  readonly produceVersion: number
}

export interface StoredBatch extends BatchOrigin {
  readonly baseOffset: number
  /** -1 without idempotence. */
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly recordCount: number
  /** As they came, base offset 0 included. */
  readonly raw: Buffer
  readonly batch: RecordBatch
}

export type Appended =
  | { readonly kind: 'stored' | 'duplicate'; readonly baseOffset: number }
  | {
      readonly kind: 'refused'
      readonly error: string
      readonly message: string
      readonly expected: number | undefined
    }

export const BYTES_KEPT = 256 * 1024 * 1024

export class PartitionLog {
  readonly producers = new ProducerState()
  readonly #bytesKept: number
  #batches: StoredBatch[] = []
  #bytes = 0
  #nextOffset = 0

  constructor(bytesKept = BYTES_KEPT) {
    this.#bytesKept = bytesKept
  }

  get batches(): readonly StoredBatch[] {
    return this.#batches
  }

  get nextOffset(): number {
    return this.#nextOffset
  }

  /** The first offset that is still there. */
  get startOffset(): number {
    return this.#batches[0]?.baseOffset ?? this.#nextOffset
  }

  append(batch: RecordBatch, raw: Buffer, origin: BatchOrigin): Appended {
    const sequenced = sequencedBatch(batch)
    if (sequenced !== undefined) {
      const verdict = this.producers.judge(sequenced)
      if (verdict.kind === 'refuse') {
        return { kind: 'refused', error: verdict.error, message: verdict.message, expected: verdict.expected }
      }
      if (verdict.kind === 'duplicate') return verdict
    }
    const baseOffset = this.#nextOffset
    this.#nextOffset += batch.recordCount
    this.#bytes += raw.length
    this.#batches.push({
      ...origin,
      baseOffset,
      producerId: batch.producerId.toNumber(),
      producerEpoch: batch.producerEpoch,
      baseSequence: batch.baseSequence,
      recordCount: batch.recordCount,
      raw,
      batch,
    })
    if (sequenced !== undefined) this.producers.appended(sequenced, baseOffset)
    while (this.#bytes > this.#bytesKept) this.#bytes -= this.#batches.shift()!.raw.length
    return { kind: 'stored', baseOffset }
  }

  /** Records of compressed batches are not looked into. */
  records(): StoredRecord[] {
    return this.#batches.flatMap(({ baseOffset, batch }) =>
      (batch.records ?? []).map((record, index) => ({
        offset: baseOffset + index,
        timestamp: record.timestamp.toNumber(),
        key: asBuffer(record.key),
        value: asBuffer(record.value),
        headers: record.headers,
      })),
    )
  }
}

function sequencedBatch(batch: RecordBatch): SequencedBatch | undefined {
  if (batch.producerId.equals(-1)) return undefined
  const { producerEpoch, baseSequence, recordCount } = batch
  return { producerId: batch.producerId.toString(), producerEpoch, baseSequence, recordCount }
}

const asBuffer = (bytes: Uint8Array | null): Buffer | null =>
  bytes === null ? null : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
