// One record into its batch: what `send` pays for bytes, strings, keys and headers, beside a plain copy of the same value. Then the two
// choices inside record-encoder.ts and batch.ts that hang on the machine: short strings by a loop, and int64 as two halves.
import { bench, do_not_optimize, group, summary } from 'mitata'
import { type Field, type FlatHeaders, writeRecord } from '../../src/producer/record-encoder.ts'

// Of a batch: records one behind the other, from the start again when it is full.
const REGION_BYTES = 65_536
const DISTINCT = 1_024

const region = Buffer.alloc(REGION_BYTES)

interface Sample {
  readonly name: string
  readonly key: (i: number) => Field
  readonly value: (i: number) => Field
  readonly headers: FlatHeaders | null
}

const none = () => null
const texts = (length: number, filler = 'x') =>
  Array.from({ length: DISTINCT }, (_, i) => `${i}`.padEnd(length, filler).slice(0, length))
const rotating =
  <T>(items: readonly T[]) =>
  (i: number) =>
    items[i & (DISTINCT - 1)]!
const bytes = (length: number) => rotating(texts(length).map((text) => Buffer.from(text)))

const samples: readonly Sample[] = [
  { name: '10 B of bytes', key: none, value: bytes(10), headers: null },
  { name: '100 B of bytes', key: none, value: bytes(100), headers: null },
  { name: '100 B of bytes, key of 16 B', key: bytes(16), value: bytes(100), headers: null },
  { name: '100 B of bytes, two headers', key: none, value: bytes(100), headers: ['trace', 'a1b2c3', 'type', 'click'] },
  { name: '1000 B of bytes', key: none, value: bytes(1_000), headers: null },
  { name: '100 ASCII characters', key: none, value: rotating(texts(100)), headers: null },
  { name: '100 characters of two bytes', key: none, value: rotating(texts(100, 'ü')), headers: null },
  { name: '8 ASCII characters', key: none, value: rotating(texts(8)), headers: null },
]

group('a record', () => {
  summary(() => {
    for (const { name, key, value, headers } of samples) {
      let pos = 0
      let index = 0
      bench(`encode ${name}`, () => {
        // Room for the longest of them; the offset delta of a batch of a few hundred records.
        if (pos > REGION_BYTES - 2_048) {
          pos = 0
          index = 0
        }
        pos = writeRecord(region, pos, 0, index, key(index), value(index), headers)
        index++
        return pos
      })
    }
    const value = bytes(100)
    let pos = 0
    let index = 0
    bench('encode nothing: only a copy of 100 B', () => {
      if (pos > REGION_BYTES - 2_048) pos = 0
      region.set(value(index++) as Buffer, pos)
      pos += 112
      return pos
    })
  })
})

type Utf8Writer = Buffer & { utf8Write(text: string, offset: number): number }

for (const length of [4, 8, 12, 16, 24, 32]) {
  const text = rotating(texts(length))
  group(`an ASCII string of ${length} characters`, () => {
    summary(() => {
      let index = 0
      bench(`string of ${length}: loop over char codes`, () => do_not_optimize(writeByLoop(region, text(index++))))
      bench(`string of ${length}: utf8Write`, () => do_not_optimize((region as Utf8Writer).utf8Write(text(index++), 0)))
      bench(`string of ${length}: write`, () => do_not_optimize(region.write(text(index++), 0, 'utf8')))
    })
  })
}

function writeByLoop(buffer: Buffer, text: string): number {
  const { length } = text
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i)
    if (code > 127) return -1
    buffer[i] = code
  }
  return length
}

group('an int64', () => {
  summary(() => {
    let value = 1_700_000_000_000
    bench('int64: two halves of a number', () => {
      const high = Math.floor(++value / 4_294_967_296)
      region.writeInt32BE(high, 0)
      return region.writeUInt32BE(value - high * 4_294_967_296, 4)
    })
    bench('int64: BigInt', () => region.writeBigInt64BE(BigInt(++value), 0))
  })
})
