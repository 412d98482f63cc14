// Records that are encoded already go to other batches: nothing of them may change but their deltas.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Batch } from '../../src/producer/batch.ts'
import type { Field } from '../../src/producer/record-encoder.ts'
import { type RecordView, recut } from '../../src/producer/recut.ts'
import { SLOT_CALLBACK, SLOT_GONE, SLOT_NOBODY, SLOT_PROMISE } from '../../src/producer/slots.ts'
import type { RecordToEncode } from '../../src/protocol/record.ts'
import { decodeRecordBatches } from '../../src/protocol/record-batch.ts'
import { anyRecord } from '../support/arbitraries.ts'
import { toHex } from '../support/byte-builder.ts'
import { append, batchOf, portableChecksum, regionOf } from './rig.ts'

const TIMESTAMP = 1_700_000_000_000
const headersOf = (headers: RecordToEncode['headers'] = []): Field[] =>
  headers.flatMap(({ key, value }) => [key, value])

/** The records of a batch as the decoder reads them, without their place in it. */
function readBack(batch: Batch) {
  if (batch.count === 0) return []
  batch.seal(portableChecksum)
  const [decoded] = decodeRecordBatches(batch.bytes())
  return decoded!.records!.map(({ timestamp, key, value, headers }) => ({
    timestamp: timestamp.toNumber(),
    key: key && toHex(key),
    value: value && toHex(value),
    headers: headers.map((header) => [header.key, header.value && toHex(header.value)]),
  }))
}

const move = (source: Batch, target: Batch) => (view: RecordView) =>
  target.appendEncoded(source, view.index, view.restStart, view.end)

describe('what is seen of each record', () => {
  test('its index, where its key lies, and nothing of the records that have settled', () => {
    const batch = batchOf()
    for (const key of ['first', null, '', 'ü', 'gone', 'x'.repeat(9000)]) {
      append(batch, { timestamp: TIMESTAMP, key, value: 'v' })
    }
    batch.slots.takeKind(4)
    const seen: [number, string | null][] = []
    recut(batch, ({ index, keyStart, keyEnd }) => {
      const key = keyStart === -1 ? null : batch.region!.buffer.toString('utf8', keyStart, keyEnd)
      seen.push([index, key])
    })
    expect(seen).toEqual([
      [0, 'first'],
      [1, null],
      [2, ''],
      [3, 'ü'],
      [5, 'x'.repeat(9000)],
    ])
  })

  test('the end of one record is where the next one begins', () => {
    const batch = batchOf()
    for (let i = 0; i < 300; i++) append(batch, { timestamp: TIMESTAMP + i * 1e6, key: `${i}`, value: 'x'.repeat(i) })
    const ends: number[] = []
    recut(batch, ({ end }) => ends.push(end))
    expect(ends).toHaveLength(300)
    expect(ends.at(-1)).toBe(batch.pos)
    expect(ends.every((end, i) => i === 0 || end > ends[i - 1]!)).toBe(true)
  })

  test('an empty batch shows nothing', () => {
    recut(batchOf(), () => expect.unreachable())
  })
})

describe('moving', () => {
  test('a record whose timestamp is far from its new batch keeps it, though the delta grows from one byte to eight', () => {
    const source = batchOf()
    append(source, { timestamp: 0, key: 'a', value: '1' })
    append(source, { timestamp: 5, key: 'b', value: '2' })
    const target = batchOf()
    append(target, { timestamp: 8_640_000_000_000_000, key: 'z', value: '0' })
    recut(source, move(source, target))
    expect(readBack(target).map(({ timestamp }) => timestamp)).toEqual([8_640_000_000_000_000, 0, 5])
    expect([target.baseTimestamp, target.maxTimestamp]).toEqual([8_640_000_000_000_000, 8_640_000_000_000_000])
  })

  test('the first record gives an empty batch its base timestamp, the latest one its maximum', () => {
    const source = batchOf()
    for (const timestamp of [50, 40, 90, 60]) append(source, { timestamp, key: null, value: 'v' })
    source.slots.takeKind(0)
    const target = batchOf()
    recut(source, move(source, target))
    expect([target.baseTimestamp, target.maxTimestamp]).toEqual([40, 90])
    expect(readBack(target).map(({ timestamp }) => timestamp)).toEqual([40, 90, 60])
  })

  test("the child of a split keeps its parent's base timestamp, so that no delta grows", () => {
    const source = batchOf()
    for (const timestamp of [50, 40, 90, 60]) append(source, { timestamp, key: null, value: 'v' })
    const children = [batchOf(), batchOf()]
    for (const child of children) {
      child.isSplitChild = true
      child.baseTimestamp = source.baseTimestamp
    }
    recut(source, (view) => move(source, children[view.index >> 1]!)(view))
    expect(children.map(({ baseTimestamp, maxTimestamp }) => [baseTimestamp, maxTimestamp])).toEqual([
      [50, 50],
      [50, 90],
    ])
    expect(children.flatMap((child) => readBack(child)).map(({ timestamp }) => timestamp)).toEqual([50, 40, 90, 60])
  })

  test('its slot goes along: who waits for it is told by the new batch, with the sizes and the time it had', () => {
    const source = batchOf()
    const told: unknown[] = []
    append(source, { timestamp: TIMESTAMP, key: 'k', value: 'é' }, SLOT_PROMISE, (metadata: unknown) =>
      told.push(metadata),
    )
    append(
      source,
      { timestamp: TIMESTAMP + 7, key: null, value: null },
      SLOT_CALLBACK,
      (_: unknown, metadata: unknown) => told.push(metadata),
    )
    const target = batchOf({ topicName: 'orders', partitionIndex: 5 })
    recut(source, move(source, target))
    expect([source.promiseCount, source.goneCount, target.promiseCount, target.goneCount]).toEqual([1, 2, 1, 0])
    source.settle({ kind: 'delivered', baseOffset: 0, logAppendTimeMs: -1 })
    source.callBack(0, 10, null, () => expect.unreachable())
    expect(told).toEqual([])
    target.settle({ kind: 'delivered', baseOffset: 10, logAppendTimeMs: -1 })
    target.callBack(0, 10, null, () => expect.unreachable())
    const place = { topic: 'orders', partition: 5 }
    expect(told).toEqual([
      { ...place, offset: 10, timestamp: TIMESTAMP, serializedKeySize: 1, serializedValueSize: 2 },
      { ...place, offset: 11, timestamp: TIMESTAMP + 7, serializedKeySize: -1, serializedValueSize: -1 },
    ])
  })
})

test('any batch, cut into any number of others, keeps every record as it was, in order, without the settled ones', () => {
  const anySource = fc.array(
    fc.record({
      record: anyRecord,
      target: fc.nat({ max: 3 }),
      isGone: fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
    }),
    { minLength: 1, maxLength: 150 },
  )
  fc.assert(
    fc.property(anySource, (given) => {
      const source = batchOf({ region: regionOf(200_000) })
      for (const { record } of given) {
        const { timestamp, key, value, headers } = record
        append(source, { timestamp: Number(timestamp), key, value, headers: headersOf(headers) }, SLOT_NOBODY)
      }
      for (const [i, { isGone }] of given.entries()) if (isGone) source.slots.takeKind(i)
      const before = Buffer.from(source.region!.buffer)

      const regions = Array.from({ length: 4 }, () => regionOf(100_000))
      const targets = regions.map((region) => batchOf({ region }))
      recut(source, (view) => {
        const target = targets[given[view.index]!.target]!
        // The bound that its callers give to a moved record.
        const bound = view.end - view.restStart + 21
        const at = target.pos
        target.appendEncoded(source, view.index, view.restStart, view.end)
        expect(target.pos - at).toBeLessThanOrEqual(bound)
      })

      for (const [t, target] of targets.entries()) {
        const wanted = given.filter(({ target: chosen, isGone }) => chosen === t && !isGone)
        expect(target.count).toBe(wanted.length)
        expect(readBack(target)).toEqual(
          wanted.map(({ record: { timestamp, key, value, headers } }) => ({
            timestamp: Number(timestamp),
            key: key && toHex(key),
            value: value && toHex(value),
            headers: headers.map((header) => [header.key, header.value && toHex(header.value)]),
          })),
        )
        expect(regions[t]!.isIntact()).toBe(true)
      }
      // Somebody may still read the source.
      expect(Buffer.compare(source.region!.buffer, before)).toBe(0)
      expect(given.every((_, i) => source.slots.kinds[i] === SLOT_GONE)).toBe(true)
      expect(source.goneCount).toBe(given.filter(({ isGone }) => !isGone).length)
    }),
    { numRuns: 100 },
  )
})
