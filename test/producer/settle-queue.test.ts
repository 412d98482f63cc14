// Callbacks come last, in order, a few milliseconds at a time.
import { describe, expect, test } from 'vitest'
import { type KafkaError, kafkaError } from '../../src/errors.ts'
import type { Batch } from '../../src/producer/batch.ts'
import { Generations } from '../../src/producer/generations.ts'
import { SettleQueue } from '../../src/producer/settle-queue.ts'
import {
  SLOT_CALLBACK,
  SLOT_GROUP,
  SLOT_NOBODY,
  SLOT_PROMISE,
  type SlotKind,
  SlotsPool,
} from '../../src/producer/slots.ts'
import type { RecordMetadata } from '../../src/producer/types.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { RecordingLog } from '../support/recording-log.ts'
import { append, batchOf, regionOf } from './rig.ts'

const refused = kafkaError('BUFFER_FULL', 'no room')
const lost = kafkaError('DELIVERY_TIMEOUT', 'too late')

class Rig {
  readonly clock = new FakeClock()
  readonly log = new RecordingLog()
  readonly generations = new Generations()
  readonly pool = new SlotsPool()
  readonly promises: number[] = []
  readonly observed: [KafkaError | null, RecordMetadata | null][] = []
  readonly queue: SettleQueue

  constructor(onObserved: (() => void) | null = null) {
    const observer = (error: KafkaError | null, metadata: RecordMetadata | null) => {
      this.observed.push([error, metadata])
      onObserved?.()
    }
    this.queue = new SettleQueue(
      this.pool,
      this.generations,
      this.clock,
      this.log,
      onObserved === null ? null : observer,
      (count) => this.promises.push(count),
    )
  }

  /** A batch whose settlement is decided, with so many records that call `owner` with their number. */
  settled(
    count: number,
    owner: (index: number, error: KafkaError | null) => void,
    error: KafkaError | null = null,
  ): Batch {
    const generation = this.generations.current
    this.generations.acceptInto(generation, count)
    const batch = batchOf({ generation, region: regionOf(100_000), slots: this.pool.take() })
    for (let i = 0; i < count; i++) {
      append(batch, { timestamp: 0, key: null, value: 'v' }, SLOT_CALLBACK, (failure: KafkaError | null) =>
        owner(i, failure),
      )
    }
    batch.settle(error === null ? { kind: 'delivered', baseOffset: 0, logAppendTimeMs: -1 } : { kind: 'failed', error })
    this.queue.push(batch)
    return batch
  }

  refuse(kind: SlotKind, first: unknown, second?: unknown): void {
    this.queue.refuse(kind, first, second, refused, this.generations.accept())
  }
}

describe('order', () => {
  test('batches and refused records are called back in the order in which they were decided', () => {
    const rig = new Rig()
    const told: string[] = []
    rig.settled(2, (i) => told.push(`first batch ${i}`))
    rig.refuse(
      SLOT_CALLBACK,
      (error: KafkaError, metadata: unknown, context: unknown) => told.push(`${error.code} ${metadata} ${context}`),
      'context',
    )
    rig.settled(2, (i, error) => told.push(`second batch ${i} ${error?.code}`), lost)
    rig.refuse(SLOT_PROMISE, 'resolve', (error: KafkaError) => told.push(`promise ${error.code}`))
    rig.refuse(SLOT_GROUP, { settled: (...args: unknown[]) => told.push(`group ${args[0]} ${args[2]}`) }, 12)
    expect(told).toEqual([])
    expect(rig.queue.isEmpty).toBe(false)
    expect(rig.queue.run()).toBe(false)
    expect(told).toEqual([
      'first batch 0',
      'first batch 1',
      'BUFFER_FULL null context',
      'second batch 0 DELIVERY_TIMEOUT',
      'second batch 1 DELIVERY_TIMEOUT',
      'promise BUFFER_FULL',
      'group 12 null',
    ])
    expect(rig.queue.isEmpty).toBe(true)
    expect(rig.queue.run()).toBe(false)
  })

  test('stays the same over thousands of items and many turns', () => {
    const rig = new Rig()
    const told: number[] = []
    for (let i = 0; i < 5000; i++) {
      rig.refuse(SLOT_CALLBACK, () => {
        told.push(i)
        rig.clock.advance(0.01)
      })
      if (i % 1500 === 1499) rig.queue.run()
    }
    while (rig.queue.run());
    expect(told).toEqual(Array.from({ length: 5000 }, (_, i) => i))
  })
})

describe('time', () => {
  test('a turn of callbacks takes 5 ms and no more than one further look at the clock; the rest waits for the next', () => {
    const rig = new Rig()
    let told = 0
    for (let i = 0; i < 12; i++) {
      rig.refuse(SLOT_CALLBACK, () => {
        told++
        rig.clock.advance(1)
      })
    }
    expect([rig.queue.run(), told]).toEqual([true, 5])
    expect([rig.queue.run(), told]).toEqual([true, 10])
    expect([rig.queue.run(), told]).toEqual([false, 12])
  })

  test('within a batch the clock is looked at ever more seldom, and the next turn goes on where this one stopped', () => {
    const rig = new Rig()
    const told: number[] = []
    const batch = rig.settled(300, (i) => {
      told.push(i)
      rig.clock.advance(0.05)
    })
    const ends: number[] = []
    for (let isMore = true; isMore; ends.push(told.length)) isMore = rig.queue.run()
    // 1 + 2 + 4 + 8 + 16 + 32 take 3.15 ms, the last 32 of them too long; 1 + 2 + 4 + 8 + 16 + 32 more take 6.3.
    expect(ends).toEqual([126, 252, 300])
    expect(told).toEqual(Array.from({ length: 300 }, (_, i) => i))
    expect(batch.settlement).toEqual({ kind: 'delivered', baseOffset: 0, logAppendTimeMs: -1 })
  })

  test('a callback that takes a millisecond is not called 64 times before the clock is looked at', () => {
    const rig = new Rig()
    const told: string[] = []
    rig.settled(64, (i) => {
      told.push(`a${i}`)
      rig.clock.advance(1)
    })
    expect(rig.queue.run()).toBe(true)
    // 1, 2 (too long), 1, 2: six milliseconds.
    expect(told).toEqual(['a0', 'a1', 'a2', 'a3', 'a4', 'a5'])
  })

  test('a batch that ended a turn is not begun again in the next', () => {
    const rig = new Rig()
    const told: string[] = []
    rig.settled(1, (i) => {
      told.push(`a${i}`)
      rig.clock.advance(5)
    })
    rig.settled(1, (i) => told.push(`b${i}`))
    expect(rig.queue.run()).toBe(true)
    expect(told).toEqual(['a0'])
    expect(rig.queue.run()).toBe(false)
    expect(told).toEqual(['a0', 'b0'])
  })
})

describe('callbacks that come back', () => {
  test('one that runs the queue itself is told whether something is left, and calls nobody', () => {
    const rig = new Rig()
    const told: unknown[] = []
    rig.refuse(SLOT_CALLBACK, () => told.push(['first', rig.queue.run()]))
    rig.settled(1, () => told.push(['last', rig.queue.run()]))
    rig.queue.run()
    // While the last one is called its batch is not finished yet.
    expect(told).toEqual([
      ['first', true],
      ['last', true],
    ])
    expect(rig.queue.isEmpty).toBe(true)
  })

  test('what a callback causes to settle is called back after what waits already, and not inside it', () => {
    const rig = new Rig()
    const told: string[] = []
    rig.refuse(SLOT_CALLBACK, () => {
      told.push('begin')
      rig.refuse(SLOT_CALLBACK, () => told.push('caused'))
      rig.settled(1, () => told.push('batch caused'))
      told.push('end')
    })
    rig.settled(1, () => told.push('waiting'))
    expect(rig.queue.run()).toBe(false)
    expect(told).toEqual(['begin', 'end', 'waiting', 'caused', 'batch caused'])
  })

  test('one that always causes another does not hold the event loop: its turn ends like any other', () => {
    const rig = new Rig()
    let told = 0
    const again = () => {
      told++
      rig.clock.advance(0.1)
      rig.refuse(SLOT_CALLBACK, again)
    }
    rig.refuse(SLOT_CALLBACK, again)
    expect(rig.queue.run()).toBe(true)
    expect(told).toBeGreaterThan(40)
    expect(told).toBeLessThan(60)
  })

  test('one that throws is logged, and all others are called', () => {
    const rig = new Rig()
    const told: string[] = []
    const thrown = new Error('of the callback')
    rig.refuse(SLOT_CALLBACK, () => {
      throw thrown
    })
    rig.settled(2, (i) => {
      told.push(`record ${i}`)
      if (i === 0) throw thrown
    })
    rig.refuse(SLOT_CALLBACK, () => told.push('refused'))
    expect(rig.queue.run()).toBe(false)
    expect(told).toEqual(['record 0', 'record 1', 'refused'])
    expect(rig.log.at('error').map(({ fields }) => fields)).toEqual([{ err: thrown }, { err: thrown }])
    expect(rig.generations.outstanding).toBe(0)
    expect(rig.queue.run()).toBe(false)
  })
})

describe('who counts', () => {
  test('flush hears of a batch when all of its callbacks were called, and of a refused record after its own', () => {
    const rig = new Rig()
    const order: string[] = []
    rig.settled(2, (i) => order.push(`record ${i}`))
    rig.refuse(SLOT_CALLBACK, () => order.push('refused'))
    rig.generations.flush(({ delivered, failed }) => order.push(`flushed ${delivered} ${failed}`))
    rig.queue.run()
    expect(order).toEqual(['record 0', 'record 1', 'refused', 'flushed 2 1'])
  })

  test('flush counts the records of a batch that settled with it, not those that settled or left before', () => {
    const rig = new Rig()
    const batch = rig.settled(5, () => {}, lost)
    batch.slots.takeKind(1)
    batch.goneCount++
    const reports: unknown[] = []
    rig.generations.settled(batch.generation, 0, 1)
    rig.generations.flush((report) => reports.push(report))
    rig.queue.run()
    expect(reports).toEqual([{ delivered: 0, failed: 4 }])
  })

  test('settled promises are counted, of batches and of refused records', () => {
    const rig = new Rig()
    const batch = batchOf({ generation: rig.generations.current })
    rig.generations.acceptInto(rig.generations.current, 3)
    for (let i = 0; i < 2; i++)
      append(
        batch,
        { timestamp: 0, key: null, value: 'v' },
        SLOT_PROMISE,
        () => {},
        () => {},
      )
    append(batch, { timestamp: 0, key: null, value: 'v' }, SLOT_NOBODY)
    batch.settle({ kind: 'delivered', baseOffset: 0, logAppendTimeMs: -1 })
    rig.queue.push(batch)
    rig.refuse(
      SLOT_PROMISE,
      () => {},
      () => {},
    )
    rig.refuse(SLOT_CALLBACK, () => {})
    rig.settled(1, () => {})
    rig.queue.run()
    expect(rig.promises).toEqual([2, 1])
  })

  test('the slots of a batch are used again, empty, and only once', () => {
    const rig = new Rig()
    const batch = rig.settled(100, () => {})
    rig.queue.run()
    expect(rig.pool.take()).toBe(batch.slots)
    expect(batch.slots.first.every((owner) => owner === undefined)).toBe(true)
    expect(rig.pool.take()).not.toBe(batch.slots)
  })

  test('interceptors see what was delivered, what failed and what was refused, before its owner', () => {
    const told: string[] = []
    const rig = new Rig(() => told.push('seen'))
    rig.settled(1, () => told.push('delivered'))
    rig.refuse(SLOT_CALLBACK, () => told.push('refused'))
    rig.refuse(SLOT_NOBODY, undefined)
    rig.queue.run()
    expect(told).toEqual(['seen', 'delivered', 'seen', 'refused', 'seen'])
    expect(rig.observed.map(([error, metadata]) => [error, metadata?.offset])).toEqual([
      [null, 0],
      [refused, undefined],
      [refused, undefined],
    ])
  })

  test('records that failed and that nobody asked about are one line in the log for each batch', () => {
    const rig = new Rig()
    const batch = batchOf({ generation: rig.generations.current })
    rig.generations.acceptInto(rig.generations.current, 3)
    for (let i = 0; i < 3; i++) append(batch, { timestamp: 0, key: null, value: 'v' }, SLOT_NOBODY)
    batch.settle({ kind: 'failed', error: lost })
    rig.queue.push(batch)
    rig.queue.run()
    expect(rig.log.at('warn')).toEqual([
      { level: 'warn', fields: { code: 'DELIVERY_TIMEOUT', records: 3, err: lost }, message: expect.any(String) },
    ])
  })
})

describe('the bound of refused records', () => {
  const BOUND = 100_000

  test.each<[string, SlotKind, unknown]>([
    ['with a callback', SLOT_CALLBACK, () => {}],
    ['without one', SLOT_NOBODY, undefined],
  ])('100,000 records %s wait to be called back; one more is counted, logged and settled at once', (_, kind, first) => {
    let seen = 0
    const rig = new Rig(() => seen++)
    for (let i = 0; i < BOUND; i++) rig.refuse(kind, first)
    expect([rig.queue.refusalsUncalled, rig.generations.outstanding]).toEqual([0, BOUND])
    rig.refuse(kind, () => expect.unreachable())
    // No code of the user's runs inside the call that was refused, an interceptor's neither.
    expect([rig.queue.refusalsUncalled, rig.generations.outstanding, seen]).toEqual([1, BOUND, 0])
    expect(rig.log.at('error')).toHaveLength(1)
    expect(rig.log.at('error')[0]!.fields).toEqual({ code: 'BUFFER_FULL', uncalled: 1 })
    while (rig.queue.run());
    expect([rig.generations.outstanding, seen]).toEqual([0, BOUND])
    // There is room again.
    rig.refuse(kind, first)
    expect([rig.queue.refusalsUncalled, rig.generations.outstanding]).toEqual([1, 1])
  })

  test('a promise and a sendMany are always told, however many wait: somebody holds them anyway', () => {
    const rig = new Rig()
    for (let i = 0; i < BOUND; i++) rig.refuse(SLOT_NOBODY, undefined)
    const told: string[] = []
    rig.refuse(SLOT_PROMISE, 'resolve', () => told.push('promise'))
    rig.refuse(SLOT_GROUP, { settled: () => told.push('group') }, 0)
    while (rig.queue.run());
    expect(told).toEqual(['promise', 'group'])
    expect(rig.queue.refusalsUncalled).toBe(0)
  })
})
