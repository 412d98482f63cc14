// murmur2 over rotating keys: of bytes, of ASCII strings without making bytes, of bytes made first, and with BigInt for scale.
import { bench, do_not_optimize, group, summary } from 'mitata'
import { murmur2, murmur2Ascii } from '../../src/producer/murmur2.ts'

const KEYS = 4096

for (const length of [8, 16, 36]) {
  const texts = Array.from({ length: KEYS }, (_, i) =>
    `user-${String(i * 7919).padStart(length - 5, '0')}`.slice(-length),
  )
  const bytes = texts.map((text) => Buffer.from(text))
  let turn = 0
  const next = () => (turn = (turn + 1) & (KEYS - 1))
  group(`murmur2 of a key of ${length} B`, () => {
    summary(() => {
      bench(`murmur2 ${length} B: bytes`, () => do_not_optimize(murmur2(bytes[next()]!)))
      bench(`murmur2 ${length} B: ASCII string`, () => do_not_optimize(murmur2Ascii(texts[next()]!)))
      bench(`murmur2 ${length} B: string, Buffer.from first`, () =>
        do_not_optimize(murmur2(Buffer.from(texts[next()]!))),
      )
      bench(`murmur2 ${length} B: bytes, with BigInt`, () => do_not_optimize(murmur2WithBigInt(bytes[next()]!)))
    })
  })
}

function murmur2WithBigInt(bytes: Buffer): bigint {
  const m = 0x5bd1e995n
  const whole = bytes.length & ~3
  let hash = BigInt.asUintN(32, 0x9747b28cn ^ BigInt(bytes.length))
  for (let at = 0; at < whole; at += 4) {
    let word = BigInt.asUintN(32, BigInt(bytes.readUInt32LE(at)) * m)
    word = BigInt.asUintN(32, (word ^ (word >> 24n)) * m)
    hash = BigInt.asUintN(32, hash * m) ^ word
  }
  if (whole < bytes.length) {
    const rest = BigInt(bytes.readUIntLE(whole, bytes.length - whole))
    hash = BigInt.asUintN(32, (hash ^ rest) * m)
  }
  hash = BigInt.asUintN(32, (hash ^ (hash >> 13n)) * m)
  return BigInt.asIntN(32, hash ^ (hash >> 15n))
}
