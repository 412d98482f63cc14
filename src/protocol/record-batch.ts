// Record batch, magic 2: what stands in a Produce request and in the log (KIP-98).
//
//    0 baseOffset            i64   given by the broker; a producer writes 0
//    8 batchLength           i32   bytes from 12 to the end
//   12 partitionLeaderEpoch  i32   given by the broker; a producer writes -1
//   16 magic                 i8    2
//   17 crc                   u32   CRC-32C of everything from 21 to the end
//   21 attributes            i16   bits 0-2 codec, 3 timestamps of the append, 4 transactional, 5 control, 6 delete horizon
//   23 lastOffsetDelta       i32   records - 1
//   27 baseTimestamp         i64   the first record's
//   35 maxTimestamp          i64   the latest, or the time of the append
//   43 producerId            i64   -1 without idempotence
//   51 producerEpoch         i16   -1
//   53 baseSequence          i32   -1
//   57 recordCount           i32
//   61 records               one after the other (record.ts); with a codec, compressed as one stream
//
// This is the plain form, for tests and for the broker side of them; producer/record-encoder.ts has the fast one. Both know the header's
// offsets from here.
import Long from 'long'
import { crc32c } from './crc32c.ts'
import { Reader } from './reader.ts'
import {
  type BatchRecord,
  corrupt,
  corruptAt,
  decodeRecords,
  encodeRecords,
  type RecordContext,
  type RecordToEncode,
} from './record.ts'
import { Writer } from './writer.ts'

export const BASE_OFFSET_AT = 0
export const BATCH_LENGTH_AT = 8
export const PARTITION_LEADER_EPOCH_AT = 12
export const MAGIC_AT = 16
export const CRC_AT = 17
/** Here the part begins that the CRC covers. */
export const ATTRIBUTES_AT = 21
export const LAST_OFFSET_DELTA_AT = 23
export const BASE_TIMESTAMP_AT = 27
export const MAX_TIMESTAMP_AT = 35
export const PRODUCER_ID_AT = 43
export const PRODUCER_EPOCH_AT = 51
export const BASE_SEQUENCE_AT = 53
export const RECORD_COUNT_AT = 57
/** Also the size of the header. */
export const RECORDS_AT = 61

// batchLength counts from here.
const BATCH_LENGTH_FROM = 12
const MAGIC = 2

const CODEC_MASK = 0x07
const LOG_APPEND_TIME_BIT = 0x08
const TRANSACTIONAL_BIT = 0x10
const CONTROL_BIT = 0x20

// By codec id, the lowest three bits of the attributes.
const codecNames = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const

export type CodecName = (typeof codecNames)[number]

export interface RecordBatch extends RecordContext {
  readonly partitionLeaderEpoch: number
  /** As it stands in the batch. */
  readonly crc: number
  readonly attributes: number
  readonly codec: CodecName
  readonly isTransactional: boolean
  readonly isControl: boolean
  readonly producerId: Long
  readonly producerEpoch: number
  readonly baseSequence: number
  /** Header included. */
  readonly sizeInBytes: number
  /** The bytes from `RECORDS_AT` on, as they are. */
  readonly recordsSection: Uint8Array
  /** `null` when the section is compressed: decompress it and give it to `decodeRecords`. */
  readonly records: readonly BatchRecord[] | null
}

export interface DecodeOptions {
  /** Default true. */
  readonly checkCrc?: boolean
  /** What to do about bytes at the end that are no whole batch: `'refuse'` (default), or `'ignore'`, as an answer to Fetch asks for. */
  readonly incompleteTail?: 'refuse' | 'ignore'
}

/**
 * All batches in `bytes`, strictly: every length, count and offset delta is checked, and nothing may be left over, inside or behind.
 *
 * @throws CORRUPT_MESSAGE naming the batch and the byte.
 */
export function decodeRecordBatches(bytes: Uint8Array, options: DecodeOptions = {}): RecordBatch[] {
  const batches: RecordBatch[] = []
  let start = 0
  while (start < bytes.length) {
    const at = `record batch ${batches.length} at byte ${start}`
    const sizeInBytes = batchSizeAt(bytes, start, at)
    if (sizeInBytes === undefined || sizeInBytes > bytes.length - start) {
      if (options.incompleteTail === 'ignore') break
      const wanted = sizeInBytes === undefined ? 'no size' : `${sizeInBytes} bytes`
      throw corrupt(`${at} has ${wanted}, where only ${bytes.length - start} bytes are left`)
    }
    batches.push(decodeOne(bytes, start, start + sizeInBytes, at, options.checkCrc ?? true))
    start += sizeInBytes
  }
  return batches
}

export interface EncodeOptions {
  readonly baseOffset?: Long | number
  readonly partitionLeaderEpoch?: number
  readonly producerId?: Long | number
  readonly producerEpoch?: number
  readonly baseSequence?: number
  readonly isTransactional?: boolean
  readonly isControl?: boolean
  /** The batch's time of append, as a broker writes it where the topic asks for it. */
  readonly logAppendTimeMs?: Long | number
}

/** One uncompressed batch, as the Java producer would write it when no option is given. At least one record. */
export function encodeRecordBatch(records: readonly RecordToEncode[], options: EncodeOptions = {}): Uint8Array {
  if (records.length === 0) throw new RangeError('a batch has at least one record')
  const timestamps = records.map((record) => Long.fromValue(record.timestamp))
  const baseTimestamp = timestamps[0]!
  const maxTimestamp = timestamps.reduce((latest, each) => (each.greaterThan(latest) ? each : latest))
  const attributes =
    (options.logAppendTimeMs === undefined ? 0 : LOG_APPEND_TIME_BIT) |
    (options.isTransactional ? TRANSACTIONAL_BIT : 0) |
    (options.isControl ? CONTROL_BIT : 0)

  const section = encodeRecords(records, baseTimestamp)
  const covered = new Writer(RECORDS_AT - ATTRIBUTES_AT + section.length)
    .int16(attributes)
    .int32(records.length - 1)
    .int64(baseTimestamp)
    .int64(options.logAppendTimeMs === undefined ? maxTimestamp : Long.fromValue(options.logAppendTimeMs))
    .int64(Long.fromValue(options.producerId ?? -1))
    .int16(options.producerEpoch ?? -1)
    .int32(options.baseSequence ?? -1)
    .int32(records.length)
    .raw(section)
    .finish()
  return new Writer(ATTRIBUTES_AT + covered.length)
    .int64(Long.fromValue(options.baseOffset ?? 0))
    .int32(ATTRIBUTES_AT - BATCH_LENGTH_FROM + covered.length)
    .int32(options.partitionLeaderEpoch ?? -1)
    .int8(MAGIC)
    .uint32(crc32c(covered))
    .raw(covered)
    .finish()
}

// The whole size that the batch claims, or nothing when not even that is there.
function batchSizeAt(bytes: Uint8Array, start: number, at: string): number | undefined {
  if (bytes.length - start < BATCH_LENGTH_FROM) return undefined
  const batchLength = new Reader(bytes, start + BATCH_LENGTH_AT).int32()
  if (batchLength < RECORDS_AT - BATCH_LENGTH_FROM) {
    throw corrupt(`${at} claims a length of ${batchLength}, a header alone has ${RECORDS_AT - BATCH_LENGTH_FROM}`)
  }
  return BATCH_LENGTH_FROM + batchLength
}

function decodeOne(bytes: Uint8Array, start: number, end: number, at: string, checkCrc: boolean): RecordBatch {
  return corruptAt(at, () => {
    const reader = new Reader(bytes, start, end)
    const baseOffset = reader.int64()
    reader.int32()
    const partitionLeaderEpoch = reader.int32()
    const magic = reader.int8()
    if (magic !== MAGIC) throw corrupt(`magic ${magic}, only ${MAGIC} is read`)
    const crc = reader.uint32()
    const computed = checkCrc ? crc32c(bytes, start + ATTRIBUTES_AT, end) : crc
    if (crc !== computed) throw corrupt(`the CRC-32C is ${hex(computed)}, the header says ${hex(crc)}`)
    const attributes = reader.int16()
    const codec = codecNames[attributes & CODEC_MASK]
    if (codec === undefined) throw corrupt(`unknown codec ${attributes & CODEC_MASK}`)
    const header = {
      baseOffset,
      partitionLeaderEpoch,
      crc,
      attributes,
      codec,
      timestampType: (attributes & LOG_APPEND_TIME_BIT) === 0 ? ('create' as const) : ('append' as const),
      isTransactional: (attributes & TRANSACTIONAL_BIT) !== 0,
      isControl: (attributes & CONTROL_BIT) !== 0,
      lastOffsetDelta: reader.int32(),
      baseTimestamp: reader.int64(),
      maxTimestamp: reader.int64(),
      producerId: reader.int64(),
      producerEpoch: reader.int16(),
      baseSequence: reader.int32(),
      recordCount: reader.int32(),
      sizeInBytes: end - start,
      recordsSection: bytes.subarray(start + RECORDS_AT, end),
    }
    if (header.recordCount < 0) throw corrupt(`a count of ${header.recordCount} records`)
    if (header.lastOffsetDelta < 0) throw corrupt(`a last offset delta of ${header.lastOffsetDelta}`)
    return { ...header, records: codec === 'none' ? decodeRecords(header.recordsSection, header) : null }
  })
}

const hex = (crc: number): string => crc.toString(16).padStart(8, '0')
