// A record that waits in the line: what it keeps of the caller's, when it asks for its partition, and how it ends.
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import { BufferFullError, type KafkaError, kafkaError } from '../../src/errors.ts'
import type { Generation } from '../../src/producer/generations.ts'
import type { Prepared } from '../../src/producer/intake.ts'
import type { Field, FlatHeaders } from '../../src/producer/record-encoder.ts'
import { SLOT_PROMISE, type SlotKind } from '../../src/producer/slots.ts'
import { RecordWaiter, waitError } from '../../src/producer/waiters.ts'
import { generationOf } from './rig.ts'

interface Entered {
  readonly prepared: Prepared
  readonly rest: readonly unknown[]
}

/** What the waiter talks to: answers as the test says, and remembers. */
class FakeTaking {
  readonly entered: Entered[] = []
  readonly refused: unknown[][] = []
  decisions = 0
  hasRoom = true
  onDecide: (prepared: Prepared) => KafkaError | null = () => null

  decide(prepared: Prepared): KafkaError | null {
    this.decisions++
    return this.onDecide(prepared)
  }

  add(prepared: Prepared, ...rest: [SlotKind, unknown, unknown, Generation, number]): boolean {
    if (this.hasRoom) this.entered.push({ prepared: { ...prepared }, rest })
    return this.hasRoom
  }

  refuse(...args: unknown[]): void {
    this.refused.push(args)
  }
}

function waiterOf(given: { key?: Field; value?: Field; headers?: FlatHeaders | null; record?: unknown } = {}) {
  const taking = new FakeTaking()
  const generation = generationOf()
  const prepared: Prepared = {
    topic: 'orders',
    key: given.key ?? null,
    value: given.value ?? 'v',
    headers: given.headers ?? null,
    timestamp: 1_700_000_000_000,
    partition: -1,
    record: given.record ?? null,
  }
  const waiter = new RecordWaiter(prepared, SLOT_PROMISE, 'resolve', 'reject', generation, 5_000, taking)
  return { taking, generation, prepared, waiter }
}

const textOf = (field: Field | undefined) => field && Buffer.from(field as Uint8Array).toString()

describe('what it keeps', () => {
  test('is a copy of bytes: what the caller writes into its buffers afterwards changes nothing', () => {
    const [key, value, header] = [Buffer.from('key'), new Uint8Array(Buffer.from('value')), Buffer.from('header')]
    const { taking, waiter } = waiterOf({ key, value, headers: ['name', header, 'none', null] })
    for (const bytes of [key, value, header]) bytes.fill(0)
    expect(waiter.tryEnter()).toBe(true)
    const [{ prepared }] = taking.entered as [Entered]
    expect([prepared.key, prepared.value].map(textOf)).toEqual(['key', 'value'])
    expect(prepared.headers?.map((field) => (typeof field === 'string' ? field : textOf(field)))).toEqual([
      'name',
      'header',
      'none',
      null,
    ])
  })

  test('bytes from another realm are copied like any others', () => {
    const foreign = runInNewContext('new Uint8Array([118, 97, 108])') as Uint8Array
    const { taking, waiter } = waiterOf({ value: foreign, headers: ['name', foreign] })
    foreign.fill(0)
    waiter.tryEnter()
    expect(textOf(taking.entered[0]!.prepared.value)).toBe('val')
    expect(textOf(taking.entered[0]!.prepared.headers![1])).toBe('val')
  })

  test('is its own: the object that was handed over is used for the next record at once', () => {
    const { taking, waiter, prepared } = waiterOf({ value: 'mine' })
    Object.assign(prepared, { topic: 'clicks', value: 'another', partition: 7, timestamp: 0 })
    waiter.tryEnter()
    expect(taking.entered[0]!.prepared).toMatchObject({
      topic: 'orders',
      value: 'mine',
      partition: -1,
      timestamp: 1_700_000_000_000,
    })
  })

  test('counts with the bytes that its record takes at most', () => {
    const { waiter } = waiterOf({ key: 'ü', value: Buffer.alloc(100), headers: ['h', null] })
    expect(waiter.bytes).toBe(21 + 3 + 102 + 1 + 2 + 1)
    expect([waiter.neededBytes, waiter.recordCount, waiter.topicName, waiter.waitingSince]).toEqual([
      waiter.bytes,
      1,
      'orders',
      5_000,
    ])
  })

  test.each<['it got in' | 'it gave up', (waiter: RecordWaiter) => void]>([
    ['it got in', (waiter) => waiter.tryEnter()],
    ['it gave up', (waiter) => waiter.giveUp('timeout', 10)],
  ])('is let go of when %s: the line and its signal may hold the waiter for longer', (_, end) => {
    const { taking, waiter } = waiterOf({ key: 'k', value: Buffer.alloc(100), headers: ['h', 'x'], record: {} })
    let kept: Prepared | undefined
    taking.onDecide = (prepared) => {
      kept = prepared
      return null
    }
    end(waiter)
    // Tried once more it would show what it still has.
    waiter.tryEnter()
    expect(kept).toMatchObject({ topic: 'orders', key: null, value: null, headers: null, record: null })
    expect(waiter.topicName).toBe('orders')
  })
})

describe('getting in', () => {
  test("hands over its owner, its generation and the time of the call, from which its record's deadline counts", () => {
    const { taking, waiter, generation } = waiterOf()
    expect(waiter.tryEnter()).toBe(true)
    expect(taking.entered[0]!.rest).toEqual([SLOT_PROMISE, 'resolve', 'reject', generation, 5_000])
    expect(taking.entered[0]!.rest[3]).toBe(generation)
  })

  test('without room it stays as it was, and tries again', () => {
    const { taking, waiter } = waiterOf({ value: 'v', headers: ['h', 'x'] })
    taking.hasRoom = false
    expect([waiter.tryEnter(), waiter.tryEnter()]).toEqual([false, false])
    expect([taking.refused, waiter.isGone]).toEqual([[], false])
    taking.hasRoom = true
    expect(waiter.tryEnter()).toBe(true)
    expect(taking.entered[0]!.prepared).toMatchObject({ value: 'v', headers: ['h', 'x'] })
  })

  test('the partition that was decided stays decided', () => {
    const { taking, waiter } = waiterOf({ record: {} })
    taking.hasRoom = false
    taking.onDecide = (prepared) => {
      if (prepared.partition === -1) prepared.partition = 4
      return null
    }
    waiter.tryEnter()
    taking.onDecide = () => null
    taking.hasRoom = true
    waiter.tryEnter()
    expect(taking.entered[0]!.prepared.partition).toBe(4)
  })

  test('a partitioner that fails settles the record, and the next in line may come', () => {
    const { taking, waiter, generation } = waiterOf({ record: {} })
    const error = kafkaError('PARTITIONER_FAILED', 'no')
    taking.onDecide = () => error
    expect(waiter.tryEnter()).toBe(true)
    expect(taking.entered).toEqual([])
    expect(taking.refused).toEqual([[SLOT_PROMISE, 'resolve', 'reject', error, generation, 'orders']])
  })

  test('a partitioner that ends this very wait settles the record once: it does not get in as well', () => {
    const { taking, waiter } = waiterOf({ record: {} })
    taking.onDecide = () => {
      waiter.giveUp(kafkaError('ABORTED', 'by its signal'), 0)
      return null
    }
    expect(waiter.tryEnter()).toBe(true)
    expect(taking.entered).toEqual([])
    expect(taking.refused).toHaveLength(1)
  })
})

describe('giving up', () => {
  test('after too long: BUFFER_TIMEOUT, with how long and for which topic', () => {
    const { taking, waiter, generation } = waiterOf()
    waiter.giveUp('timeout', 60_000.4)
    expect(waiter.isGone).toBe(true)
    const [kind, first, second, error, of, topic] = taking.refused[0]!
    expect([kind, first, second, of, topic]).toEqual([SLOT_PROMISE, 'resolve', 'reject', generation, 'orders'])
    expect(error).toBeInstanceOf(BufferFullError)
    expect(error).toMatchObject({
      code: 'BUFFER_TIMEOUT',
      topic: 'orders',
      elapsedMs: 60_000,
      persisted: 'no',
      retriable: true,
      message: expect.stringContaining('no room came within 60000 ms for a record of topic orders'),
    })
  })

  test('for another reason: with that error and no other', () => {
    const { taking, waiter } = waiterOf()
    const closed = kafkaError('CLOSED', 'the producer was closed')
    waiter.giveUp(closed, 0)
    expect(taking.refused[0]![3]).toBe(closed)
    expect(waitError(closed, 'orders', 5)).toBe(closed)
  })
})
