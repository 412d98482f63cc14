// The accumulator: into which batch a record goes, when a batch is closed, and what it costs in memory.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Batch } from '../../src/producer/batch.ts'
import { HOLD_LEADER } from '../../src/producer/partition.ts'
import type { PartitionerFunction } from '../../src/producer/partitioner.ts'
import { recordBytesBound } from '../../src/producer/record-encoder.ts'
import { SLOT_CALLBACK, SLOT_PROMISE } from '../../src/producer/slots.ts'
import type { PartitionInfo } from '../../src/producer/types.ts'
import { AccumulatorRig, generationOf, recordsOf, seeded, valuesOf } from './rig.ts'

const HEADER = 61
/** A value with which a record, in a batch of one, takes exactly so many bytes by Java's bound. */
const valueFor = (batchBytes: number): Buffer => {
  for (let length = batchBytes - HEADER - 30; length < batchBytes; length++) {
    const value = Buffer.alloc(length, 'x')
    if (HEADER + recordBytesBound(null, value, null) === batchBytes) return value
  }
  throw new Error(`no value makes a record of ${batchBytes} bytes`)
}

describe('a record of a known topic', () => {
  test('opens a batch, which is told of once, and the next one joins it', () => {
    const rig = new AccumulatorRig()
    const topic = rig.describe('orders', 1)
    for (const value of ['a', 'b', 'c']) expect(rig.add({ value })).toBe(true)
    const batch = topic.partitions[0]!.open!
    expect(rig.values(topic, 0)).toEqual(['a', 'b', 'c'])
    expect(rig.opened).toEqual([batch])
    expect(rig.due).toEqual([topic.partitions[0]])
    expect(rig.unknown).toEqual([])
    expect([...rig.accumulator.unsettled]).toEqual([batch])
    expect(batch).toMatchObject({ state: 'open', topicName: 'orders', partitionIndex: 0, count: 3, order: 1 })
    expect(batch.partition).toBe(topic.partitions[0])
  })

  test('carries its key, headers, timestamp and owner into the batch', () => {
    const rig = new AccumulatorRig()
    const topic = rig.describe('orders', 1)
    const owner = () => {}
    rig.add({ key: 'k', value: null, headers: ['h', null], timestamp: 5, kind: SLOT_CALLBACK, first: owner, second: 7 })
    const batch = topic.partitions[0]!.open!
    const [record] = recordsOf(batch)
    expect(record).toMatchObject({ value: null, headers: [{ key: 'h', value: null }] })
    expect([Buffer.from(record!.key!).toString(), record!.timestamp.toNumber()]).toEqual(['k', 5])
    expect([batch.slots.kinds[0], batch.slots.first[0], batch.slots.second[0]]).toEqual([SLOT_CALLBACK, owner, 7])
  })

  test('has its deadline from when it was handed to send, not from when it found room', () => {
    const rig = new AccumulatorRig({ deliveryTimeoutMs: 30_000 })
    const topic = rig.describe('orders', 1)
    rig.add({ createdAt: rig.clock.now() - 7_000 })
    expect(topic.partitions[0]!.open).toMatchObject({
      createdAt: rig.clock.now() - 7_000,
      deadlineAt: rig.clock.now() + 23_000,
    })
  })

  test('goes into its batch although the partition has no leader at the moment', () => {
    const rig = new AccumulatorRig()
    const topic = rig.describe('orders', 1, [-1])
    expect(rig.add({ value: 'a' })).toBe(true)
    expect(topic.partitions[0]!.hold).toBe(HOLD_LEADER)
    expect(rig.values(topic, 0)).toEqual(['a'])
  })
})

describe('growing', () => {
  test('a batch begins with the smallest region and grows as records come, and its records stay as they were', () => {
    const rig = new AccumulatorRig()
    const topic = rig.describe('orders', 1)
    const capacities = new Set<number>()
    const sent: string[] = []
    while (rig.opened.length < 2) {
      const value = `value ${sent.length} `.padEnd(100, 'é')
      rig.add({ value })
      sent.push(value)
      if (rig.opened.length === 1) {
        capacities.add(topic.partitions[0]!.open!.region!.capacity)
        // The region that it outgrew has come back.
        expect(rig.arena.used).toBe(topic.partitions[0]!.open!.region!.capacity)
      }
    }
    expect([...capacities]).toEqual([4096, 16_384, 65_536])
    expect(rig.values(topic, 0)).toEqual(sent)
  })

  test('the next batch begins with the size that the last one needed', () => {
    const rig = new AccumulatorRig()
    const topic = rig.describe('orders', 1)
    for (let i = 0; i < 100; i++) rig.add({ value: 'x'.repeat(100) })
    rig.accumulator.closeOpen(topic.partitions[0]!)
    rig.add({ value: 'x' })
    expect(rig.batches(topic, 0).map((batch) => batch.region!.capacity)).toEqual([16_384, 16_384])
    rig.accumulator.closeOpen(topic.partitions[0]!)
    rig.add({ value: 'x' })
    expect(topic.partitions[0]!.open!.region!.capacity).toBe(4096)
  })

  test('a record that was larger than batchSize does not make the next batch begin with its size', () => {
    const rig = new AccumulatorRig()
    const topic = rig.describe('orders', 1)
    rig.add({ value: Buffer.alloc(1_000_000) })
    rig.add({ value: 'x' })
    const [large, next] = rig.batches(topic, 0)
    expect(large!.region!.capacity).toBeGreaterThan(1_000_000)
    expect(next!.region!.capacity).toBeLessThanOrEqual(65_536)
  })

  test('a hint that there is no room for is forgotten, not waited for', () => {
    const rig = new AccumulatorRig({ bufferMemory: 65_536 + 8192 })
    const topic = rig.describe('orders', 1)
    topic.partitions[0]!.sizeHint = 65_536
    rig.arena.take(65_536)
    expect(rig.add({ value: 'x' })).toBe(true)
    expect(topic.partitions[0]!.open!.region!.capacity).toBe(4096)
  })
})

describe('closing', () => {
  test('a batch takes records up to the last byte of batchSize', () => {
    for (const [second, batches] of [
      [0, 1],
      [1, 2],
    ] as const) {
      const rig = new AccumulatorRig({ batchSize: 10_000 })
      const topic = rig.describe('orders', 1)
      const first = valueFor(6000)
      rig.add({ value: first })
      const open = topic.partitions[0]!.open!
      const bytesLeft = 10_000 - open.byteLength
      rig.add({ value: valueFor(HEADER + bytesLeft + second) })
      expect(rig.batches(topic, 0)).toHaveLength(batches)
    }
  })

  test('strings are measured before a batch counts as full: ASCII fills it as bytes would', () => {
    const rig = new AccumulatorRig()
    const topic = rig.describe('orders', 1)
    for (let i = 0; i < 2000; i++) rig.add({ value: 'x'.repeat(100) })
    const full = rig.batches(topic, 0).slice(0, -1)
    expect(full.length).toBeGreaterThan(1)
    for (const batch of full)
      expect(65_536 - batch.byteLength).toBeLessThan(recordBytesBound(null, 'x'.repeat(100), null))
  })

  test('a larger record travels alone: nothing joins it, and it joins nothing', () => {
    const rig = new AccumulatorRig({ batchSize: 16_384 })
    const topic = rig.describe('orders', 1)
    rig.add({ value: 'before' })
    rig.add({ value: 'x'.repeat(20_000) })
    rig.add({ value: 'after' })
    expect(rig.batches(topic, 0).map(({ count }) => count)).toEqual([1, 1, 1])
    expect(rig.values(topic, 0)).toEqual(['before', 'x'.repeat(20_000), 'after'])
  })

  test('whatever the sizes, a batch is at most batchSize, or it is one record', () => {
    const anyValue = fc.oneof(
      fc.nat({ max: 300 }),
      fc.integer({ min: 4000, max: 4200 }),
      fc.integer({ min: 15_000, max: 40_000 }),
    )
    fc.assert(
      fc.property(
        fc.constantFrom(1, 1000, 5000, 16_384, 20_000),
        fc.array(fc.tuple(anyValue, fc.constantFrom('x', 'é')), { maxLength: 60 }),
        (batchSize, values) => {
          const rig = new AccumulatorRig({ batchSize, bufferMemory: 2 * 1_048_576 })
          const topic = rig.describe('orders', 1)
          for (const [length, character] of values) {
            expect(rig.add({ value: character.repeat(length / (character === 'x' ? 1 : 2)) })).toBe(true)
          }
          const batches = rig.batches(topic, 0)
          expect(batches.filter((batch) => batch.byteLength > batchSize && batch.count > 1)).toEqual([])
          expect(rig.values(topic, 0)).toEqual(values.map(([length, c]) => c.repeat(length / (c === 'x' ? 1 : 2))))
        },
      ),
      { numRuns: 60 },
    )
  })

  test('a record of another generation begins another batch, so that a flush waits for no newer record', () => {
    const rig = new AccumulatorRig()
    const topic = rig.describe('orders', 1)
    const next = generationOf(2)
    rig.add({ value: 'a' })
    rig.add({ value: 'b', generation: next })
    rig.add({ value: 'c', generation: next })
    expect(rig.batches(topic, 0).map((batch) => [batch.generation, valuesOf(batch)])).toEqual([
      [rig.generation, ['a']],
      [next, ['b', 'c']],
    ])
  })

  test('a batch is open for a tenth of deliveryTimeoutMs: a record expires at most so much early', () => {
    const rig = new AccumulatorRig({ deliveryTimeoutMs: 30_000 })
    const topic = rig.describe('orders', 1)
    rig.add({ value: 'a' })
    rig.clock.advance(3_000)
    rig.add({ value: 'b' })
    rig.clock.advance(1)
    rig.add({ value: 'c' })
    expect(rig.batches(topic, 0).map(valuesOf)).toEqual([['a', 'b'], ['c']])
  })

  test('a record that was handed over before the batch was opened begins another one: it must not settle late', () => {
    // As behind a sendMany that waited in the line, whose records count from when they were taken.
    const rig = new AccumulatorRig({ deliveryTimeoutMs: 30_000 })
    const topic = rig.describe('orders', 1)
    rig.add({ value: 'taken now', createdAt: 50_000 })
    rig.add({ value: 'sent long ago', createdAt: 40_000 })
    rig.add({ value: 'sent with it', createdAt: 40_000 })
    rig.add({ value: 'sent later', createdAt: 41_000 })
    expect(rig.batches(topic, 0).map((batch) => [batch.deadlineAt, valuesOf(batch)])).toEqual([
      [80_000, ['taken now']],
      [70_000, ['sent long ago', 'sent with it', 'sent later']],
    ])
  })

  test('closing tells the sender; closing where nothing is open tells nobody', () => {
    const rig = new AccumulatorRig()
    const topic = rig.describe('orders', 1)
    rig.accumulator.closeOpen(topic.partitions[0]!)
    expect(rig.due).toEqual([])
    rig.add()
    rig.accumulator.closeOpen(topic.partitions[0]!)
    expect(rig.due).toHaveLength(2)
    expect(topic.partitions[0]!.ready.map(({ state }) => state)).toEqual(['ready'])
  })

  test("a topic's own limit, halved when the broker found a batch too large, counts from the next record on", () => {
    const rig = new AccumulatorRig({ batchSize: 16_384 })
    const topic = rig.describe('orders', 1)
    topic.batchBytesMax = 5000
    for (let i = 0; i < 12; i++) rig.add({ value: Buffer.alloc(1000) })
    expect(rig.batches(topic, 0).map(({ count }) => count)).toEqual([4, 4, 4])
  })
})

describe('without a key', () => {
  test('records stay on one partition until about batchSize bytes went there, and change with a batch, not in the middle', () => {
    const rig = new AccumulatorRig({ random: seeded(3) })
    const topic = rig.describe('orders', 6)
    for (let i = 0; i < 20_000; i++) rig.add({ value: Buffer.alloc(100) })
    const sizes = topic.partitions.flatMap(({ ready }) => ready.map(({ byteLength }) => byteLength))
    expect(sizes.length).toBeGreaterThan(25)
    expect(Math.min(...sizes)).toBeGreaterThan(65_536 - 200)
    // One batch in all is part-filled: the one that takes the next record.
    expect(topic.partitions.filter(({ open }) => open !== null)).toHaveLength(1)
  })

  test('a part-filled batch that went is no reason to change: the partition is kept until batchSize bytes went there', () => {
    const rig = new AccumulatorRig({ batchSize: 10_000, random: seeded(1) })
    const topic = rig.describe('orders', 6)
    const used: number[] = []
    // Each turn of the event loop sends what is there: ten records of about 1 KiB make up batchSize.
    for (let turn = 0; turn < 10; turn++) {
      rig.add({ value: Buffer.alloc(900) })
      const partition = topic.partitions.find(({ open }) => open !== null)!
      used.push(partition.index)
      rig.accumulator.closeOpen(partition)
    }
    expect(new Set(used).size).toBe(1)
    // Over batchSize now, and no batch is open: the next record may go elsewhere.
    const others = new Set<number>()
    for (let i = 0; i < 60; i++) {
      rig.add({ value: Buffer.alloc(9_900) })
      const partition = topic.partitions.find(({ open }) => open !== null)!
      others.add(partition.index)
      rig.accumulator.closeOpen(partition)
    }
    expect(others.size).toBe(6)
  })

  test('what counts towards batchSize is every byte of the batches, their headers included', () => {
    for (const isStaged of [false, true]) {
      const rig = new AccumulatorRig({ batchSize: 4096 })
      const topic = isStaged ? rig.accumulator.topic('orders') : rig.describe('orders', 3)
      let counted = 0
      const { keyless } = topic
      const real = keyless.onAppended.bind(keyless)
      keyless.onAppended = (bytes, isBoundary) => {
        counted += bytes
        real(bytes, isBoundary)
      }
      for (let i = 0; i < 50; i++) rig.add({ value: 'x'.repeat(i * 10) })
      if (isStaged) rig.describe('orders', 3)
      const batches = [0, 1, 2].flatMap((index) => rig.batches(topic, index))
      expect(batches.length).toBeGreaterThan(2)
      expect(counted).toBe(batches.reduce((sum, { byteLength }) => sum + byteLength, 0))
    }
  })

  test('a partition without a leader gets none while another has one', () => {
    const rig = new AccumulatorRig({ batchSize: 1000 })
    const topic = rig.describe('orders', 3, [-1, 1, -1])
    for (let i = 0; i < 100; i++) rig.add({ value: Buffer.alloc(500) })
    expect(topic.partitions.map(({ queueLength }) => queueLength > 0)).toEqual([false, true, false])
  })

  test("'roundRobin' gives each partition one record in turn", () => {
    const rig = new AccumulatorRig({ partitioner: 'roundRobin' })
    const topic = rig.describe('orders', 3)
    for (let i = 0; i < 8; i++) rig.add({ key: 'the same', value: `${i}` })
    expect([0, 1, 2].map((index) => rig.values(topic, index))).toEqual([
      ['0', '3', '6'],
      ['1', '4', '7'],
      ['2', '5'],
    ])
  })

  test("a turn of 'roundRobin' that found no room is not lost", () => {
    const rig = new AccumulatorRig({ partitioner: 'roundRobin', batchSize: 4096, bufferMemory: 3 * 4096 })
    const topic = rig.describe('orders', 3)
    const filler = rig.arena.take(3 * 4096)
    expect([rig.add({ value: '0' }), rig.add({ value: '0' })]).toEqual([false, false])
    rig.arena.release(filler)
    for (let i = 0; i < 3; i++) expect(rig.add({ value: `${i}` })).toBe(true)
    expect([0, 1, 2].map((index) => rig.values(topic, index))).toEqual([['0'], ['1'], ['2']])
  })

  test("'random' spreads over all partitions, whatever the key", () => {
    const rig = new AccumulatorRig({ partitioner: 'random' })
    const topic = rig.describe('orders', 4)
    for (let i = 0; i < 400; i++) rig.add({ key: 'the same' })
    const counts = topic.partitions.map(({ open }) => open!.count)
    expect(Math.min(...counts)).toBeGreaterThan(50)
  })
})

describe('by key', () => {
  const utf8 = (text: string) => new TextEncoder().encode(text)

  test("keys go where Java's producer sends them, as text and as bytes", () => {
    const rig = new AccumulatorRig()
    const topic = rig.describe('orders', 3)
    // vectors: keys key-0 to key-4 over 3 partitions.
    const wanted = [1, 0, 2, 2, 0]
    for (const [i, partition] of wanted.entries()) {
      rig.add({ key: `key-${i}`, value: `text ${i} for ${partition}` })
      rig.add({ key: utf8(`key-${i}`), value: `bytes ${i} for ${partition}` })
    }
    for (const index of [0, 1, 2]) {
      const values = rig.values(topic, index)
      expect(values.every((value) => value.endsWith(`for ${index}`))).toBe(true)
    }
    expect([0, 1, 2].reduce((sum, index) => sum + rig.values(topic, index).length, 0)).toBe(10)
  })

  test('a key that is no ASCII goes where its UTF-8 bytes go', () => {
    for (const key of ['schlüssel', '鍵', '🔑', 'é']) {
      const rig = new AccumulatorRig()
      const topic = rig.describe('orders', 17)
      rig.add({ key, value: 'text' })
      rig.add({ key: utf8(key), value: 'bytes' })
      expect(topic.partitions.filter(({ open }) => open !== null).map(({ open }) => open!.count)).toEqual([2])
    }
  })

  test('a key goes to its partition although that has no leader: it must not change places', () => {
    const rig = new AccumulatorRig()
    const topic = rig.describe('orders', 3, [0, -1, 2])
    rig.add({ key: 'key-0', value: 'a' })
    expect(rig.values(topic, 1)).toEqual(['a'])
  })

  test('with partitionerIgnoreKeys a key decides nothing, and stays in the record', () => {
    const rig = new AccumulatorRig({ partitionerIgnoreKeys: true })
    const topic = rig.describe('orders', 3)
    for (let i = 0; i < 5; i++) rig.add({ key: `key-${i}` })
    const open = topic.partitions.filter((partition) => partition.open !== null)
    expect(open).toHaveLength(1)
    expect(recordsOf(open[0]!.open!).map(({ key }) => Buffer.from(key!).toString())).toEqual([
      'key-0',
      'key-1',
      'key-2',
      'key-3',
      'key-4',
    ])
  })

  test("'consistentRandom' takes librdkafka's CRC-32 of a key, and chance for an empty one", () => {
    const rig = new AccumulatorRig({ partitioner: 'consistentRandom' })
    const topic = rig.describe('orders', 17)
    // librdkafka tests/0048-partitioner.c.
    for (const [key, hash] of [
      ['23456', 0xb1b451d7],
      ['this is another string with more length to it perhaps', 0xb0150df7],
      ['hejsan', 0xd077037e],
    ] as const) {
      rig.add({ key, value: key })
      expect(rig.values(topic, hash % 17)).toContain(key)
    }
    for (let i = 0; i < 200; i++) rig.add({ key: '', value: 'x' })
    expect(topic.partitions.filter(({ open }) => open !== null).length).toBeGreaterThan(12)
  })
})

describe('an explicit partition', () => {
  test('bypasses the partitioner', () => {
    const partitioner = () => expect.unreachable()
    const rig = new AccumulatorRig({ partitioner })
    const topic = rig.describe('orders', 3)
    rig.add({ partition: 2, key: 'key-0', value: 'a' })
    expect(rig.values(topic, 2)).toEqual(['a'])
  })

  test('that does not exist (yet) has an outbox of its own, and its records are there when the topic has grown', () => {
    const rig = new AccumulatorRig()
    const topic = rig.describe('orders', 2)
    expect(rig.add({ partition: 4, value: 'a' })).toBe(true)
    expect(rig.add({ partition: 4, value: 'b' })).toBe(true)
    const waiting = topic.missing.get(4)!
    expect(waiting.missingSince).toBe(rig.clock.now())
    expect(waiting.hold).toBe(HOLD_LEADER)
    rig.describe('orders', 5)
    expect(topic.partitions[4]).toBe(waiting)
    expect([waiting.missingSince, topic.missing.size, waiting.hold]).toEqual([0, 0, 0])
    rig.add({ partition: 4, value: 'c' })
    expect(rig.values(topic, 4)).toEqual(['a', 'b', 'c'])
  })
})

describe("a partitioner of the user's own", () => {
  interface Asked {
    readonly topic: string
    readonly key: Uint8Array | null
    readonly record: unknown
    readonly partitions: readonly PartitionInfo[]
  }
  function recording(answer: (asked: Asked) => number) {
    const asked: Asked[] = []
    const partitioner: PartitionerFunction = (topic, key, record, partitions) => {
      asked.push({ topic, key, record, partitions })
      return answer(asked.at(-1)!)
    }
    return { asked, partitioner }
  }

  test("is asked once a record, with the topic, the key's bytes, the user's record and the partitions", () => {
    const { asked, partitioner } = recording(() => 1)
    const rig = new AccumulatorRig({ partitioner })
    const topic = rig.describe('orders', 2, [7, -1])
    const record = { topic: 'orders', value: 'a' }
    rig.add({ key: 'ü', record })
    rig.add({ key: null, record })
    expect(asked).toHaveLength(2)
    expect(asked[0]!.record).toBe(record)
    expect(asked.map(({ topic: name, key }) => [name, key && [...key]])).toEqual([
      ['orders', [0xc3, 0xbc]],
      ['orders', null],
    ])
    expect(asked[0]!.partitions).toEqual([
      { topic: 'orders', partition: 0, leader: 7, replicas: [0], inSyncReplicas: [0], offlineReplicas: [] },
      { topic: 'orders', partition: 1, leader: -1, replicas: [1], inSyncReplicas: [1], offlineReplicas: [] },
    ])
    expect(topic.partitions.map(({ open }) => open?.count)).toEqual([undefined, 2])
  })

  test('gets a copy of the key: what it does with it changes no record', () => {
    const { asked, partitioner } = recording(({ key }) => {
      key!.fill(0)
      return 0
    })
    const rig = new AccumulatorRig({ partitioner })
    const topic = rig.describe('orders', 1)
    const key = Buffer.from('a key')
    rig.add({ key })
    rig.add({ key: 'a text' })
    expect(key.toString()).toBe('a key')
    expect(recordsOf(topic.partitions[0]!.open!).map((record) => Buffer.from(record.key!).toString())).toEqual([
      'a key',
      'a text',
    ])
    expect(asked[0]!.key!.buffer).not.toBe(key.buffer)
  })

  test.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw new Error('its own')
      },
    ],
    ['answers a partition that there is not', () => 2],
    ['answers a negative number', () => -1],
    ['answers a fraction', () => 0.5],
    ['answers nothing', () => undefined],
    ['answers a promise', () => Promise.resolve(0)],
  ])('that %s fails its record alone, with PARTITIONER_FAILED', (_, answer) => {
    let isBroken = true
    const rig = new AccumulatorRig({ partitioner: () => (isBroken ? (answer() as number) : 0) })
    const topic = rig.describe('orders', 2)
    // Taken, in that nothing is to be tried again.
    expect(rig.add({ kind: SLOT_PROMISE, first: 'resolve', second: 'reject' })).toBe(true)
    isBroken = false
    rig.add({ value: 'fine' })
    expect(rig.refused).toEqual([
      {
        kind: SLOT_PROMISE,
        first: 'resolve',
        second: 'reject',
        error: expect.objectContaining({ code: 'PARTITIONER_FAILED', name: 'RecordError', topic: 'orders' }),
        generation: rig.generation,
      },
    ])
    expect(rig.values(topic, 0)).toEqual(['fine'])
    expect(rig.arena.used).toBe(4096)
  })

  test('may send: the record inside comes first, and both are whole', () => {
    let depth = 0
    const rig: AccumulatorRig = new AccumulatorRig({
      partitioner: () => {
        depth++
        if (depth < 4) rig.add({ value: `at depth ${depth}`, headers: ['h', 'v'] })
        depth--
        return 0
      },
    })
    const topic = rig.describe('orders', 1)
    rig.add({ value: 'outer' })
    expect(rig.values(topic, 0)).toEqual(['at depth 3', 'at depth 2', 'at depth 1', 'outer'])
  })

  test('may send so much that the batch it was asked about is long closed', () => {
    let isInside = false
    const rig: AccumulatorRig = new AccumulatorRig({
      batchSize: 4096,
      partitioner: () => {
        if (!isInside) {
          isInside = true
          for (let i = 0; i < 20; i++) rig.add({ value: Buffer.alloc(1000) })
          isInside = false
        }
        return 0
      },
    })
    const topic = rig.describe('orders', 1)
    rig.add({ value: 'outer' })
    const batches = rig.batches(topic, 0)
    expect(batches.reduce((sum, { count }) => sum + count, 0)).toBe(21)
    expect(batches.filter((batch) => batch.byteLength > 4096)).toEqual([])
    expect(valuesOf(batches.at(-1)!).at(-1)).toBe('outer')
  })
})

describe('no room', () => {
  test('false, and nothing has changed but that the producer is under pressure', () => {
    const rig = new AccumulatorRig({ batchSize: 4096, bufferMemory: 8192 })
    const topic = rig.describe('orders', 3)
    expect([rig.add({ partition: 0, value: 'a' }), rig.add({ partition: 1, value: 'b' })]).toEqual([true, true])
    const [opened, used, unsettled] = [rig.opened.length, rig.arena.used, [...rig.accumulator.unsettled]]
    expect(rig.accumulator.isUnderPressure).toBe(false)
    expect(rig.add({ partition: 2, value: 'c', kind: SLOT_PROMISE, first: 'resolve', second: 'reject' })).toBe(false)
    expect(rig.accumulator.isUnderPressure).toBe(true)
    expect([rig.opened.length, rig.arena.used, [...rig.accumulator.unsettled]]).toEqual([opened, used, unsettled])
    expect(rig.refused).toEqual([])
    expect(topic.partitions[2]!.open).toBeNull()
    // What is open can still take more.
    expect(rig.add({ partition: 0, value: 'd' })).toBe(true)
    expect(rig.values(topic, 0)).toEqual(['a', 'd'])
  })

  test('a batch that cannot grow is full, not stuck: it is closed, so that its memory comes back', () => {
    const rig = new AccumulatorRig({ bufferMemory: 65_536 })
    const topic = rig.describe('orders', 1)
    const filler = rig.arena.take(65_536 - 16_384)
    rig.arena.release(filler)
    for (let i = 0; i < 3; i++) rig.arena.take(16_384)
    const due = rig.due.length
    let taken = 0
    while (rig.add({ value: 'x'.repeat(500) })) taken++
    // 16 KiB were left: 4 KiB, and as often again as nothing larger fits.
    expect(taken).toBeGreaterThan(20)
    expect(topic.partitions[0]!.open).toBeNull()
    expect(rig.due.length).toBeGreaterThan(due)
    const oldest = topic.partitions[0]!.ready[0]!
    rig.deliver(oldest)
    expect(rig.add({ value: 'x' })).toBe(true)
  })

  test('room that came back is found', () => {
    const rig = new AccumulatorRig({ batchSize: 4096, bufferMemory: 4096 })
    const topic = rig.describe('orders', 2)
    rig.add({ partition: 0 })
    expect(rig.add({ partition: 1 })).toBe(false)
    rig.accumulator.closeOpen(topic.partitions[0]!)
    rig.deliver(topic.partitions[0]!.ready[0]!)
    expect(rig.add({ partition: 1 })).toBe(true)
  })
})

describe('memory', () => {
  type Step =
    | { readonly kind: 'add'; readonly partition: number; readonly bytes: number; readonly topic: string }
    | { readonly kind: 'deliver' | 'close'; readonly at: number }
  const anyStep: fc.Arbitrary<Step> = fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        kind: fc.constant('add' as const),
        topic: fc.constantFrom('orders', 'clicks', 'unknown'),
        partition: fc.integer({ min: -1, max: 7 }),
        bytes: fc.oneof(fc.nat({ max: 300 }), fc.nat({ max: 5000 }), fc.integer({ min: 15_000, max: 40_000 })),
      }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('deliver' as const), at: fc.nat() }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('close' as const), at: fc.nat() }) },
  )

  test('bufferMemory is never passed, whatever comes and goes, and used is what the batches hold', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(4096, 10_000, 16_384, 65_536),
        fc.integer({ min: 1, max: 6 }),
        fc.array(anyStep, { minLength: 50, maxLength: 300 }),
        (batchSize, blocks, steps) => {
          const rig = new AccumulatorRig({ batchSize, bufferMemory: blocks * 65_536 })
          const topics = [rig.describe('orders', 3), rig.describe('clicks', 8)]
          const partitions = topics.flatMap(({ partitions: all }) => all)
          let taken = 0
          for (const step of steps) {
            if (step.kind === 'add') {
              const { topic, partition, bytes } = step
              if (rig.add({ topic, partition: partition % 3, value: Buffer.alloc(bytes) })) taken++
            } else if (step.kind === 'close') {
              rig.accumulator.closeOpen(partitions[step.at % partitions.length]!)
            } else {
              const ready = partitions.flatMap((each) => each.ready)
              const batch = ready[step.at % Math.max(1, ready.length)]
              if (batch !== undefined) {
                taken -= batch.count
                rig.deliver(batch)
              }
            }
            expect(rig.arena.used).toBeLessThanOrEqual(rig.bufferMemory)
            const held = [...rig.accumulator.unsettled].reduce((sum, { region }) => sum + region!.capacity, 0)
            expect(rig.arena.used).toBe(held)
          }
          expect([...rig.accumulator.unsettled].reduce((sum, { count }) => sum + count, 0)).toBe(taken)
        },
      ),
      { numRuns: 60 },
    )
  })

  test('when all batches are delivered nothing is used any more', () => {
    const rig = new AccumulatorRig({ batchSize: 16_384, bufferMemory: 262_144 })
    const topic = rig.describe('orders', 4)
    for (let round = 0; round < 20; round++) {
      while (rig.add({ key: `k${Math.floor(rig.clock.now())}`, value: Buffer.alloc(700) })) rig.clock.advance(1)
      for (const partition of topic.partitions) {
        rig.accumulator.closeOpen(partition)
        for (const batch of [...partition.ready]) rig.deliver(batch)
      }
      expect(rig.arena.used).toBe(0)
      expect(rig.accumulator.unsettled.size).toBe(0)
    }
  })
})

describe('batches beside the queue', () => {
  test('a child of a split has the deadline, generation and partition of its parent', () => {
    const rig = new AccumulatorRig()
    const topic = rig.describe('orders', 1)
    rig.add()
    const source = topic.partitions[0]!.open!
    rig.clock.advance(500)
    const child = rig.accumulator.emptyLike(source, 5000)
    expect(child).toMatchObject({
      createdAt: source.createdAt,
      deadlineAt: source.deadlineAt,
      topicName: 'orders',
      partitionIndex: 0,
      count: 0,
    })
    expect([child.generation, child.partition]).toEqual([source.generation, source.partition])
    expect(child.limit - child.region!.start).toBe(5000)
    expect(rig.accumulator.unsettled.has(child)).toBe(true)
  })

  test('a batch whose bytes somebody still reads is sealed again in another region, and the old one stays as it is', () => {
    const rig = new AccumulatorRig()
    const topic = rig.describe('orders', 1)
    rig.add({ value: 'a' })
    const batch = topic.partitions[0]!.open!
    rig.accumulator.closeOpen(topic.partitions[0]!)
    const old = batch.region!
    old.pins++
    rig.accumulator.copyRegion(batch)
    expect(batch.region).not.toBe(old)
    expect(valuesOf(batch)).toEqual(['a'])
    expect(rig.arena.used).toBe(8192)
    rig.arena.unpin(old)
    expect(rig.arena.used).toBe(4096)
  })

  test('a region is given back once, however often it is asked for', () => {
    const rig = new AccumulatorRig()
    const topic = rig.describe('orders', 1)
    rig.add()
    const batch: Batch = topic.partitions[0]!.open!
    rig.accumulator.releaseRegion(batch)
    rig.accumulator.releaseRegion(batch)
    expect([batch.region, batch.byteLength, rig.arena.used]).toEqual([null, 0, 0])
  })
})

describe('topics', () => {
  test('the same name is the same topic, whichever was asked for in between', () => {
    const { accumulator } = new AccumulatorRig()
    const orders = accumulator.topic('orders')
    expect(accumulator.topic('clicks')).not.toBe(orders)
    expect(accumulator.topic('orders')).toBe(orders)
  })

  test('a forgotten topic begins anew, also when it was the last one used', () => {
    const { accumulator } = new AccumulatorRig()
    const orders = accumulator.topic('orders')
    accumulator.forget(orders)
    expect(accumulator.topics.size).toBe(0)
    expect(accumulator.topic('orders')).not.toBe(orders)
  })
})
