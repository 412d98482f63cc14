// Expected bytes, built by hand: each step is one field as the wire has it, none of it is the code under test. Numbers go through
// DataView, varints through plain arithmetic. From: every test that writes bytes out.

/** Starts an empty message: `bytes().int16(18).int16(3).hex('00')`. */
export const bytes = (): ByteBuilder => new ByteBuilder()

/** `'00 01 ff'` or `'0001ff'` as bytes. */
export function fromHex(hex: string): Uint8Array {
  const digits = hex.replaceAll(/\s/g, '')
  if (digits.length % 2 !== 0 || /[^0-9a-f]/i.test(digits)) throw new Error(`not hex: ${hex}`)
  return Uint8Array.from({ length: digits.length / 2 }, (_, index) =>
    Number.parseInt(digits.slice(index * 2, index * 2 + 2), 16),
  )
}

/** Bytes, or pieces of them in order, as lower case hex. */
export function toHex(value: Uint8Array | readonly Uint8Array[]): string {
  const pieces = value instanceof Uint8Array ? [value] : value
  return pieces.flatMap((piece) => Array.from(piece, (byte) => byte.toString(16).padStart(2, '0'))).join('')
}

export class ByteBuilder {
  readonly #bytes: number[] = []

  int8(value: number): this {
    return this.#number(1, (view) => view.setInt8(0, value))
  }

  int16(value: number): this {
    return this.#number(2, (view) => view.setInt16(0, value))
  }

  int32(value: number): this {
    return this.#number(4, (view) => view.setInt32(0, value))
  }

  int64(value: bigint): this {
    return this.#number(8, (view) => view.setBigInt64(0, value))
  }

  boolean(value: boolean): this {
    return this.int8(value ? 1 : 0)
  }

  /** Unsigned, up to 64 bits. */
  unsignedVarint(value: number | bigint): this {
    let rest = BigInt(value)
    while (rest >= 128n) {
      this.#bytes.push(Number(rest % 128n) + 128)
      rest /= 128n
    }
    this.#bytes.push(Number(rest))
    return this
  }

  /** Zigzag, up to 64 bits. */
  varint(value: number | bigint): this {
    const signed = BigInt(value)
    return this.unsignedVarint(signed >= 0n ? signed * 2n : signed * -2n - 1n)
  }

  /** int16 length and UTF-8; null is -1. */
  string(text: string | null): this {
    if (text === null) return this.int16(-1)
    const utf8 = new TextEncoder().encode(text)
    return this.int16(utf8.length).raw(utf8)
  }

  /** Length + 1 as varint and UTF-8; null is 0. */
  compactString(text: string | null): this {
    if (text === null) return this.unsignedVarint(0)
    const utf8 = new TextEncoder().encode(text)
    return this.unsignedVarint(utf8.length + 1).raw(utf8)
  }

  /** The count before the elements of a compact array. */
  compactCount(count: number): this {
    return this.unsignedVarint(count + 1)
  }

  /** No tagged fields. */
  noTags(): this {
    return this.int8(0)
  }

  /** One tagged field among those whose number was written before. */
  tag(tag: number, value: ByteBuilder): this {
    return this.unsignedVarint(tag).unsignedVarint(value.length).raw(value.done())
  }

  hex(hex: string): this {
    return this.raw(fromHex(hex))
  }

  raw(value: Uint8Array | ByteBuilder): this {
    for (const byte of value instanceof ByteBuilder ? value.done() : value) this.#bytes.push(byte)
    return this
  }

  /** So many times the same byte. */
  fill(byte: number, count: number): this {
    return this.raw(new Uint8Array(count).fill(byte))
  }

  get length(): number {
    return this.#bytes.length
  }

  done(): Uint8Array {
    return Uint8Array.from(this.#bytes)
  }

  /** With the int32 size in front, as it goes over a connection. */
  framed(): Uint8Array {
    return bytes().int32(this.length).raw(this).done()
  }

  #number(size: number, set: (view: DataView) => void): this {
    const piece = new Uint8Array(size)
    set(new DataView(piece.buffer))
    return this.raw(piece)
  }
}
