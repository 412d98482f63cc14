// The WebAssembly kernels themselves: raw states over addresses, judged by a bytewise table written here and by `crc-32/crc32c`.
import portableCrc32c from 'crc-32/crc32c.js'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import * as embedded from '../../src/protocol/crc32c-wasm.ts'
import { assembleKernel, kernelSources } from '../../src/protocol/kernels/build.ts'

const MESSAGES_AT = 65_536
const LONGEST = 200_000

const table = Int32Array.from({ length: 256 }, (_, byte) => {
  let state = byte
  for (let bit = 0; bit < 8; bit++) state = state & 1 ? (state >>> 1) ^ 0x82f63b78 : state >>> 1
  return state
})

function bytewise(bytes: Uint8Array, start: number, length: number, state: number): number {
  for (let i = start; i < start + length; i++) state = table[(state ^ bytes[i]!) & 255]! ^ (state >>> 8)
  return state
}

interface RawKernel {
  readonly memory: Uint8Array
  raw(address: number, length: number, state: number): number
}

interface WebAssemblyApi {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object, imports: object) => { readonly exports: object }
  readonly Memory: new (size: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer }
}

/** A kernel over its own memory, filled with reproducible noise behind page 0, which is the kernel's. */
function instantiate(loopsBase64: string): RawKernel {
  const { WebAssembly } = globalThis as unknown as { WebAssembly: WebAssemblyApi }
  const start = (base64: string, imports: object) =>
    new WebAssembly.Instance(new WebAssembly.Module(Buffer.from(base64, 'base64')), imports).exports
  const memory = new WebAssembly.Memory({ initial: 5, maximum: 5 })
  const kernel = { memory }
  const loops = start(loopsBase64, { kernel })
  const { raw } = start(embedded.driverModule, { kernel, loops }) as { raw: RawKernel['raw'] }
  const bytes = new Uint8Array(memory.buffer)
  for (let i = MESSAGES_AT, noise = 1; i < bytes.length; i++) {
    noise = (Math.imul(noise, 1_664_525) + 1_013_904_223) | 0
    bytes[i] = noise >>> 24
  }
  return { memory: bytes, raw }
}

const kernels = [
  { kind: 'simd', kernel: instantiate(embedded.simdLoopsModule) },
  { kind: 'i64', kernel: instantiate(embedded.i64LoopsModule) },
]

// Every length up to 300, then both sides of every switch. Mid stage: 512 its first message, 576 its second loop turn, 8480 its second
// block. Wide stage: 12288 its first message, 12368 one turn more, 19792 its third block. The others lie about the sizes of windows,
// blocks and residues.
const lengths = [
  ...Array.from({ length: 301 }, (_, length) => length),
  ...[447, 448, 449, 511, 512, 513, 575, 576, 577, 1023, 1024, 1025, 3343, 3344, 3345],
  ...[4367, 4368, 4369, 4431, 4432, 4433, 8191, 8192, 8193, 8415, 8416, 8417, 8479, 8480, 8481],
  ...[11_535, 11_536, 11_537, 11_599, 11_600, 12_287, 12_288, 12_289, 12_303, 12_304, 12_367, 12_368],
  ...[16_384, 16_671, 16_672, 16_673, 19_727, 19_728, 19_729, 19_791, 19_792, 19_793, 20_000, 65_536, 131_072],
]
const states = [-1, 0, 1, 0x01234567, -0x80000000]

describe.each(kernels)('the $kind kernel', ({ kernel: { memory, raw } }) => {
  test('agrees with a bytewise table at every length around each switch of stages, at every alignment', () => {
    const wrong: string[] = []
    lengths.forEach((length, i) => {
      for (const offset of [i % 16, (i * 7 + 16) % 64]) {
        const state = states[i % states.length]!
        const expected = bytewise(memory, MESSAGES_AT + offset, length, state)
        const actual = raw(MESSAGES_AT + offset, length, state)
        if (actual !== expected)
          wrong.push(`length ${length} offset ${offset} state ${state}: ${actual}, not ${expected}`)
      }
    })
    expect(wrong).toEqual([])
  })

  test('agrees with a bytewise table and with crc-32 for random lengths, alignments and states', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.nat(600), fc.nat(20_000), fc.nat(LONGEST)),
        fc.nat(63),
        fc.integer(),
        (length, offset, state) => {
          const address = MESSAGES_AT + offset
          const actual = raw(address, length, state)
          expect(actual).toBe(bytewise(memory, address, length, state))
          // crc-32 takes and gives finished values: both inversions undone.
          expect(actual).toBe(~portableCrc32c.buf(memory.subarray(address, address + length), ~state))
        },
      ),
      { numRuns: 150 },
    )
  })

  test('gives the same state in pieces as in one go', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(20_000), { maxLength: 6 }), fc.integer(), (pieces, state) => {
        const total = pieces.reduce((sum, piece) => sum + piece, 0)
        let chained = state
        let address = MESSAGES_AT
        for (const piece of pieces) {
          chained = raw(address, piece, chained)
          address += piece
        }
        expect(chained).toBe(raw(MESSAGES_AT, total, state))
      }),
      { numRuns: 50 },
    )
  })

  test('leaves every byte behind its own page as it was', () => {
    const before = Buffer.from(memory.subarray(MESSAGES_AT))
    for (const length of [15, 600, 5_000, LONGEST]) raw(MESSAGES_AT + 3, length, -1)
    expect(before.equals(memory.subarray(MESSAGES_AT))).toBe(true)
  })

  test('sums a message that ends 64 bytes before the end of the memory', () => {
    for (const length of [500, 700, 4_400, 12_300, 20_001]) {
      const address = memory.length - 64 - length
      expect(raw(address, length, -1)).toBe(bytewise(memory, address, length, -1))
    }
  })
})

describe('the embedded modules', () => {
  const embeddedByName: Record<string, string> = { ...embedded }

  test.each(Object.entries(kernelSources))(
    '%s is, byte for byte, what kernels/%s assembles to',
    async (name, fileName) => {
      const assembled = Buffer.from(await assembleKernel(fileName)).toString('base64')
      expect(embeddedByName[name]).toBe(assembled)
    },
  )

  test('there is a text file for each of them', () => {
    expect(Object.keys(embedded).sort()).toEqual(Object.keys(kernelSources).sort())
  })
})
