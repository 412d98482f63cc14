// One record's bytes, written once, straight into its batch (Kafka's record format v2, inside a batch v2).
// From: batch.ts, with a place that is known to be large enough. To: the region, from where the socket reads it.
//
//   length varint | attributes 00 | timestampDelta varlong | offsetDelta varint
//   | keyLength varint (-1 null) key | valueLength varint (-1 null) value | headerCount varint { name length, name, value length, value }
//
// Everything here runs once a record and is written for that: no allocation, no call into C++ for short fields, the length filled in
// behind the body (bench/micro/encode.ts).

/** A key or value as it is after its serializer. */
export type Field = string | Uint8Array | null

/** Names and values in turn: `[name, value, name, value]`. */
export type FlatHeaders = readonly Field[]

/** Length, attributes and deltas of one record at their widest; Kafka's own constant for it is also 21. */
export const RECORD_OVERHEAD_MAX = 21
// The lengths of key and value and the number of headers.
const LENGTHS_MAX = 15
// The length of a header's name or value.
const HEADER_LENGTH_MAX = 5

// Below this a loop over char codes beats the call of utf8Write; measured per Node major (bench/micro/encode.ts).
const nodeMajor = Number(process.versions.node.split('.')[0])
const SHORT_STRING = nodeMajor >= 24 ? 10 : nodeMajor >= 22 ? 6 : 24
const SHORT_BYTES = 8

/** What a record takes at most, with no look at its strings: three bytes for each UTF-16 code unit. */
export function recordBytesMax(key: Field, value: Field, headers: FlatHeaders | null): number {
  let bytes = RECORD_OVERHEAD_MAX + LENGTHS_MAX + fieldBytesMax(key) + fieldBytesMax(value)
  if (headers !== null) for (const field of headers) bytes += fieldBytesMax(field) + HEADER_LENGTH_MAX
  return bytes
}

/** The same with exact fields, equal to Java's upper bound of a record: what `maxRequestSize` is compared with, 61 bytes of batch header added. */
export function recordBytesBound(key: Field, value: Field, headers: FlatHeaders | null): number {
  let bytes = RECORD_OVERHEAD_MAX + lengthAndFieldBytes(key) + lengthAndFieldBytes(value)
  bytes += varintBytes(headers === null ? 0 : headers.length / 2)
  if (headers !== null) for (const field of headers) bytes += lengthAndFieldBytes(field)
  return bytes
}

export function fieldBytes(field: Field): number {
  if (field === null) return 0
  return typeof field === 'string' ? Buffer.byteLength(field) : field.length
}

function fieldBytesMax(field: Field): number {
  if (field === null) return 0
  return typeof field === 'string' ? field.length * 3 : field.length
}

function lengthAndFieldBytes(field: Field): number {
  if (field === null) return 1
  const bytes = fieldBytes(field)
  return varintBytes(bytes) + bytes
}

/** Sizes of the last record written, for its metadata: -1 stands for null. Module state, since a result object a record would cost more. */
export let writtenKeyBytes = -1
export let writtenValueBytes = -1

/**
 * Writes a record at `at` and answers where it ends. The caller guarantees room for the record with 3 bytes for each character of a
 * string, or for its exact size: `utf8Write` would cut silently.
 */
export function writeRecord(
  buffer: Buffer,
  at: number,
  timestampDelta: number,
  offsetDelta: number,
  key: Field,
  value: Field,
  headers: FlatHeaders | null,
): number {
  // The length stands in front of a body whose size is known only afterwards (strings): guess its width, correct it if wrong.
  const guess = 9 + fieldBytesMin(key) + fieldBytesMin(value)
  const lengthWidth = guess < 64 ? 1 : guess < 8192 ? 2 : guess < 1_048_576 ? 3 : 4
  const bodyAt = at + lengthWidth
  let pos = bodyAt
  buffer[pos++] = 0
  pos =
    timestampDelta >= 0 && timestampDelta < 64
      ? byte(buffer, pos, timestampDelta << 1)
      : writeVarlong(buffer, pos, timestampDelta)
  pos = writeVarint(buffer, pos, offsetDelta)
  if (key === null) {
    buffer[pos++] = 1
    writtenKeyBytes = -1
  } else {
    const end = typeof key === 'string' ? writeText(buffer, pos, key) : writeBytes(buffer, pos, key)
    pos = end
    writtenKeyBytes = writtenBytes
  }
  if (value === null) {
    buffer[pos++] = 1
    writtenValueBytes = -1
  } else {
    const end = typeof value === 'string' ? writeText(buffer, pos, value) : writeBytes(buffer, pos, value)
    pos = end
    writtenValueBytes = writtenBytes
  }
  if (headers === null) buffer[pos++] = 0
  else pos = writeHeaders(buffer, pos, headers)

  const bodyBytes = pos - bodyAt
  const width = varintBytes(bodyBytes)
  if (width !== lengthWidth) {
    buffer.copyWithin(at + width, bodyAt, pos)
    pos += width - lengthWidth
  }
  writeVarint(buffer, at, bodyBytes)
  return pos
}

/**
 * Writes a record whose part behind the offset delta (`restStart` to `restEnd`: key, value, headers) stands encoded in another buffer.
 * Answers where it ends.
 */
export function copyRecord(
  from: Buffer,
  restStart: number,
  restEnd: number,
  to: Buffer,
  at: number,
  timestampDelta: number,
  offsetDelta: number,
): number {
  const restBytes = restEnd - restStart
  const bodyBytes = 1 + varlongBytes(timestampDelta) + varintBytes(offsetDelta) + restBytes
  let pos = writeVarint(to, at, bodyBytes)
  to[pos++] = 0
  pos = writeVarlong(to, pos, timestampDelta)
  pos = writeVarint(to, pos, offsetDelta)
  to.set(from.subarray(restStart, restEnd), pos)
  return pos + restBytes
}

// Bytes that the last call of writeText or writeBytes put behind the length.
let writtenBytes = 0

function fieldBytesMin(field: Field): number {
  return field === null ? 0 : field.length
}

function byte(buffer: Buffer, pos: number, value: number): number {
  buffer[pos] = value
  return pos + 1
}

function writeBytes(buffer: Buffer, pos: number, bytes: Uint8Array): number {
  const length = bytes.length
  pos = writeVarint(buffer, pos, length)
  if (length <= SHORT_BYTES) for (let i = 0; i < length; i++) buffer[pos + i] = bytes[i]!
  else buffer.set(bytes, pos)
  writtenBytes = length
  return pos + length
}

function writeText(buffer: Buffer, pos: number, text: string): number {
  const length = text.length
  if (length <= SHORT_STRING) {
    // The length of so short an ASCII text takes one byte. Anything else goes the slow way below.
    let i = 0
    for (; i < length; i++) {
      const code = text.charCodeAt(i)
      if (code > 127) break
      buffer[pos + 1 + i] = code
    }
    if (i === length) {
      buffer[pos] = length << 1
      writtenBytes = length
      return pos + 1 + length
    }
  }
  // ASCII needs as many bytes as characters: guess that width for the length and move the text if it was wrong.
  const guessedWidth = varintBytes(length)
  const written = writeUtf8(buffer, text, pos + guessedWidth)
  const width = varintBytes(written)
  if (width !== guessedWidth) {
    buffer.copyWithin(pos + width, pos + guessedWidth, pos + guessedWidth + written)
  }
  writeVarint(buffer, pos, written)
  writtenBytes = written
  return pos + width + written
}

function writeHeaders(buffer: Buffer, pos: number, headers: FlatHeaders): number {
  pos = writeVarint(buffer, pos, headers.length / 2)
  for (const field of headers) {
    if (field === null) buffer[pos++] = 1
    else if (typeof field === 'string') pos = writeText(buffer, pos, field)
    else pos = writeBytes(buffer, pos, field)
  }
  return pos
}

// `utf8Write` is Buffer's own undecorated method: half the cost of `write`, which sorts out its arguments first. It is undocumented,
// so a runtime that lacks it gets `write`.
interface Utf8Writer extends Buffer {
  utf8Write(text: string, offset: number): number
}
const hasUtf8Write = typeof (Buffer.prototype as Utf8Writer).utf8Write === 'function'

function writeUtf8(buffer: Buffer, text: string, pos: number): number {
  return hasUtf8Write ? (buffer as Utf8Writer).utf8Write(text, pos) : buffer.write(text, pos, 'utf8')
}

/** Zigzag varint of a 32-bit number. Answers the position behind it. */
export function writeVarint(buffer: Buffer, pos: number, value: number): number {
  let rest = ((value << 1) ^ (value >> 31)) >>> 0
  while (rest > 127) {
    buffer[pos++] = (rest & 127) | 128
    rest >>>= 7
  }
  buffer[pos++] = rest
  return pos
}

/** Zigzag varlong of a whole number within ±2^53: timestamps may be far apart. */
export function writeVarlong(buffer: Buffer, pos: number, value: number): number {
  if (value >= -1_073_741_824 && value < 1_073_741_824) return writeVarint(buffer, pos, value)
  // 2·|value| needs 54 bits, one more than a double holds exactly: shift in two halves of 2^27.
  const isNegative = value < 0
  const magnitude = isNegative ? -value - 1 : value
  let high = Math.floor(magnitude / 134_217_728)
  let low = (magnitude % 134_217_728) * 2 + (isNegative ? 1 : 0)
  // low now has 28 bits = 4 groups of 7; high follows.
  for (let group = 0; group < 4; group++) {
    buffer[pos++] = (low & 127) | (group < 3 || high > 0 ? 128 : 0)
    low >>>= 7
  }
  while (high > 0) {
    const bits = high % 128
    high = Math.floor(high / 128)
    buffer[pos++] = bits | (high > 0 ? 128 : 0)
  }
  return pos
}

/** Width of a zigzag varint. */
export function varintBytes(value: number): number {
  const zigzag = ((value << 1) ^ (value >> 31)) >>> 0
  if (zigzag < 128) return 1
  if (zigzag < 16_384) return 2
  if (zigzag < 2_097_152) return 3
  return zigzag < 268_435_456 ? 4 : 5
}

function varlongBytes(value: number): number {
  if (value >= -1_073_741_824 && value < 1_073_741_824) return varintBytes(value)
  let magnitude = value < 0 ? -value - 1 : value
  // The lowest group holds 6 bits and the sign.
  magnitude = Math.floor(magnitude / 64)
  let bytes = 1
  for (; magnitude > 0; magnitude = Math.floor(magnitude / 128)) bytes++
  return bytes
}
