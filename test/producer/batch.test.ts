// A batch: the bytes that a broker will see, and how its records settle.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type KafkaError, kafkaError } from '../../src/errors.ts'
import type { Batch, DeliveryObserver, SlotGroup } from '../../src/producer/batch.ts'
import type { Field } from '../../src/producer/record-encoder.ts'
import type { Identity } from '../../src/producer/sequences.ts'
import { SLOT_CALLBACK, SLOT_GONE, SLOT_GROUP, SLOT_NOBODY, SLOT_PROMISE } from '../../src/producer/slots.ts'
import type { RecordMetadata } from '../../src/producer/types.ts'
import type { RecordToEncode } from '../../src/protocol/record.ts'
import { decodeRecordBatches } from '../../src/protocol/record-batch.ts'
import { anyBatch } from '../support/arbitraries.ts'
import { toHex } from '../support/byte-builder.ts'
import { builtBatches } from '../vectors/record-batches.ts'
import { append, batchOf, portableChecksum, regionOf } from './rig.ts'

const TIMESTAMP = 1_700_000_000_000

/** A vector by the letter it is known by. */
const vector = (letter: string) => builtBatches.find(({ name }) => name.startsWith(`${letter}:`))!

const identityOf = (producerId: bigint, firstEpoch = 0): Identity => ({
  producerIdHigh: Number(BigInt.asIntN(32, producerId >> 32n)),
  producerIdLow: Number(BigInt.asIntN(32, producerId)),
  firstEpoch,
})

function number(batch: Batch, producerId: bigint, epoch: number, baseSequence: number): void {
  batch.identity = identityOf(producerId)
  batch.epoch = epoch
  batch.baseSequence = baseSequence
}

const headersOf = (headers: RecordToEncode['headers'] = []): Field[] =>
  headers.flatMap(({ key, value }) => [key, value])

describe('sealed bytes', () => {
  test('vector A: one record, no producer id, leader epoch -1', () => {
    const batch = batchOf()
    append(batch, { timestamp: TIMESTAMP, key: null, value: 'hello' })
    batch.seal(portableChecksum)
    expect(toHex(batch.bytes())).toBe(vector('A').hex)
    expect(batch.byteLength).toBe(vector('A').hex.length / 2)
  })

  test('vector C: an idempotent batch, the second record 10 ms earlier than the first', () => {
    const batch = batchOf()
    append(batch, { timestamp: TIMESTAMP, key: '', value: '' })
    append(batch, { timestamp: TIMESTAMP - 10, key: 'a', value: 'b' })
    number(batch, 1n, 0, 0)
    batch.seal(portableChecksum)
    expect(toHex(batch.bytes())).toBe(vector('C').hex)
  })

  test('vector C again, out of a region full of old bytes: nothing of them shows', () => {
    const region = regionOf(4096)
    region.buffer.fill(0xff, region.start, region.start + region.capacity)
    const batch = batchOf({ region })
    append(batch, { timestamp: TIMESTAMP, key: Buffer.alloc(0), value: new Uint8Array(0) })
    append(batch, { timestamp: TIMESTAMP - 10, key: Buffer.from('a'), value: Buffer.from('b') })
    number(batch, 1n, 0, 0)
    batch.seal(portableChecksum)
    expect(toHex(batch.bytes())).toBe(vector('C').hex)
    expect(region.isIntact()).toBe(true)
  })

  test('any batch reads back as it was appended, and nothing outside its region is touched', () => {
    fc.assert(
      fc.property(anyBatch, ({ records, options }) => {
        const region = regionOf(20_000)
        const batch = batchOf({ region })
        for (const { timestamp, key, value, headers } of records) {
          append(batch, { timestamp: Number(timestamp), key, value, headers: headersOf(headers) })
        }
        if (options.producerId !== -1) {
          number(batch, BigInt(options.producerId), options.producerEpoch, options.baseSequence)
        }
        batch.seal(portableChecksum)
        expect(region.isIntact()).toBe(true)

        const [decoded, ...others] = decodeRecordBatches(batch.bytes())
        expect(others).toEqual([])
        const times = records.map(({ timestamp }) => Number(timestamp))
        expect(decoded).toMatchObject({
          partitionLeaderEpoch: -1,
          attributes: 0,
          lastOffsetDelta: records.length - 1,
          recordCount: records.length,
          producerEpoch: options.producerId === -1 ? -1 : options.producerEpoch,
          baseSequence: options.producerId === -1 ? -1 : options.baseSequence,
        })
        expect(decoded!.baseOffset.toNumber()).toBe(0)
        expect(decoded!.producerId.toNumber()).toBe(options.producerId)
        expect(decoded!.baseTimestamp.toNumber()).toBe(times[0])
        expect(decoded!.maxTimestamp.toNumber()).toBe(Math.max(...times))
        const read = decoded!.records!.map(({ timestamp, key, value, headers }) => ({
          timestamp: timestamp.toNumber(),
          key: key && toHex(key),
          value: value && toHex(value),
          headers: headers.map((header) => [header.key, header.value && toHex(header.value)]),
        }))
        expect(read).toEqual(
          records.map(({ timestamp, key, value, headers }) => ({
            timestamp: Number(timestamp),
            key: key && toHex(key),
            value: value && toHex(value),
            headers: headers.map((header) => [header.key, header.value && toHex(header.value)]),
          })),
        )
      }),
      { numRuns: 150 },
    )
  })

  test('a producer id above 2^32 stands whole in the header', () => {
    const batch = batchOf()
    append(batch, { timestamp: TIMESTAMP, key: null, value: 'x' })
    number(batch, 0x1234_5678_9abc_def0n, 7, 2_147_483_647)
    batch.seal(portableChecksum)
    expect(toHex(batch.bytes().subarray(43, 57))).toBe('123456789abcdef0' + '0007' + '7fffffff')
  })

  test('timestamps below and above 2^32, and the largest that a Date has, stand whole in the header', () => {
    for (const [timestamp, hex] of [
      [0, '0000000000000000'],
      [1, '0000000000000001'],
      [4_294_967_295, '00000000ffffffff'],
      [4_294_967_296, '0000000100000000'],
      [8_640_000_000_000_000, '001eb208c2dc0000'],
      [Number.MAX_SAFE_INTEGER, '001fffffffffffff'],
    ] as const) {
      const batch = batchOf()
      append(batch, { timestamp, key: null, value: 'x' })
      batch.seal(portableChecksum)
      expect(toHex(batch.bytes().subarray(27, 43))).toBe(hex + hex)
    }
  })

  test('sealing again for another epoch changes producer id, epoch, sequence and checksum, and no other byte', () => {
    const batch = batchOf()
    for (let i = 0; i < 200; i++) append(batch, { timestamp: TIMESTAMP + i, key: `k${i}`, value: `value ${i}` })
    number(batch, 1n, 0, 17)
    batch.seal(portableChecksum)
    const before = Buffer.from(batch.bytes())
    number(batch, 0x7fff_ffff_ffff_fffen, 32_767, 2_147_483_646)
    batch.isSealed = false
    batch.seal(portableChecksum)
    const after = batch.bytes()
    const changed = [...after.keys()].filter((at) => before[at] !== after[at])
    expect(changed.filter((at) => !(at >= 43 && at < 57) && !(at >= 17 && at < 21))).toEqual([])
    expect(toHex(after.subarray(43, 57))).toBe('7ffffffffffffffe' + '7fff' + '7ffffffe')
    expect(decodeRecordBatches(after)[0]!.baseSequence).toBe(2_147_483_646)
  })

  test('sealing twice with nothing changed gives the same bytes: a retry sends what was sent before', () => {
    const batch = batchOf()
    append(batch, { timestamp: TIMESTAMP, key: 'k', value: 'v' })
    number(batch, 4000n, 3, 7)
    batch.seal(portableChecksum)
    const before = toHex(batch.bytes())
    batch.seal(portableChecksum)
    expect(toHex(batch.bytes())).toBe(before)
  })
})

describe('appending', () => {
  test('the place for records begins behind the header and ends where batchSize or the region does', () => {
    const region = regionOf(4096)
    expect(batchOf({ region, batchBytes: 65_536 })).toMatchObject({
      pos: region.start + 61,
      limit: region.start + 4096,
    })
    expect(batchOf({ region, batchBytes: 1000 })).toMatchObject({ pos: region.start + 61, limit: region.start + 1000 })
  })

  test('counts records, the promises among them, and the bytes with the header', () => {
    const batch = batchOf()
    expect([batch.count, batch.byteLength]).toEqual([0, 61])
    append(batch, { timestamp: TIMESTAMP, key: null, value: 'hello' }, SLOT_PROMISE)
    append(batch, { timestamp: TIMESTAMP, key: null, value: 'hello' }, SLOT_CALLBACK)
    append(batch, { timestamp: TIMESTAMP, key: null, value: 'hello' }, SLOT_PROMISE)
    expect([batch.count, batch.promiseCount, batch.goneCount]).toEqual([3, 2, 0])
    expect(batch.byteLength).toBe(61 + 3 * 12)
  })

  test('thousands of records grow its slots as they come', () => {
    const batch = batchOf({ region: regionOf(100_000) })
    const told: number[] = []
    for (let i = 0; i < 5000; i++) {
      append(batch, { timestamp: TIMESTAMP + i, key: null, value: `${i}` }, SLOT_CALLBACK, () => told.push(i))
    }
    batch.seal(portableChecksum)
    expect(decodeRecordBatches(batch.bytes())[0]!.records!.map(({ value }) => Number(value))).toEqual(
      Array.from({ length: 5000 }, (_, i) => i),
    )
    batch.settle({ kind: 'delivered', baseOffset: 0, logAppendTimeMs: -1 })
    batch.callBack(0, 5000, null, fail)
    expect(told).toEqual(Array.from({ length: 5000 }, (_, i) => i))
  })
})

describe('moving to a larger region', () => {
  test.each(['the same buffer', 'another buffer'])(
    'keeps the bytes, within %s, and gives the old region back',
    (where) => {
      const shared = Buffer.alloc(30_000, 0xee)
      const small = { ...regionOf(1), buffer: shared, start: 20_000, capacity: 4096 }
      const large =
        where === 'the same buffer' ? { ...regionOf(1), buffer: shared, start: 64, capacity: 16_384 } : regionOf(16_384)
      const batch = batchOf({ region: small, batchBytes: 65_536 })
      append(batch, { timestamp: TIMESTAMP, key: '', value: '' })
      expect(batch.moveTo(large, 65_536)).toBe(small)
      expect(batch.region).toBe(large)
      expect(batch.limit).toBe(large.start + 16_384)
      append(batch, { timestamp: TIMESTAMP - 10, key: 'a', value: 'b' })
      number(batch, 1n, 0, 0)
      batch.seal(portableChecksum)
      expect(toHex(batch.bytes())).toBe(vector('C').hex)
    },
  )

  test('a batch never takes more than batchSize, however large the region is', () => {
    const batch = batchOf({ region: regionOf(4096), batchBytes: 5000 })
    const large = regionOf(16_384)
    batch.moveTo(large, 5000)
    expect(batch.limit).toBe(large.start + 5000)
  })

  test('a sealed batch stays sealed: its bytes are the same at the other place', () => {
    const batch = batchOf()
    append(batch, { timestamp: TIMESTAMP, key: null, value: 'hello' })
    batch.seal(portableChecksum)
    batch.moveTo(regionOf(batch.byteLength), batch.byteLength)
    expect(batch.isSealed).toBe(true)
    expect(toHex(batch.bytes())).toBe(vector('A').hex)
  })
})

// ── Settling ────────────────────────────────────────────────────────────────────────────────────────────────────────────

function fail(fault: unknown): never {
  throw fault
}

const delivered = (baseOffset: number, logAppendTimeMs = -1) =>
  ({ kind: 'delivered', baseOffset, logAppendTimeMs }) as const
const lost = kafkaError('DELIVERY_TIMEOUT', 'too late')

interface Told {
  readonly who: string
  readonly error: KafkaError | null
  readonly metadata: RecordMetadata | null
}

/** A batch with a record of each kind, and what its owners were told, in order. */
function batchOfEveryKind() {
  const told: Told[] = []
  const tell = (who: string) => (error: KafkaError | null, metadata: RecordMetadata | null) =>
    void told.push({ who, error, metadata })
  const group: SlotGroup = { settled: (index, error, metadata) => tell(`group ${index}`)(error, metadata) }
  const batch = batchOf({ topicName: 'orders', partitionIndex: 3 })
  append(
    batch,
    { timestamp: TIMESTAMP, key: 'ü', value: 'abc' },
    SLOT_PROMISE,
    (metadata: RecordMetadata) => tell('promise')(null, metadata),
    (error: KafkaError) => tell('promise')(error, null),
  )
  append(
    batch,
    { timestamp: TIMESTAMP + 5, key: null, value: null },
    SLOT_CALLBACK,
    (error: KafkaError | null, metadata: RecordMetadata | null, context: unknown) =>
      tell(`callback ${context}`)(error, metadata),
    'its context',
  )
  append(batch, { timestamp: TIMESTAMP - 5, key: '', value: '' }, SLOT_GROUP, group, 41)
  append(batch, { timestamp: TIMESTAMP, key: null, value: 'nobody asks' }, SLOT_NOBODY)
  append(batch, { timestamp: TIMESTAMP + 9, key: null, value: '日' }, SLOT_GROUP, group, 42)
  return { batch, told }
}

describe('settling', () => {
  test('a second settlement is a fault of ours and changes nothing', () => {
    const { batch } = batchOfEveryKind()
    batch.settle(delivered(7))
    expect(() => batch.settle({ kind: 'failed', error: lost })).toThrow(
      expect.objectContaining({ code: 'INTERNAL', message: expect.stringContaining('orders-3') }),
    )
    expect(batch.settlement).toEqual(delivered(7))
  })

  test('each record is told in order, with its place, its timestamp and its sizes', () => {
    const { batch, told } = batchOfEveryKind()
    batch.settle(delivered(1_000))
    expect(batch.callBack(0, 100, null, fail)).toBe(5)
    const place = { topic: 'orders', partition: 3 }
    expect(told).toEqual([
      {
        who: 'promise',
        error: null,
        metadata: { ...place, offset: 1000, timestamp: TIMESTAMP, serializedKeySize: 2, serializedValueSize: 3 },
      },
      {
        who: 'callback its context',
        error: null,
        metadata: { ...place, offset: 1001, timestamp: TIMESTAMP + 5, serializedKeySize: -1, serializedValueSize: -1 },
      },
      {
        who: 'group 41',
        error: null,
        metadata: { ...place, offset: 1002, timestamp: TIMESTAMP - 5, serializedKeySize: 0, serializedValueSize: 0 },
      },
      {
        who: 'group 42',
        error: null,
        metadata: { ...place, offset: 1004, timestamp: TIMESTAMP + 9, serializedKeySize: -1, serializedValueSize: 3 },
      },
    ])
  })

  test('the metadata is a plain object with the fields of the contract and no others', () => {
    const { batch, told } = batchOfEveryKind()
    batch.settle(delivered(0))
    batch.callBack(0, 1, null, fail)
    const metadata = told[0]!.metadata!
    expect(Object.getPrototypeOf(metadata)).toBe(Object.prototype)
    expect(Object.keys(metadata)).toEqual([
      'topic',
      'partition',
      'offset',
      'timestamp',
      'serializedKeySize',
      'serializedValueSize',
    ])
  })

  test('a broker that does not say the offset gives -1 to every record, not -1, 0, 1', () => {
    const { batch, told } = batchOfEveryKind()
    batch.settle(delivered(-1))
    batch.callBack(0, 100, null, fail)
    expect(told.map(({ metadata }) => metadata!.offset)).toEqual([-1, -1, -1, -1])
  })

  test("the broker's time replaces the record's own where the topic is set so", () => {
    const { batch, told } = batchOfEveryKind()
    batch.settle(delivered(0, 1_800_000_000_000))
    batch.callBack(0, 100, null, fail)
    expect(told.map(({ metadata }) => metadata!.timestamp)).toEqual([
      1_800_000_000_000, 1_800_000_000_000, 1_800_000_000_000, 1_800_000_000_000,
    ])
  })

  test('offsets above 2^32 are exact', () => {
    const { batch, told } = batchOfEveryKind()
    batch.settle(delivered(2 ** 52))
    batch.callBack(0, 100, null, fail)
    expect(told[3]!.metadata!.offset).toBe(2 ** 52 + 4)
  })

  test('a failed batch tells every record the same error and no metadata', () => {
    const { batch, told } = batchOfEveryKind()
    batch.settle({ kind: 'failed', error: lost })
    expect(batch.callBack(0, 100, null, fail)).toBe(5)
    expect(told.map(({ who }) => who)).toEqual(['promise', 'callback its context', 'group 41', 'group 42'])
    expect(told.every(({ error, metadata }) => error === lost && metadata === null)).toBe(true)
  })

  test('a callback that throws is reported and stops no other, whoever they belong to', () => {
    const batch = batchOf()
    const told: string[] = []
    const thrower = (who: string) => () => {
      told.push(who)
      throw new Error(who)
    }
    append(batch, { timestamp: 0, key: null, value: 'a' }, SLOT_CALLBACK, thrower('callback'))
    append(batch, { timestamp: 0, key: null, value: 'b' }, SLOT_PROMISE, thrower('promise'), thrower('never'))
    append(batch, { timestamp: 0, key: null, value: 'c' }, SLOT_GROUP, { settled: thrower('group') }, 0)
    append(batch, { timestamp: 0, key: null, value: 'd' }, SLOT_CALLBACK, () => told.push('last'))
    batch.settle(delivered(0))
    const faults: unknown[] = []
    expect(batch.callBack(0, 100, null, (fault) => faults.push(fault))).toBe(4)
    expect(told).toEqual(['callback', 'promise', 'group', 'last'])
    expect(faults.map((fault) => (fault as Error).message)).toEqual(['callback', 'promise', 'group'])
  })

  test('records that have settled already are passed over, and keep their number for the offset', () => {
    const { batch, told } = batchOfEveryKind()
    batch.slots.kinds[0] = SLOT_GONE
    batch.slots.kinds[2] = SLOT_GONE
    batch.settle(delivered(100))
    expect(batch.callBack(0, 100, null, fail)).toBe(5)
    expect(told.map(({ who, metadata }) => [who, metadata!.offset])).toEqual([
      ['callback its context', 101],
      ['group 42', 104],
    ])
  })

  test('in slices: each call goes on where the last one ended, and nobody is told twice', () => {
    const { batch, told } = batchOfEveryKind()
    batch.settle(delivered(0))
    const ends: number[] = []
    for (let at = 0; at < batch.count; ) ends.push((at = batch.callBack(at, 2, null, fail)))
    expect(ends).toEqual([2, 4, 5])
    expect(told.map(({ who }) => who)).toEqual(['promise', 'callback its context', 'group 41', 'group 42'])
    // Even a call from the start again tells nobody: the slots are empty.
    batch.callBack(0, 100, null, fail)
    expect(told).toHaveLength(4)
  })

  test('lets go of the functions and contexts as it calls back, so that what they hold can be collected', () => {
    const { batch } = batchOfEveryKind()
    batch.settle(delivered(0))
    batch.callBack(0, 100, null, fail)
    expect(batch.slots.first.slice(0, 5)).toEqual(new Array(5).fill(undefined))
    expect(batch.slots.second.slice(0, 5)).toEqual(new Array(5).fill(undefined))
  })

  test('interceptors see every outcome before its owner does, that of records nobody waits for included', () => {
    const { batch, told } = batchOfEveryKind()
    const order: string[] = []
    const observer: DeliveryObserver = (error, metadata) => {
      expect(error).toBeNull()
      order.push(`seen ${metadata!.offset} after ${told.length}`)
    }
    batch.settle(delivered(0))
    batch.callBack(0, 100, observer, fail)
    expect(order).toEqual(['seen 0 after 0', 'seen 1 after 1', 'seen 2 after 2', 'seen 3 after 3', 'seen 4 after 3'])
  })

  test('a callback that settles other things meanwhile finds its own slot empty', () => {
    const batch = batchOf()
    let kindInside: unknown
    append(batch, { timestamp: 0, key: null, value: 'a' }, SLOT_CALLBACK, () => {
      kindInside = [batch.slots.kinds[0], batch.slots.first[0]]
    })
    batch.settle(delivered(0))
    batch.callBack(0, 1, null, fail)
    expect(kindInside).toEqual([SLOT_GONE, undefined])
  })
})
