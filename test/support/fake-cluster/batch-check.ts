// Batch check: whether the bytes of one partition in a Produce request are one whole batch that a broker would take.
// From: partition-log.ts. The CRC is computed by the crc-32 package, not by the kernel under test; the records are read by the plain
// decoder, which the oracle tests hold to Java's.
import crc32c from 'crc-32/crc32c.js'
import { KafkaError } from '../../../src/errors.ts'
import {
  ATTRIBUTES_AT,
  CRC_AT,
  decodeRecordBatches,
  RECORDS_AT,
  type RecordBatch,
} from '../../../src/protocol/record-batch.ts'

export interface TopicRules {
  /** `max.message.bytes`. */
  readonly maxMessageBytes: number
  /** `cleanup.policy=compact`: records need a key. */
  readonly compacted: boolean
}

export interface Refusal {
  readonly kind: 'refused'
  readonly error: string
  readonly message: string
  /** Single records of a batch that is refused as a whole (KIP-467), by index. */
  readonly records: Readonly<Record<number, string>>
  /** A client that keeps the rules never sends this. */
  readonly isViolation: boolean
}

export type CheckedBatch = { readonly kind: 'batch'; readonly batch: RecordBatch; readonly raw: Buffer } | Refusal

const ZSTD = 'zstd'

/** `bytes` is copied: what is kept does not hang on the request's buffer. */
export function checkBatch(bytes: Uint8Array | null, rules: TopicRules, produceVersion: number): CheckedBatch {
  if (bytes === null || bytes.length === 0) return violation('INVALID_RECORD', 'a partition without a batch')
  const raw = Buffer.from(bytes)
  if (raw.length < RECORDS_AT) return violation('CORRUPT_MESSAGE', `${raw.length} bytes are no batch`)
  if (raw.readInt32BE(8) !== raw.length - 12) {
    return violation('INVALID_RECORD', `a batch length of ${raw.readInt32BE(8)} in ${raw.length} bytes: not one batch`)
  }
  if (raw.length > rules.maxMessageBytes) {
    return refusal('MESSAGE_TOO_LARGE', `${raw.length} bytes, the topic takes ${rules.maxMessageBytes}`)
  }
  const computed = crc32c.buf(raw.subarray(ATTRIBUTES_AT), 0) >>> 0
  const claimed = raw.readUInt32BE(CRC_AT)
  if (computed !== claimed) {
    return violation('CORRUPT_MESSAGE', `CRC-32C ${computed.toString(16)}, the batch says ${claimed.toString(16)}`)
  }
  try {
    const [batch] = decodeRecordBatches(raw, { checkCrc: false })
    return checkContents(batch!, raw, rules, produceVersion)
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error
    return violation('INVALID_RECORD', error.message)
  }
}

function checkContents(batch: RecordBatch, raw: Buffer, rules: TopicRules, produceVersion: number): CheckedBatch {
  if (!batch.baseOffset.isZero()) return violation('INVALID_RECORD', `base offset ${batch.baseOffset} from a client`)
  if (batch.isControl) return violation('INVALID_RECORD', 'a control batch from a client')
  if (batch.recordCount < 1) return violation('INVALID_RECORD', 'a batch without records')
  if (batch.lastOffsetDelta !== batch.recordCount - 1) {
    return violation('INVALID_RECORD', `${batch.recordCount} records end at offset delta ${batch.lastOffsetDelta}`)
  }
  const hasProducerId = !batch.producerId.equals(-1)
  if (hasProducerId !== batch.producerEpoch >= 0 || hasProducerId !== batch.baseSequence >= 0) {
    const { producerId, producerEpoch, baseSequence } = batch
    return violation('INVALID_RECORD', `producer ${producerId} epoch ${producerEpoch} sequence ${baseSequence}`)
  }
  if (batch.codec === ZSTD && produceVersion < 7) {
    return violation('UNSUPPORTED_COMPRESSION_TYPE', `zstd in Produce v${produceVersion}`)
  }
  const records = batch.records ?? []
  if (rules.compacted && records.some((record) => record.key === null)) {
    const culprits = [...records.keys()].filter((index) => records[index]!.key === null)
    return {
      ...refusal('INVALID_RECORD', 'One or more records have been rejected'),
      records: Object.fromEntries(
        culprits.map((index) => [index, 'Compacted topic cannot accept message without key']),
      ),
    }
  }
  return { kind: 'batch', batch, raw }
}

const refusal = (error: string, message: string): Refusal => ({
  kind: 'refused',
  error,
  message,
  records: {},
  isViolation: false,
})

const violation = (error: string, message: string): Refusal => ({ ...refusal(error, message), isViolation: true })
