// Writer: one message, written front to back into a buffer of its own that grows. Large record segments are linked in between, not
// copied, so that a batch's bytes go from its region to the socket untouched.
// From: messages/*.ts and header.ts, record-batch.ts. To: net/connection.ts, which hands the segments to the socket in one writev.
import type Long from 'long'
import { kafkaError } from '../errors.ts'

/** A field that only some readers know (KIP-482): its tag, and its value already encoded. */
export interface TaggedField {
  readonly tag: number
  readonly data: Uint8Array
}

/** Record segments above this are linked, up to it copied: a socket write of a small piece costs more than its copy. */
export const LINK_ABOVE_BYTES = 4096

/** Kafka refuses longer strings (counted in UTF-8 bytes), in the compact form too. */
export const STRING_BYTES_MAX = 32_767

const LENGTH_MAX = 2_147_483_647

/** Grows as needed; numbers are big endian. A number outside its type's range throws a `RangeError`. */
export class Writer {
  #buffer: Buffer
  #position = 0
  // Where the piece begins that is not in #pieces yet.
  #pieceStart = 0
  #pieces: Uint8Array[] = []
  #piecesBytes = 0

  constructor(initialBytes = 256) {
    this.#buffer = Buffer.allocUnsafe(initialBytes)
  }

  /** Bytes of the message so far, linked segments included. */
  get byteLength(): number {
    return this.#piecesBytes + this.#position - this.#pieceStart
  }

  int8(value: number): this {
    const at = this.#take(1)
    this.#buffer.writeInt8(value, at)
    return this
  }

  int16(value: number): this {
    const at = this.#take(2)
    this.#buffer.writeInt16BE(value, at)
    return this
  }

  int32(value: number): this {
    const at = this.#take(4)
    this.#buffer.writeInt32BE(value, at)
    return this
  }

  uint32(value: number): this {
    const at = this.#take(4)
    this.#buffer.writeUInt32BE(value, at)
    return this
  }

  int64(value: Long): this {
    const at = this.#take(8)
    this.#buffer.writeInt32BE(value.high, at)
    this.#buffer.writeInt32BE(value.low, at + 4)
    return this
  }

  boolean(value: boolean): this {
    return this.int8(value ? 1 : 0)
  }

  /** 7 bits a byte, low ones first: 0 to 2^32-1 in 1 to 5 bytes. */
  unsignedVarint(value: number): this {
    if (!(value >= 0 && value <= 0xffff_ffff)) throw new RangeError(`${value} is not an unsigned 32-bit number`)
    this.#varint(value >>> 0)
    return this
  }

  /** Zigzag: 0, -1, 1, -2 ... become 0, 1, 2, 3 ..., so that small negative numbers are short. */
  varint(value: number): this {
    if ((value | 0) !== value) throw new RangeError(`${value} is not a signed 32-bit number`)
    this.#varint(((value << 1) ^ (value >> 31)) >>> 0)
    return this
  }

  /** Zigzag over 64 bits: 1 to 10 bytes. */
  varlong(value: Long): this {
    const sign = value.high >> 31
    let low = ((value.low << 1) ^ sign) >>> 0
    let high = (((value.high << 1) | (value.low >>> 31)) ^ sign) >>> 0
    while (high !== 0) {
      this.#byte((low & 0x7f) | 0x80)
      low = ((low >>> 7) | (high << 25)) >>> 0
      high >>>= 7
    }
    this.#varint(low)
    return this
  }

  uuid(bytes16: Uint8Array): this {
    if (bytes16.length !== 16) throw new RangeError(`a uuid has 16 bytes, not ${bytes16.length}`)
    return this.raw(bytes16)
  }

  string(value: string, flexible: boolean): this {
    const length = Buffer.byteLength(value)
    if (length > STRING_BYTES_MAX) {
      throw kafkaError('INTERNAL', `a string of ${length} bytes cannot be sent, Kafka allows ${STRING_BYTES_MAX}`)
    }
    if (flexible) this.unsignedVarint(length + 1)
    else this.int16(length)
    const at = this.#take(length)
    this.#buffer.write(value, at, length, 'utf8')
    return this
  }

  nullableString(value: string | null, flexible: boolean): this {
    if (value !== null) return this.string(value, flexible)
    return flexible ? this.unsignedVarint(0) : this.int16(-1)
  }

  bytes(value: Uint8Array, flexible: boolean): this {
    return this.#length(value.length, flexible).raw(value)
  }

  nullableBytes(value: Uint8Array | null, flexible: boolean): this {
    return value === null ? this.#null(flexible) : this.bytes(value, flexible)
  }

  /**
   * The length of all segments together, then the segments in order. Those above `LINK_ABOVE_BYTES` are linked: their bytes must not
   * change until the message is sent.
   */
  records(segments: readonly Uint8Array[] | null, flexible: boolean): this {
    if (segments === null) return this.#null(flexible)
    let length = 0
    for (const segment of segments) length += segment.length
    this.#length(length, flexible)
    for (const segment of segments) {
      if (segment.length > LINK_ABOVE_BYTES) this.#link(segment)
      else this.raw(segment)
    }
    return this
  }

  array<T>(items: readonly T[], flexible: boolean, each: (item: T) => void): this {
    this.#length(items.length, flexible)
    for (const item of items) each(item)
    return this
  }

  nullableArray<T>(items: readonly T[] | null, flexible: boolean, each: (item: T) => void): this {
    return items === null ? this.#null(flexible) : this.array(items, flexible, each)
  }

  /** The tagged fields that end every struct of a flexible version, by ascending tag. None are the single byte 00. */
  taggedFields(fields: readonly TaggedField[] = []): this {
    this.unsignedVarint(fields.length)
    let previousTag = -1
    for (const { tag, data } of fields) {
      if (tag <= previousTag) throw new RangeError(`tag ${tag} after ${previousTag}: tags ascend`)
      previousTag = tag
      this.unsignedVarint(tag).unsignedVarint(data.length).raw(data)
    }
    return this
  }

  /** The bytes as they are, copied. */
  raw(bytes: Uint8Array): this {
    const at = this.#take(bytes.length)
    this.#buffer.set(bytes, at)
    return this
  }

  /** The message in pieces, without copying. The writer may go on; the pieces given out stay what they are. */
  segments(): Uint8Array[] {
    this.#closePiece()
    return this.#pieces.slice()
  }

  /** The message in one piece, copied only when a segment was linked into it. */
  finish(): Uint8Array {
    const pieces = this.segments()
    return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces)
  }

  #length(length: number, flexible: boolean): this {
    if (length > LENGTH_MAX) throw new RangeError(`a length of ${length} cannot be sent`)
    return flexible ? this.unsignedVarint(length + 1) : this.int32(length)
  }

  #null(flexible: boolean): this {
    return flexible ? this.unsignedVarint(0) : this.int32(-1)
  }

  #varint(value: number): void {
    while (value > 0x7f) {
      this.#byte((value & 0x7f) | 0x80)
      value >>>= 7
    }
    this.#byte(value)
  }

  #byte(value: number): void {
    const at = this.#take(1)
    this.#buffer[at] = value
  }

  #link(segment: Uint8Array): void {
    this.#closePiece()
    this.#pieces.push(segment)
    this.#piecesBytes += segment.length
  }

  #closePiece(): void {
    if (this.#position === this.#pieceStart) return
    const piece = this.#buffer.subarray(this.#pieceStart, this.#position)
    this.#pieces.push(piece)
    this.#piecesBytes += piece.length
    this.#pieceStart = this.#position
  }

  // Room for so many bytes, and where it begins. Growing moves only the open piece: closed ones keep the old buffer.
  #take(length: number): number {
    if (this.#position + length > this.#buffer.length) {
      const pieceBytes = this.#position - this.#pieceStart
      const grown = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, pieceBytes + length))
      this.#buffer.copy(grown, 0, this.#pieceStart, this.#position)
      this.#buffer = grown
      this.#pieceStart = 0
      this.#position = pieceBytes
    }
    const at = this.#position
    this.#position += length
    return at
  }
}
