// Record: one record as it stands in a batch's records section.
//   length varint (of what follows), attributes i8 (0), timestampDelta varlong, offsetDelta varint, key length varint (-1: null) and bytes,
//   value likewise, header count varint, then for each header: key length varint and UTF-8, value length varint (-1: null) and bytes
// From: record-batch.ts, and whoever decompressed a section. To: the tests and the broker side of them.
import Long from 'long'
import { KafkaError, kafkaError } from '../errors.ts'
import { Reader } from './reader.ts'
import { Writer } from './writer.ts'

export interface BatchRecordHeader {
  readonly key: string
  readonly value: Uint8Array | null
}

/** A record that was decoded. Byte values are views on the bytes that it was decoded from. */
export interface BatchRecord {
  readonly offset: Long
  readonly offsetDelta: number
  /** The batch's `maxTimestamp` when its timestamps are those of the append. */
  readonly timestamp: Long
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers: readonly BatchRecordHeader[]
}

export interface RecordToEncode {
  /** Epoch milliseconds. */
  readonly timestamp: Long | number
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers?: readonly BatchRecordHeader[]
}

/** What a batch's header says about its records. */
export interface RecordContext {
  readonly baseOffset: Long
  readonly lastOffsetDelta: number
  readonly timestampType: 'create' | 'append'
  readonly baseTimestamp: Long
  readonly maxTimestamp: Long
  readonly recordCount: number
}

/**
 * The records of a section that is not, or no longer, compressed: exactly as many as the batch says, with nothing left over.
 *
 * @throws CORRUPT_MESSAGE with the offset in `section`.
 */
export function decodeRecords(section: Uint8Array, batch: RecordContext): BatchRecord[] {
  return corruptAt('records section', () => {
    const reader = new Reader(section)
    const records: BatchRecord[] = []
    // Compaction leaves gaps between the deltas, never another order.
    let previousDelta = -1
    for (let index = 0; index < batch.recordCount; index++) {
      const record = decodeRecord(reader.slice(reader.varint(), `record ${index}`), batch)
      if (record.offsetDelta <= previousDelta || record.offsetDelta > batch.lastOffsetDelta) {
        const bounds = `above ${previousDelta}, at most ${batch.lastOffsetDelta}`
        throw corrupt(`record ${index} has the offset delta ${record.offsetDelta}, it must be ${bounds}`)
      }
      previousDelta = record.offsetDelta
      records.push(record)
    }
    reader.expectEnd()
    return records
  })
}

/** A records section, uncompressed, with the offset deltas 0, 1, 2 ... */
export function encodeRecords(records: readonly RecordToEncode[], baseTimestamp: Long): Uint8Array {
  const section = new Writer()
  for (const [offsetDelta, record] of records.entries()) {
    const body = encodeRecord(record, Long.fromValue(record.timestamp).subtract(baseTimestamp), offsetDelta)
    section.varint(body.length).raw(body)
  }
  return section.finish()
}

/** What a record of a control batch says, from its key: type 0 the transaction was aborted, 1 it was committed, others are the cluster's. */
export function controlTypeOf(record: BatchRecord): { readonly version: number; readonly type: number } {
  return corruptAt('key of a control record', () => {
    const key = new Reader(record.key ?? new Uint8Array(0))
    return { version: key.int16(), type: key.int16() }
  })
}

function decodeRecord(body: Reader, batch: RecordContext): BatchRecord {
  body.int8()
  const timestampDelta = body.varlong()
  const offsetDelta = body.varint()
  const record = {
    offset: batch.baseOffset.add(offsetDelta),
    offsetDelta,
    timestamp: batch.timestampType === 'append' ? batch.maxTimestamp : batch.baseTimestamp.add(timestampDelta),
    key: decodeField(body, 'key'),
    value: decodeField(body, 'value'),
    headers: decodeHeaders(body),
  }
  body.expectEnd()
  return record
}

function decodeHeaders(body: Reader): BatchRecordHeader[] {
  const start = body.offset
  const count = body.varint()
  // A header has at least its two lengths.
  if (count < 0 || count * 2 > body.remaining) {
    throw corrupt(`${count} headers at byte ${start}, where only ${body.remaining} bytes are left`)
  }
  const headers: BatchRecordHeader[] = []
  for (let index = 0; index < count; index++) {
    const key = decodeField(body, 'header key')
    if (key === null) throw corrupt(`null in place of a header key before byte ${body.offset}`)
    const text = Buffer.from(key.buffer, key.byteOffset, key.length).toString('utf8')
    headers.push({ key: text, value: decodeField(body, 'header value') })
  }
  return headers
}

function decodeField(body: Reader, what: string): Uint8Array | null {
  const start = body.offset
  const length = body.varint()
  if (length < -1) throw corrupt(`${what} of ${length} bytes at byte ${start}`)
  return length === -1 ? null : body.raw(length, what)
}

function encodeRecord(record: RecordToEncode, timestampDelta: Long, offsetDelta: number): Uint8Array {
  const body = new Writer().int8(0).varlong(timestampDelta).varint(offsetDelta)
  encodeField(body, record.key)
  encodeField(body, record.value)
  const headers = record.headers ?? []
  body.varint(headers.length)
  for (const header of headers) {
    encodeField(body, Buffer.from(header.key, 'utf8'))
    encodeField(body, header.value)
  }
  return body.finish()
}

function encodeField(writer: Writer, value: Uint8Array | null): void {
  if (value === null) writer.varint(-1)
  else writer.varint(value.length).raw(value)
}

/** Runs `read`; what a reader refuses inside a batch is then the batch's fault, not the connection's. */
export function corruptAt<T>(where: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof KafkaError) throw corrupt(`${where}: ${error.message}`, error)
    throw error
  }
}

/** Bytes that are not a batch. */
export function corrupt(message: string, cause?: KafkaError): KafkaError {
  return kafkaError('CORRUPT_MESSAGE', message, { cause })
}
