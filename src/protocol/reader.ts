// Reader: takes a message apart, front to back. Every length is bounded by the bytes that are there before anything is allocated for
// it, so a hostile or torn message ends in one clear error.
// From: net/connection.ts through header.ts, record-batch.ts. To: messages/*.ts.
import Long from 'long'
import { type KafkaError, kafkaError } from '../errors.ts'
import { STRING_BYTES_MAX, type TaggedField } from './writer.ts'

/**
 * Reads `bytes` from `start` to `end`. Byte values come as views on `bytes`, not as copies.
 * Whatever does not fit throws a `PROTOCOL_ERROR` that names what was read and the offset in `bytes`.
 */
export class Reader {
  readonly #bytes: Uint8Array
  readonly #buffer: Buffer
  readonly #end: number
  #offset: number

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    if (!(start >= 0 && start <= end && end <= bytes.length)) {
      throw new RangeError(`cannot read from ${start} to ${end} of ${bytes.length} bytes`)
    }
    this.#bytes = bytes
    this.#buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    this.#offset = start
    this.#end = end
  }

  /** Index in `bytes` of what comes next. */
  get offset(): number {
    return this.#offset
  }

  get remaining(): number {
    return this.#end - this.#offset
  }

  int8(): number {
    return this.#buffer.readInt8(this.#take(1, 'int8'))
  }

  int16(): number {
    return this.#buffer.readInt16BE(this.#take(2, 'int16'))
  }

  int32(): number {
    return this.#buffer.readInt32BE(this.#take(4, 'int32'))
  }

  uint32(): number {
    return this.#buffer.readUInt32BE(this.#take(4, 'uint32'))
  }

  int64(): Long {
    const at = this.#take(8, 'int64')
    return Long.fromBits(this.#buffer.readInt32BE(at + 4), this.#buffer.readInt32BE(at))
  }

  /** As in Java, every byte but 00 is true. */
  boolean(): boolean {
    return this.#bytes[this.#take(1, 'boolean')] !== 0
  }

  /** 0 to 2^32-1. More than 5 bytes, or more than 32 bits, is an error; a longer form than needed is not. */
  unsignedVarint(): number {
    const start = this.#offset
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#bytes[this.#take(1, 'varint')]!
      if (shift === 28 && byte > 0x0f) break
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return value >>> 0
    }
    throw protocolError(`a varint does not fit into 32 bits at byte ${start}`)
  }

  /** Zigzag, 32 bits. */
  varint(): number {
    const zigzag = this.unsignedVarint()
    return (zigzag >>> 1) ^ -(zigzag & 1)
  }

  /** Zigzag, 64 bits: more than 10 bytes, or more than 64 bits, is an error. */
  varlong(): Long {
    const start = this.#offset
    let low = 0
    let high = 0
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.#bytes[this.#take(1, 'varlong')]!
      if (shift === 63 && byte > 0x01) break
      const bits = byte & 0x7f
      if (shift < 32) low |= bits << shift
      // The fifth byte holds bits 28 to 34: its upper three belong to the high word.
      if (shift === 28) high = bits >>> 4
      else if (shift > 28) high |= bits << (shift - 32)
      if (byte < 0x80) {
        const sign = -(low & 1)
        return Long.fromBits(((low >>> 1) | (high << 31)) ^ sign, (high >>> 1) ^ sign)
      }
    }
    throw protocolError(`a varlong does not fit into 64 bits at byte ${start}`)
  }

  /** A copy: topic ids are kept long after the message is gone. */
  uuid(): Uint8Array {
    const at = this.#take(16, 'uuid')
    return new Uint8Array(this.#bytes.subarray(at, at + 16))
  }

  string(flexible: boolean): string {
    return this.nullableString(flexible) ?? this.#refuseNull('string')
  }

  nullableString(flexible: boolean): string | null {
    const start = this.#offset
    const length = flexible ? this.unsignedVarint() - 1 : this.int16()
    if (length === -1) return null
    if (length < 0 || length > STRING_BYTES_MAX) {
      throw protocolError(`a string of ${length} bytes at byte ${start}, Kafka allows 0 to ${STRING_BYTES_MAX}`)
    }
    const at = this.#take(length, 'string')
    return this.#buffer.toString('utf8', at, at + length)
  }

  bytes(flexible: boolean): Uint8Array {
    return this.nullableBytes(flexible) ?? this.#refuseNull('bytes')
  }

  nullableBytes(flexible: boolean): Uint8Array | null {
    return this.#nullableView('bytes', flexible)
  }

  /** All batches of one partition, one after the other. */
  records(flexible: boolean): Uint8Array | null {
    return this.#nullableView('records', flexible)
  }

  /** So many bytes as they are. */
  raw(length: number, what = 'bytes'): Uint8Array {
    const at = this.#take(length, what)
    return this.#bytes.subarray(at, at + length)
  }

  array<T>(flexible: boolean, each: () => T): T[] {
    return this.nullableArray(flexible, each) ?? this.#refuseNull('array')
  }

  nullableArray<T>(flexible: boolean, each: () => T): T[] | null {
    const start = this.#offset
    const count = this.#length(flexible)
    if (count === -1) return null
    // No element is shorter than a byte. The array grows by what is really read, so a lying count costs nothing.
    if (count > this.remaining) this.#refuseCount('array', count, start)
    const items: T[] = []
    for (let index = 0; index < count; index++) items.push(each())
    return items
  }

  /** All tagged fields of a struct, known or not. */
  taggedFields(): TaggedField[] {
    const fields: TaggedField[] = []
    this.#eachTaggedField((tag, length) => fields.push({ tag, data: this.raw(length) }))
    return fields
  }

  /**
   * The tagged fields of a struct: a known one is read by its own function, which must use it up to the last byte; others are
   * skipped, as every reader must (KIP-482).
   */
  knownTaggedFields(known: Readonly<Record<number, (field: Reader) => void>>): void {
    this.#eachTaggedField((tag, length) => {
      const at = this.#take(length, `tagged field ${tag}`)
      const read = known[tag]
      if (read === undefined) return
      const field = new Reader(this.#bytes, at, at + length)
      read(field)
      field.expectEnd()
    })
  }

  skipTaggedFields(): void {
    this.#eachTaggedField((tag, length) => this.#take(length, `tagged field ${tag}`))
  }

  /** A reader of the next `length` bytes alone, which this one has then passed. */
  slice(length: number, what: string): Reader {
    const at = this.#take(length, what)
    return new Reader(this.#bytes, at, at + length)
  }

  /** A second reader of what is left, to look at it without passing it. */
  ahead(): Reader {
    return new Reader(this.#bytes, this.#offset, this.#end)
  }

  /** Nothing may be left. */
  expectEnd(): void {
    if (this.remaining !== 0) throw protocolError(`${this.remaining} bytes are left over at byte ${this.#offset}`)
  }

  #eachTaggedField(each: (tag: number, length: number) => void): void {
    const start = this.#offset
    const count = this.unsignedVarint()
    if (count * 2 > this.remaining) this.#refuseCount('list of tagged fields', count, start)
    for (let index = 0; index < count; index++) {
      const tag = this.unsignedVarint()
      each(tag, this.unsignedVarint())
    }
  }

  #nullableView(what: string, flexible: boolean): Uint8Array | null {
    const length = this.#length(flexible)
    if (length === -1) return null
    const at = this.#take(length, what)
    return this.#bytes.subarray(at, at + length)
  }

  #length(flexible: boolean): number {
    const start = this.#offset
    const length = flexible ? this.unsignedVarint() - 1 : this.int32()
    if (length < -1) throw protocolError(`a length of ${length} at byte ${start}`)
    return length
  }

  #take(length: number, what: string): number {
    const at = this.#offset
    if (length < 0 || length > this.#end - at) {
      throw protocolError(`${what} of ${length} bytes at byte ${at}, where only ${this.#end - at} are left`)
    }
    this.#offset = at + length
    return at
  }

  #refuseCount(what: string, count: number, start: number): never {
    throw protocolError(`${what} of ${count} elements at byte ${start}, where only ${this.remaining} bytes are left`)
  }

  #refuseNull(what: string): never {
    throw protocolError(`null in place of ${what} before byte ${this.#offset}`)
  }
}

const protocolError = (message: string): KafkaError => kafkaError('PROTOCOL_ERROR', message)
