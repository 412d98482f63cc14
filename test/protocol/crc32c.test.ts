import portableCrc32c from 'crc-32/crc32c.js'
import fc from 'fast-check'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { Crc32cKernel, type Crc32cKind, crc32c } from '../../src/protocol/crc32c.ts'
import { simdLoopsModule } from '../../src/protocol/crc32c-wasm.ts'

const ascii = (text: string) => Buffer.from(text, 'latin1')
const counting = (length: number, step: number, first: number) =>
  Uint8Array.from({ length }, (_, i) => (first + step * i) & 255)

// Sources: RFC 3720 B.4 (the first four), the check value of the CRC catalogue, Kafka's Crc32CTest ("Some String"),
// kafka-python's test_util (the empty message and "a"); the last one computed by hand.
const knownAnswers: readonly (readonly [name: string, bytes: Uint8Array, crc: number])[] = [
  ['32 bytes 00', new Uint8Array(32), 0x8a9136aa],
  ['32 bytes ff', new Uint8Array(32).fill(0xff), 0x62a8ab43],
  ['00 to 1f', counting(32, 1, 0), 0x46dd794e],
  ['1f to 00', counting(32, -1, 0x1f), 0x113fdb5c],
  ['123456789', ascii('123456789'), 0xe3069283],
  ['Some String', ascii('Some String'), 608512271],
  ['the empty message', new Uint8Array(0), 0],
  ['a', ascii('a'), 0xc1d04330],
  ['one byte 00', new Uint8Array(1), 0x527d5351],
]

const kinds: readonly Crc32cKind[] = ['simd', 'i64', 'portable']

const noise = (length: number) => {
  const bytes = Buffer.alloc(length)
  for (let i = 0, state = length; i < length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0
    bytes[i] = state >>> 24
  }
  return bytes
}

describe.each(kinds)('a kernel of kind %s', (kind) => {
  const kernel = Crc32cKernel.create(300_000, [kind])

  test('is of the kind asked for, with an arena of the size asked for and nothing refused', () => {
    expect(kernel.kind).toBe(kind)
    expect(kernel.arena).toHaveLength(300_000)
    expect(Buffer.isBuffer(kernel.arena)).toBe(true)
    expect(kernel.refusal).toBeUndefined()
  })

  test.each(knownAnswers)('knows the answer for %s, inside its arena and outside', (_name, bytes, crc) => {
    expect(kernel.checksum(bytes, 0, bytes.length)).toBe(crc)
    kernel.arena.set(bytes, 1000)
    expect(kernel.checksum(kernel.arena, 1000, 1000 + bytes.length)).toBe(crc)
    expect(kernel.checksum(kernel.arena.subarray(1000, 2000), 0, bytes.length)).toBe(crc)
  })

  test('gives the same for any part of the arena, of a view into it, and of bytes outside', () => {
    const outside = noise(300_000)
    outside.copy(kernel.arena)
    fc.assert(
      fc.property(fc.nat(299_999), fc.nat(299_999), fc.nat(5_000), (a, b, shift) => {
        const start = Math.min(a, b)
        const end = Math.max(a, b)
        const crc = portableCrc32c.buf(outside.subarray(start, end)) >>> 0
        const viewAt = Math.max(0, start - shift)
        expect(kernel.checksum(kernel.arena, start, end)).toBe(crc)
        expect(kernel.checksum(kernel.arena.subarray(viewAt), start - viewAt, end - viewAt)).toBe(crc)
        expect(kernel.checksum(outside, start, end)).toBe(crc)
      }),
      { numRuns: 60 },
    )
  })

  test('sums bytes from outside that need several pieces, at every length around the size of a piece', () => {
    const outside = noise(270_000)
    for (const length of [131_071, 131_072, 131_073, 131_136, 262_143, 262_144, 262_145, 269_990]) {
      expect(kernel.checksum(outside, 7, 7 + length)).toBe(portableCrc32c.buf(outside.subarray(7, 7 + length)) >>> 0)
    }
  })

  test('leaves the arena as it is when it sums bytes from outside', () => {
    kernel.arena.fill(0x5a)
    kernel.checksum(noise(270_000), 0, 270_000)
    expect(kernel.arena.every((byte) => byte === 0x5a)).toBe(true)
  })

  test('sums the arena up to its last byte', () => {
    noise(300_000).copy(kernel.arena)
    for (const length of [1, 600, 5_000, 300_000]) {
      const start = 300_000 - length
      expect(kernel.checksum(kernel.arena, start, 300_000)).toBe(portableCrc32c.buf(kernel.arena.subarray(start)) >>> 0)
    }
  })

  test.each([
    [-1, 5],
    [5, 4],
    [0, 11],
    [Number.NaN, 5],
    [0, Number.NaN],
  ])('refuses a range that does not lie in the bytes: %s to %s of 10', (start, end) => {
    const outOfRange = expect.objectContaining({ code: 'INTERNAL', message: expect.stringContaining('there are 10') })
    expect(() => kernel.checksum(new Uint8Array(10), start, end)).toThrow(outOfRange)
    expect(() => kernel.checksum(kernel.arena.subarray(0, 10), start, end)).toThrow(outOfRange)
  })
})

describe('which kernel is made', () => {
  test('SIMD with the arena inside its memory, on the machines that this project is tested on', () => {
    const kernel = Crc32cKernel.create(1_000_000)
    expect(kernel.kind).toBe('simd')
    // Before the arena lie the kernel's own page and two staging pages, behind it at least 64 spare bytes; pages are whole.
    expect(kernel.arena.byteOffset).toBe(3 * 65_536)
    expect(kernel.arena.buffer.byteLength).toBe(19 * 65_536)
  })

  test('an arena that fills its last page to the end gets its spare bytes from one page more', () => {
    const kernel = Crc32cKernel.create(65_536)
    expect(kernel.arena.byteOffset + kernel.arena.length).toBe(4 * 65_536)
    expect(kernel.arena.buffer.byteLength).toBe(5 * 65_536)
  })

  test('a kernel without an arena sums bytes from outside', () => {
    const kernel = Crc32cKernel.create(0)
    expect(kernel.arena).toHaveLength(0)
    expect(kernel.checksum(ascii('123456789'), 0, 9)).toBe(0xe3069283)
  })
})

interface WebAssemblyApi {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object, imports: object) => object
  readonly Memory: new (size: { initial: number; maximum: number }) => object
}

describe('where the runtime refuses', () => {
  const { Module, Instance, Memory } = (globalThis as unknown as { WebAssembly: WebAssemblyApi }).WebAssembly
  const refusal = new RangeError('refused by the test')

  /** The class as a process sees it whose WebAssembly is this one: nothing compiled yet. */
  async function kernelClassUnder(api: WebAssemblyApi | undefined): Promise<typeof Crc32cKernel> {
    vi.resetModules()
    vi.stubGlobal('WebAssembly', api)
    return (await import('../../src/protocol/crc32c.ts')).Crc32cKernel
  }

  const memoryUpTo = (mostPages: number): WebAssemblyApi['Memory'] =>
    class {
      constructor(size: { initial: number; maximum: number }) {
        if (size.initial > mostPages) throw refusal
        // biome-ignore lint/correctness/noConstructorReturn: the runtime itself must see a real memory
        return new Memory(size)
      }
    }

  afterEach(() => {
    vi.unstubAllGlobals()
    vi.resetModules()
  })

  function expectRightSums(kernel: Crc32cKernel): void {
    const bytes = noise(200_000)
    bytes.copy(kernel.arena, 100)
    const crc = portableCrc32c.buf(bytes) >>> 0
    expect(kernel.checksum(kernel.arena, 100, 200_100)).toBe(crc)
    expect(kernel.checksum(bytes, 0, 200_000)).toBe(crc)
  }

  test('SIMD, words of 8 bytes do the work', async () => {
    class NoSimd extends Module {
      constructor(bytes: Uint8Array) {
        if (Buffer.from(bytes).toString('base64') === simdLoopsModule) throw refusal
        super(bytes)
      }
    }
    const kernel = (await kernelClassUnder({ Module: NoSimd, Instance, Memory })).create(1_000_000)
    expect(kernel.kind).toBe('i64')
    expect(kernel.refusal).toBe(refusal)
    expect(kernel.arena.byteOffset).toBe(3 * 65_536)
    expectRightSums(kernel)
  })

  test('a memory of the size of the arena, the arena is on the heap and the kernel stays', async () => {
    const kernel = (await kernelClassUnder({ Module, Instance, Memory: memoryUpTo(10) })).create(1_000_000)
    expect(kernel.kind).toBe('simd')
    expect(kernel.refusal).toBe(refusal)
    expect(kernel.arena).toHaveLength(1_000_000)
    expect(kernel.arena.buffer.byteLength).toBe(1_000_000)
    expectRightSums(kernel)
  })

  test('any memory, plain JavaScript does the work', async () => {
    const kernel = (await kernelClassUnder({ Module, Instance, Memory: memoryUpTo(0) })).create(1_000_000)
    expect(kernel.kind).toBe('portable')
    expect(kernel.refusal).toBe(refusal)
    expectRightSums(kernel)
  })

  test('WebAssembly altogether, plain JavaScript does the work and the refusal says why', async () => {
    const kernel = (await kernelClassUnder(undefined)).create(1_000_000)
    expect(kernel.kind).toBe('portable')
    expect(kernel.refusal).toMatchObject({ message: 'this runtime has no WebAssembly' })
    expectRightSums(kernel)
  })

  test('the only kind asked for, that is an error with the cause', async () => {
    const { create } = await kernelClassUnder({ Module, Instance, Memory: memoryUpTo(0) })
    expect(() => create(1000, ['simd'])).toThrow(expect.objectContaining({ code: 'INTERNAL', cause: refusal }))
  })
})

describe('crc32c', () => {
  test.each(knownAnswers)('knows the answer for %s', (_name, bytes, crc) => {
    expect(crc32c(bytes)).toBe(crc)
  })

  test('takes a part of the bytes', () => {
    expect(crc32c(ascii('xx123456789yy'), 2, 11)).toBe(0xe3069283)
    expect(crc32c(ascii('xx123456789'), 2)).toBe(0xe3069283)
  })
})
