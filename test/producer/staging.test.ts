// Records of a topic that nobody has described yet: encoded at once, kept in order, and cut into their partitions' batches later.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { kafkaError } from '../../src/errors.ts'
import type { PartitionerFunction } from '../../src/producer/partitioner.ts'
import type { Field } from '../../src/producer/record-encoder.ts'
import { SLOT_CALLBACK, SLOT_PROMISE } from '../../src/producer/slots.ts'
import type { RecordToEncode } from '../../src/protocol/record.ts'
import { anyRecord } from '../support/arbitraries.ts'
import { AccumulatorRig, generationOf, recordsOf, valuesOf } from './rig.ts'

const headersOf = (headers: RecordToEncode['headers'] = []): Field[] =>
  headers.flatMap(({ key, value }) => [key, value])

describe('while a topic is unknown', () => {
  test('its records wait in one batch without a partition, and its metadata is asked for once', () => {
    const rig = new AccumulatorRig()
    for (const value of ['a', 'b', 'c']) expect(rig.add({ value })).toBe(true)
    const topic = rig.accumulator.topic('orders')
    expect(rig.unknown).toEqual([topic])
    expect(topic.staged).toHaveLength(1)
    const { batch } = topic.staged[0]!
    expect(batch).toMatchObject({ state: 'staged', partition: null, partitionIndex: -1, count: 3 })
    expect(rig.opened).toEqual([batch])
    expect([...rig.accumulator.unsettled]).toEqual([batch])
    expect(rig.due).toEqual([])
    expect(valuesOf(batch)).toEqual(['a', 'b', 'c'])
  })

  test('each topic has its own, and asks for itself', () => {
    const rig = new AccumulatorRig()
    for (const topic of ['orders', 'clicks', 'orders']) rig.add({ topic })
    expect(rig.unknown.map(({ name }) => name)).toEqual(['orders', 'clicks'])
    expect(rig.accumulator.topic('orders').staged[0]!.batch.count).toBe(2)
  })

  test('a staged batch grows to batchSize, and the next one follows', () => {
    const rig = new AccumulatorRig({ batchSize: 16_384 })
    for (let i = 0; i < 100; i++) rig.add({ value: Buffer.alloc(500) })
    const { staged } = rig.accumulator.topic('orders')
    expect(staged.map(({ batch }) => batch.region!.capacity)).toEqual([16_384, 16_384, 16_384, 4096])
    expect(staged.filter(({ batch }) => batch.byteLength > 16_384)).toEqual([])
    expect(staged.reduce((sum, { batch }) => sum + batch.count, 0)).toBe(100)
    expect(rig.unknown).toHaveLength(1)
    expect(rig.arena.used).toBe(3 * 16_384 + 4096)
  })

  test('another generation, and an age of a tenth of deliveryTimeoutMs, begin another batch', () => {
    const rig = new AccumulatorRig({ deliveryTimeoutMs: 30_000 })
    rig.add({ value: 'a' })
    rig.add({ value: 'b', generation: generationOf(2) })
    rig.clock.advance(3_001)
    rig.add({ value: 'c', generation: rig.generation })
    expect(rig.accumulator.topic('orders').staged.map(({ batch }) => valuesOf(batch))).toEqual([['a'], ['b'], ['c']])
  })

  test('without room: false, and the topic is asked for only when a record got in', () => {
    const rig = new AccumulatorRig({ batchSize: 4096, bufferMemory: 4096 })
    const filler = rig.arena.take(1)
    expect(rig.add()).toBe(false)
    expect(rig.accumulator.isUnderPressure).toBe(true)
    expect([rig.unknown, rig.opened, rig.accumulator.topic('orders').staged]).toEqual([[], [], []])
    rig.arena.release(filler)
    expect(rig.add()).toBe(true)
    expect(rig.unknown).toHaveLength(1)
    expect(rig.arena.used).toBe(4096)
  })
})

describe('once it is known', () => {
  test('the records are in the batches of their partitions, in the order of the calls, and the staged batch is gone', () => {
    const rig = new AccumulatorRig()
    for (let i = 0; i < 9; i++) rig.add({ partition: i % 3, value: `${i}` })
    const topic = rig.describe('orders', 3)
    expect([0, 1, 2].map((index) => rig.values(topic, index))).toEqual([
      ['0', '3', '6'],
      ['1', '4', '7'],
      ['2', '5', '8'],
    ])
    expect(topic.staged).toEqual([])
    expect([...rig.accumulator.unsettled]).toEqual(topic.partitions.map(({ open }) => open))
    expect(rig.arena.used).toBe(3 * 4096)
    expect(new Set(rig.due)).toEqual(new Set(topic.partitions))
  })

  test('what is sent from then on comes behind them', () => {
    const rig = new AccumulatorRig()
    for (let i = 0; i < 300; i++) rig.add({ partition: 0, value: `staged ${i}`.padEnd(400, '.') })
    const topic = rig.describe('orders', 1)
    rig.add({ value: 'direct' })
    const values = rig.values(topic, 0)
    expect(values.slice(0, 300).map((value) => value.replace(/\.+$/, ''))).toEqual(
      Array.from({ length: 300 }, (_, i) => `staged ${i}`),
    )
    expect(values[300]).toBe('direct')
    expect(rig.batches(topic, 0).map(({ order }) => order)).toEqual([1, 2])
  })

  test('deadline and generation are those of the call, not of the moment at which the topic was described', () => {
    const rig = new AccumulatorRig({ deliveryTimeoutMs: 30_000 })
    const [first, second] = [generationOf(1), generationOf(2)]
    const startedAt = rig.clock.now()
    rig.add({ value: 'a', generation: first })
    rig.add({ value: 'b', generation: second })
    rig.clock.advance(10_000)
    rig.add({ value: 'c', generation: second })
    rig.clock.advance(5_000)
    const topic = rig.describe('orders', 1)
    expect(
      rig.batches(topic, 0).map((batch) => [batch.generation, batch.deadlineAt - startedAt, valuesOf(batch)]),
    ).toEqual([
      [first, 30_000, ['a']],
      [second, 30_000, ['b']],
      [second, 40_000, ['c']],
    ])
  })

  test('who waits for a record waits for its new batch, and for nothing of the old one', () => {
    const rig = new AccumulatorRig()
    rig.add({ partition: 1, kind: SLOT_PROMISE, first: 'resolve', second: 'reject' })
    rig.add({ partition: 0, kind: SLOT_CALLBACK, first: 'callback', second: 'context' })
    const { batch } = rig.accumulator.topic('orders').staged[0]!
    const topic = rig.describe('orders', 2)
    expect(batch).toMatchObject({ state: 'settled', region: null, settlement: null })
    const [zero, one] = topic.partitions.map(({ open }) => open!)
    expect([zero!.slots.kinds[0], zero!.slots.first[0], zero!.slots.second[0]]).toEqual([
      SLOT_CALLBACK,
      'callback',
      'context',
    ])
    expect([one!.slots.first[0], one!.slots.second[0], one!.promiseCount]).toEqual(['resolve', 'reject', 1])
  })

  test('a record whose caller does not wait any more is left out', () => {
    const rig = new AccumulatorRig()
    for (const value of ['a', 'gone', 'c']) rig.add({ value })
    rig.accumulator.topic('orders').staged[0]!.batch.slots.takeKind(1)
    expect(rig.values(rig.describe('orders', 1), 0)).toEqual(['a', 'c'])
  })

  test('a batch that has settled meanwhile is left out whole', () => {
    const rig = new AccumulatorRig({ batchSize: 4096 })
    rig.add({ value: Buffer.alloc(3000, 'a') })
    rig.add({ value: Buffer.alloc(3000, 'b') })
    const { staged } = rig.accumulator.topic('orders')
    staged[0]!.batch.settle({ kind: 'failed', error: kafkaError('METADATA_TIMEOUT', 'too late') })
    const values = rig.values(rig.describe('orders', 1), 0)
    expect(values.map((value) => value[0])).toEqual(['b'])
  })

  test('an explicit partition that the topic does not have goes on waiting, and the others do not wait for it', () => {
    const rig = new AccumulatorRig()
    rig.add({ partition: 5, value: 'far' })
    rig.add({ partition: 0, value: 'near' })
    const topic = rig.describe('orders', 1)
    expect(rig.values(topic, 0)).toEqual(['near'])
    expect(rig.values(topic, 5)).toEqual(['far'])
    expect(topic.missing.get(5)!.missingSince).toBe(rig.clock.now())
  })

  test('records without a key go to one partition, batch by batch, as if the topic had been known', () => {
    const rig = new AccumulatorRig({ batchSize: 10_000 })
    for (let i = 0; i < 100; i++) rig.add({ value: Buffer.alloc(900) })
    const topic = rig.describe('orders', 4)
    const sizes = topic.partitions.flatMap(({ ready }) => ready.map(({ byteLength }) => byteLength))
    expect(sizes.length).toBeGreaterThan(8)
    expect(Math.min(...sizes)).toBeGreaterThan(9_000)
    expect(topic.isKeylessUsed).toBe(true)
  })

  test('any records, staged or not, make the same batches of the same bytes in every partition', () => {
    const anyStaged = fc.record({
      record: anyRecord,
      isText: fc.boolean(),
      partition: fc.oneof(fc.constant(-1), fc.nat({ max: 3 })),
    })
    fc.assert(
      fc.property(
        fc.constantFrom('java' as const, 'consistentRandom' as const, 'roundRobin' as const),
        fc.constantFrom(1, 1000, 5000, 65_536),
        fc.array(anyStaged, { minLength: 1, maxLength: 80 }),
        (partitioner, batchSize, given) => {
          const [staged, direct] = [1, 2].map(
            () => new AccumulatorRig({ partitioner, batchSize, bufferMemory: 524_288, random: () => 0.5 }),
          )
          direct!.describe('orders', 4)
          for (const rig of [staged!, direct!]) {
            for (const { record, isText, partition } of given) {
              const { timestamp, key, value, headers } = record
              const text = key === null || !isText ? key : Buffer.from(key).toString('latin1')
              rig.add({ partition, key: text, value, headers: headersOf(headers), timestamp: Number(timestamp) })
            }
          }
          staged!.describe('orders', 4)
          const contents = (rig: AccumulatorRig) =>
            [0, 1, 2, 3].map((index) =>
              rig.batches(rig.accumulator.topic('orders'), index).flatMap((batch) =>
                recordsOf(batch).map(({ timestamp, key, value, headers }) => ({
                  timestamp: timestamp.toNumber(),
                  key: key && [...key],
                  value: value && [...value],
                  headers,
                })),
              ),
            )
          expect(contents(staged!)).toEqual(contents(direct!))
          expect(staged!.arena.used).toBe(
            [...staged!.accumulator.unsettled].reduce((sum, { region }) => sum + region!.capacity, 0),
          )
        },
      ),
      { numRuns: 50 },
    )
  })
})

describe("with a partitioner of the user's own", () => {
  test('it is asked when the partitions are known, once a record, in order, with the record and a copy of the key', () => {
    const asked: unknown[][] = []
    const keys: (Uint8Array | null)[] = []
    const partitioner: PartitionerFunction = (topic, key, record, partitions) => {
      asked.push([topic, record, partitions.length])
      keys.push(key)
      return asked.length % 2
    }
    const rig = new AccumulatorRig({ partitioner })
    const records = [{ value: 'a' }, { value: 'b' }, { value: 'c' }]
    for (const [i, record] of records.entries()) rig.add({ key: [null, '', 'ü'][i]!, value: record.value, record })
    rig.add({ partition: 0, value: 'explicit', record: {} })
    expect(asked).toEqual([])
    const topic = rig.describe('orders', 2)
    expect(asked).toEqual(records.map((record) => ['orders', record, 2]))
    expect(asked.every(([, record], i) => record === records[i])).toBe(true)
    expect(keys.map((key) => key && [...key])).toEqual([null, [], [0xc3, 0xbc]])
    expect([rig.values(topic, 0), rig.values(topic, 1)]).toEqual([
      ['b', 'explicit'],
      ['a', 'c'],
    ])
    keys[2]!.fill(0)
    expect(recordsOf(topic.partitions[1]!.open!).map(({ key }) => key && [...key])).toEqual([null, [0xc3, 0xbc]])
  })

  test('one that sends while staged records move: what it sends comes behind them, as it was sent behind them', () => {
    let sent = 0
    const partitioner: PartitionerFunction = () => {
      if (sent < 3) rig.add({ value: `sent inside ${++sent}` })
      return 0
    }
    const rig: AccumulatorRig = new AccumulatorRig({ partitioner, batchSize: 4096 })
    const values = Array.from({ length: 30 }, (_, i) => `staged ${i} `.padEnd(500, '.'))
    for (const value of values) rig.add({ value })
    const topic = rig.describe('orders', 1)
    expect(rig.values(topic, 0).slice(0, 30)).toEqual(values)
    expect(rig.values(topic, 0).slice(30).sort()).toEqual(['sent inside 1', 'sent inside 2', 'sent inside 3'])
    expect(topic.staged).toEqual([])
    rig.add({ value: 'afterwards' })
    expect(rig.values(topic, 0).at(-1)).toBe('afterwards')
  })

  test.each([
    ['', false],
    [' and then throws', true],
  ])(
    'one that ends the wait of its own record, by its signal%s: the record is left out, and settles no second time',
    (_, throws) => {
      const partitioner: PartitionerFunction = (_topic, _key, record) => {
        if ((record as unknown) !== 'ends') return 0
        staged.slots.takeKind(1)
        if (throws) throw new Error('its own')
        return 0
      }
      const rig: AccumulatorRig = new AccumulatorRig({ partitioner })
      for (const record of ['a', 'ends', 'c']) rig.add({ value: record, record })
      const staged = rig.accumulator.topic('orders').staged[0]!.batch
      const topic = rig.describe('orders', 1)
      expect(rig.values(topic, 0)).toEqual(['a', 'c'])
      expect(topic.partitions[0]!.open!.goneCount).toBe(0)
      expect(rig.refused).toEqual([])
    },
  )

  test('one that fails for a record fails that record, and the others go their way', () => {
    const partitioner: PartitionerFunction = (_topic, _key, record) => {
      if ((record as unknown) === 'wrong') throw new Error('its own')
      return 0
    }
    const rig = new AccumulatorRig({ partitioner })
    rig.add({ value: 'a', record: 'right' })
    rig.add({ value: 'b', record: 'wrong', kind: SLOT_PROMISE, first: 'resolve', second: 'reject' })
    rig.add({ value: 'c', record: 'right' })
    const { batch } = rig.accumulator.topic('orders').staged[0]!
    const topic = rig.describe('orders', 1)
    expect(rig.values(topic, 0)).toEqual(['a', 'c'])
    expect(rig.refused).toEqual([
      {
        kind: SLOT_PROMISE,
        first: 'resolve',
        second: 'reject',
        error: expect.objectContaining({ code: 'PARTITIONER_FAILED' }),
        generation: batch.generation,
      },
    ])
    expect([batch.slots.first[1], batch.slots.second[1]]).toEqual([undefined, undefined])
  })
})

describe('memory', () => {
  // The fewer partitions, the less it takes; with many, batches end before they would be full.
  test.each([
    { partitionCount: 3, valueBytes: 100 },
    { partitionCount: 50, valueBytes: 300 },
    { partitionCount: 50, valueBytes: 700 },
    { partitionCount: 50, valueBytes: 1000 },
    { partitionCount: 50, valueBytes: 4500 },
    { partitionCount: 100, valueBytes: 20_000 },
    { partitionCount: 200, valueBytes: 100 },
    { partitionCount: 200, valueBytes: 1500 },
  ])(
    'a full buffer of records of $valueBytes B moves to $partitionCount partitions within an eighth of bufferMemory more, a batch, and a smallest region for each partition',
    ({ partitionCount, valueBytes }) => {
      const rig = new AccumulatorRig({ batchSize: 65_536, bufferMemory: 4 * 1_048_576 })
      let taken = 0
      while (rig.add({ partition: taken % partitionCount, value: Buffer.alloc(valueBytes) })) taken++
      const { arena } = rig
      expect(arena.used).toBe(rig.bufferMemory)
      let most = 0
      for (const method of ['take', 'takeFromHeap'] as const) {
        const real = arena[method].bind(arena)
        arena[method] = (bytes) => {
          const region = real(bytes)
          most = Math.max(most, arena.used)
          return region
        }
      }
      const topic = rig.describe('orders', partitionCount)
      expect(most - rig.bufferMemory).toBeGreaterThan(0)
      expect(most - rig.bufferMemory).toBeLessThanOrEqual(rig.bufferMemory / 8 + 65_536 + partitionCount * 4096)
      const moved = topic.partitions.flatMap((_, index) => rig.batches(topic, index))
      expect(moved.reduce((sum, { count }) => sum + count, 0)).toBe(taken)
    },
  )

  test('records that move into few partitions fill their batches, although the buffer is full', () => {
    const rig = new AccumulatorRig({ batchSize: 65_536, bufferMemory: 4 * 1_048_576 })
    let taken = 0
    while (rig.add({ partition: taken % 6, value: Buffer.alloc(100) })) taken++
    const topic = rig.describe('orders', 6)
    const closed = topic.partitions.flatMap(({ ready }) => ready)
    expect(closed.length).toBeGreaterThan(50)
    expect(Math.min(...closed.map(({ byteLength }) => byteLength))).toBeGreaterThan(65_000)
  })
})
