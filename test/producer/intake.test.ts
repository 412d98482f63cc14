// A user's record on its way in: every bad input fails its record alone, with a code and words that help, whatever user code does.
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import { KafkaError, RecordError } from '../../src/errors.ts'
import { asKafkaError, Intake, type IntakeOptions, type Prepared } from '../../src/producer/intake.ts'
import type { Interceptor, Serializer } from '../../src/producer/types.ts'
import { RecordingLog } from '../support/recording-log.ts'
import { AccumulatorRig } from './rig.ts'

type Options = Partial<IntakeOptions> & { readonly bufferMemory?: number; readonly partitionCount?: number }

class Rig {
  readonly accumulator: AccumulatorRig
  readonly log = new RecordingLog()
  readonly intake: Intake
  readonly prepared: Prepared = {
    topic: '',
    key: null,
    value: null,
    headers: null,
    timestamp: 0,
    partition: -1,
    record: null,
  }

  constructor({ bufferMemory, partitionCount, ...options }: Options = {}) {
    this.accumulator = new AccumulatorRig({
      ...(bufferMemory === undefined ? {} : { bufferMemory }),
      ...(typeof options.partitioner === 'function' ? { partitioner: options.partitioner as never } : {}),
    })
    if (partitionCount !== undefined) this.accumulator.describe('orders', partitionCount)
    const all: IntakeOptions = {
      keySerializer: undefined,
      valueSerializer: undefined,
      interceptors: [],
      maxRequestSize: 1_048_576,
      partitioner: 'java',
      ...options,
    }
    this.intake = new Intake(all, this.accumulator.accumulator, this.accumulator.clock, this.log)
  }

  /** As the encoder will get it. */
  prepare(record: unknown): Prepared {
    this.intake.prepare(record, this.prepared)
    return { ...this.prepared }
  }

  failure(record: unknown): KafkaError {
    try {
      this.intake.prepare(record, this.prepared)
    } catch (error) {
      if (error instanceof KafkaError) return error
      throw error
    }
    throw new Error('the record was taken')
  }

  /** As `send` does it, with the one object that all sends share. */
  send(record: unknown): void {
    const { prepared } = this
    this.intake.prepare(record, prepared)
    const { topic, partition, key, value, headers, timestamp } = prepared
    this.accumulator.add({ topic, partition, key, value, headers, timestamp })
  }
}

const textOf = (field: unknown) => (field instanceof Uint8Array ? Buffer.from(field).toString() : field)

describe('a good record', () => {
  test('passes its strings and bytes on as they are, without a copy', () => {
    const bytes = Buffer.from('v')
    const rig = new Rig()
    expect(rig.prepare({ topic: 'orders', key: 'k', value: bytes, headers: { h: 'x' } })).toEqual({
      topic: 'orders',
      key: 'k',
      value: bytes,
      headers: ['h', 'x'],
      timestamp: rig.accumulator.clock.wallTimeMs(),
      partition: -1,
      record: null,
    })
    expect(rig.prepared.value).toBe(bytes)
  })

  test('undefined and null stand for nothing in every optional field', () => {
    const rig = new Rig()
    for (const nothing of [undefined, null]) {
      const record = {
        topic: 'orders',
        value: 'v',
        key: nothing,
        partition: nothing,
        timestamp: nothing,
        headers: nothing,
      }
      expect(rig.prepare(record)).toMatchObject({ key: null, partition: -1, headers: null })
    }
  })

  test('a tombstone is a null value with a key; empty is not null', () => {
    const rig = new Rig()
    expect(rig.prepare({ topic: 'orders', key: 'k', value: null })).toMatchObject({ key: 'k', value: null })
    expect(rig.prepare({ topic: 'orders', key: '', value: null })).toMatchObject({ key: '', value: null })
    expect(rig.prepare({ topic: 'orders', value: '' })).toMatchObject({ key: null, value: '' })
  })

  test('is frozen without harm, and may be a class instance or an object without a prototype', () => {
    class Order {
      readonly topic = 'orders'
      get value() {
        return 'from a getter'
      }
    }
    const rig = new Rig()
    const frozen = Object.freeze({ topic: 'orders', value: 'v', headers: Object.freeze({ a: 'b' }) })
    expect(rig.prepare(frozen).value).toBe('v')
    expect(rig.prepare(new Order()).value).toBe('from a getter')
    expect(rig.prepare(Object.assign(Object.create(null), { topic: 'orders', value: 'bare' })).value).toBe('bare')
  })

  test('bytes of another realm are bytes, as key and as value, from a serializer too', () => {
    const foreign: unknown = runInNewContext('new Uint8Array([118])')
    expect(foreign).not.toBeInstanceOf(Uint8Array)
    expect(new Rig().prepare({ topic: 'orders', key: foreign, value: foreign }).value).toBe(foreign)
    const rig = new Rig({ valueSerializer: () => foreign as Uint8Array })
    expect(rig.prepare({ topic: 'orders', value: 1 }).value).toBe(foreign)
  })

  test('each property is read once: a getter that changes its mind changes nothing', () => {
    const reads: Record<string, number> = {}
    const record = new Proxy(
      { topic: 'orders', key: 'k', value: 'v', partition: 1, timestamp: 5, headers: {} },
      {
        get(target, property) {
          const name = String(property)
          reads[name] = (reads[name] ?? 0) + 1
          if (reads[name] > 1) throw new Error(`${name} is read twice`)
          return Reflect.get(target, property)
        },
      },
    )
    expect(new Rig().prepare(record)).toMatchObject({
      topic: 'orders',
      key: 'k',
      value: 'v',
      partition: 1,
      timestamp: 5,
    })
    expect(reads).toEqual({ topic: 1, key: 1, value: 1, partition: 1, timestamp: 1, headers: 1 })
  })
})

describe('what is no record', () => {
  test.each([
    ['nothing', undefined, 'not undefined'],
    ['null', null, 'not null'],
    ['a text', 'orders', 'not of type string'],
    ['a number', 7, 'not 7'],
    ['a BigInt', 7n, 'not 7'],
    ['a function', () => {}, 'not of type function'],
    ['a symbol', Symbol('s'), 'not of type symbol'],
  ])('%s is refused with INVALID_RECORD', (_, record, words) => {
    const error = new Rig().failure(record)
    expect(error).toBeInstanceOf(RecordError)
    expect(error).toMatchObject({ code: 'INVALID_RECORD', persisted: 'no', retriable: false })
    expect(error.message).toContain(words)
  })

  test('a getter that throws fails its record, with what it threw as the cause', () => {
    for (const name of ['topic', 'key', 'value', 'partition', 'timestamp', 'headers']) {
      const cause = new Error(`the ${name} is not there`)
      const record = { topic: 'orders', value: 'v' }
      Object.defineProperty(record, name, {
        get() {
          throw cause
        },
      })
      const error = new Rig().failure(record)
      expect(error).toMatchObject({ code: 'INVALID_RECORD', name: 'RecordError' })
      expect(error.message).toContain(`the ${name} is not there`)
      expect(error.cause).toBe(cause)
    }
  })

  test('a getter may throw what has no text', () => {
    const record = {
      get topic() {
        throw Object.create(null)
      },
    }
    expect(new Rig().failure(record).code).toBe('INVALID_RECORD')
  })

  test.each([
    ['', 'an empty string'],
    ['.', "'.'"],
    ['..', "'..'"],
    ['a/b', '"/" at position 1'],
    ['a b', '" " at position 1'],
    ['größe', 'at position 2'],
    ['a'.repeat(250), '250 characters'],
    [7, 'of type number'],
    [undefined, 'of type undefined'],
    [null, 'null'],
    [{ toString: () => 'orders' }, 'of type object'],
    [new String('orders'), 'of type object'],
  ])('the topic %j is refused with INVALID_TOPIC_EXCEPTION', (topic, words) => {
    const rig = new Rig()
    const error = rig.failure({ topic, value: 'v' })
    expect(error).toMatchObject({ code: 'INVALID_TOPIC_EXCEPTION', name: 'RecordError', retriable: false })
    expect(error.message).toContain(words)
    expect(rig.accumulator.accumulator.topics.size).toBe(0)
  })

  test('a value that is missing is INVALID_RECORD and no tombstone: it would delete the key', () => {
    const rig = new Rig()
    for (const record of [
      { topic: 'orders', key: 'k' },
      { topic: 'orders', key: 'k', value: undefined },
    ]) {
      expect(rig.failure(record)).toMatchObject({ code: 'INVALID_RECORD', hint: expect.stringContaining('null') })
    }
  })

  test('key and value both null are refused, and the hint says what a tombstone is', () => {
    for (const nothing of [{}, { key: null, value: null }, { value: undefined }]) {
      const error = new Rig().failure({ topic: 'orders', ...nothing })
      expect(error).toMatchObject({ code: 'INVALID_RECORD', topic: 'orders', name: 'RecordError' })
      expect(error.message).toContain('key and value are both null')
      expect(error.hint).toContain('tombstone')
    }
  })

  test('key and value both null by their serializers are refused as well', () => {
    const rig = new Rig({ keySerializer: () => null, valueSerializer: () => null })
    expect(rig.failure({ topic: 'orders', key: 'k', value: 'v' }).message).toContain('key and value are both null')
  })
})

describe('partitions', () => {
  test('any whole number from 0 on may exist, or come to exist', () => {
    for (const partition of [0, 1, 99_999, 2_147_483_647]) {
      expect(new Rig({ partitionCount: 3 }).prepare({ topic: 'orders', value: 'v', partition }).partition).toBe(
        partition,
      )
    }
  })

  test.each([[-1], [0.5], [Number.NaN], [Number.POSITIVE_INFINITY], [2_147_483_648], ['0'], [0n], [{}], [[]], [true]])(
    '%s is refused with INVALID_PARTITION',
    (partition) => {
      const error = new Rig().failure({ topic: 'orders', value: 'v', partition })
      expect(error).toMatchObject({ code: 'INVALID_PARTITION', name: 'RecordError', topic: 'orders', retriable: false })
      expect(error.message).toContain('of topic orders cannot exist')
      expect(error.hint).toContain('whole number from 0')
    },
  )
})

describe('timestamps', () => {
  test('the default is the present wall time, kept for the turn and for 64 records at most', () => {
    const rig = new Rig()
    const { clock } = rig.accumulator
    const record = { topic: 'orders', value: 'v' }
    const startedAt = clock.wallTimeMs()
    const next = () => {
      const { timestamp } = rig.prepare(record)
      rig.intake.now()
      return timestamp - startedAt
    }
    expect(next()).toBe(0)
    clock.advance(100)
    expect(Array.from({ length: 63 }, next)).toEqual(new Array(63).fill(0))
    expect(next()).toBe(100)
    clock.advance(100)
    expect(next()).toBe(100)
    rig.intake.forgetClock()
    expect(next()).toBe(200)
  })

  test('the monotonic time of a record is kept as long, and never runs backwards', () => {
    const rig = new Rig()
    const { clock } = rig.accumulator
    const times = Array.from({ length: 200 }, () => {
      clock.advance(1)
      return rig.intake.now()
    })
    expect(times).toEqual([...times].sort((a, b) => a - b))
    expect(new Set(times).size).toBe(4)
  })

  test.each([
    [0, 0],
    [1_700_000_000_000, 1_700_000_000_000],
    [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
    [new Date(5), 5],
    [new Date(8_640_000_000_000_000), 8_640_000_000_000_000],
  ])('%s is epoch milliseconds', (timestamp, ms) => {
    expect(new Rig().prepare({ topic: 'orders', value: 'v', timestamp }).timestamp).toBe(ms)
  })

  test.each([
    [-1, 'the timestamp is -1'],
    [0.5, 'the timestamp is 0.5'],
    [Number.NaN, 'the timestamp is NaN'],
    [2 ** 53, 'the timestamp is 9007199254740992'],
    ['2026-01-01', 'the timestamp is of type string'],
    [1n, 'the timestamp is 1'],
    [new Date(Number.NaN), 'the timestamp is an invalid Date'],
    [new Date(-1), 'the timestamp is -1'],
    [{}, 'the timestamp is an object (Object)'],
    [[], 'the timestamp is an array'],
  ])('%s is refused with INVALID_TIMESTAMP', (timestamp, words) => {
    const error = new Rig().failure({ topic: 'orders', value: 'v', timestamp })
    expect(error).toMatchObject({ code: 'INVALID_TIMESTAMP', name: 'RecordError', topic: 'orders', retriable: false })
    expect(error.message).toContain(words)
    expect(error.hint).toContain('since 1970')
  })
})

describe('headers', () => {
  test.each([
    ['a number as a value', { a: 7 }],
    ['an object as a value', { a: {} }],
    ['undefined as a value', { a: undefined }],
    ['a Map', new Map([['a', 'b']])],
    ['a text', 'a=b'],
    ['a pair of one', [['a']]],
    ['a name that is no string', [[7, 'b']]],
  ])('%s fails the record with INVALID_RECORD', (_, headers) => {
    const error = new Rig().failure({ topic: 'orders', value: 'v', headers })
    expect(error).toMatchObject({ code: 'INVALID_RECORD', name: 'RecordError', retriable: false })
    expect(error.message).toContain('header')
  })

  test('no headers, in any form, are null', () => {
    for (const headers of [undefined, null, {}, []]) {
      expect(new Rig().prepare({ topic: 'orders', value: 'v', headers }).headers).toBeNull()
    }
  })

  test('what a serializer adds to them is sent too', () => {
    const valueSerializer: Serializer<unknown> = (value, _topic, headers) => {
      ;(headers as Record<string, string>)['schema'] = '7'
      return String(value)
    }
    const rig = new Rig({ valueSerializer })
    expect(rig.prepare({ topic: 'orders', value: 1, headers: { a: 'b' } }).headers).toEqual(['a', 'b', 'schema', '7'])
  })
})

describe('without serializers', () => {
  test.each([
    ['a number', 7, 'the value is 7'],
    ['an object', { count: 1 }, 'the value is an object (Object)'],
    ['a Date', new Date(0), 'the value is an object (Date)'],
    ['an array', [1], 'the value is an array'],
    ['true', true, 'the value is true'],
    ['a symbol', Symbol('s'), 'the value is of type symbol'],
    ['an ArrayBuffer', new ArrayBuffer(2), 'the value is an object (ArrayBuffer)'],
    ['another typed array', new Uint16Array(2), 'the value is an object (Uint16Array)'],
    ['an object that only claims to be bytes', Object.create(Uint8Array.prototype), 'the value is an object'],
    ['an object whose class has no name', { constructor: { name: Symbol('s') } }, 'the value is an object (Object)'],
  ])('%s fails with SERIALIZATION_FAILED, and the hint names the option', (_, value, words) => {
    const error = new Rig().failure({ topic: 'orders', value })
    expect(error).toMatchObject({
      code: 'SERIALIZATION_FAILED',
      name: 'RecordError',
      topic: 'orders',
      retriable: false,
    })
    expect(error.message).toContain(words)
    expect(error.hint).toContain('valueSerializer')
    const ofKey = new Rig().failure({ topic: 'orders', key: value, value: 'v' })
    expect(ofKey.message).toContain('the key is')
    expect(ofKey.hint).toContain('keySerializer')
  })

  test('the error never shows what the record holds', () => {
    const error = new Rig().failure({ topic: 'orders', value: { password: 'secret-1' } })
    expect(JSON.stringify([error.message, error.hint])).not.toContain('secret')
  })
})

describe('serializers', () => {
  test('get the value, the topic and the headers, and are not asked for null', () => {
    const asked: unknown[][] = []
    const serializer: Serializer<unknown> = (...args) => {
      asked.push(args)
      return 'x'
    }
    const rig = new Rig({ keySerializer: serializer, valueSerializer: serializer })
    const headers = { a: 'b' }
    expect(rig.prepare({ topic: 'orders', key: { id: 1 }, value: [2], headers })).toMatchObject({
      key: 'x',
      value: 'x',
    })
    expect(asked).toEqual([
      [{ id: 1 }, 'orders', headers],
      [[2], 'orders', headers],
    ])
    rig.prepare({ topic: 'orders', key: 'k', value: null })
    expect(asked).toHaveLength(3)
  })

  test('one may answer null for a value: a tombstone', () => {
    const rig = new Rig({ valueSerializer: () => null })
    expect(rig.prepare({ topic: 'orders', key: 'k', value: 'v' }).value).toBeNull()
  })

  test('what one throws is the cause of SERIALIZATION_FAILED', () => {
    const cause = new TypeError('no such schema')
    const serializer = () => {
      throw cause
    }
    for (const [what, options] of [
      ['key', { keySerializer: serializer }],
      ['value', { valueSerializer: serializer }],
    ] as const) {
      const error = new Rig(options).failure({ topic: 'orders', key: 'k', value: 'v' })
      expect(error).toMatchObject({ code: 'SERIALIZATION_FAILED', name: 'RecordError', topic: 'orders' })
      expect(error.message).toBe(`the ${what} serializer threw: no such schema`)
      expect(error.cause).toBe(cause)
    }
  })

  test.each([
    ['a text', 'just a text', 'just a text'],
    ['nothing', undefined, 'undefined'],
    ['a symbol', Symbol('why'), 'Symbol(why)'],
    ['an object without a text', Object.create(null), ''],
  ])('one may throw %s', (_, thrown, words) => {
    const rig = new Rig({
      valueSerializer: () => {
        throw thrown
      },
    })
    const error = rig.failure({ topic: 'orders', value: 'v' })
    expect(error.code).toBe('SERIALIZATION_FAILED')
    expect(error.message).toContain(words)
  })

  test.each([
    ['undefined', undefined, 'answered undefined'],
    ['a number', 7, 'answered 7'],
    ['an object', {}, 'answered an object (Object)'],
    ['an array', [1, 2], 'answered an array'],
    ['an ArrayBuffer', new ArrayBuffer(1), 'answered an object (ArrayBuffer)'],
  ])('one that answers %s fails its record', (_, answer, words) => {
    const rig = new Rig({ valueSerializer: () => answer as never })
    const error = rig.failure({ topic: 'orders', value: 'v' })
    expect(error).toMatchObject({ code: 'SERIALIZATION_FAILED', topic: 'orders' })
    expect(error.message).toContain(words)
    expect(error.hint).toBe('It must answer a Uint8Array, a string or null.')
  })

  test('one may answer an object whose then throws', () => {
    const answer = Object.defineProperty({}, 'then', {
      get() {
        throw new Error('then cannot be read')
      },
    })
    const error = new Rig({ valueSerializer: () => answer as never }).failure({ topic: 'orders', value: 'v' })
    expect(error).toMatchObject({ code: 'SERIALIZATION_FAILED', topic: 'orders' })
    expect(error.message).toContain('then cannot be read')
  })

  test('one that answers a promise is told to be synchronous, and the promise may fail without harm', async () => {
    const unhandled = vi.fn()
    process.on('unhandledRejection', unhandled)
    const rig = new Rig({ valueSerializer: (() => Promise.reject(new Error('later'))) as never })
    const error = rig.failure({ topic: 'orders', value: 'v' })
    expect(error.message).toContain('the value serializer answered a promise')
    expect(error.hint).toContain('synchronous')
    await new Promise((resolve) => setImmediate(resolve))
    process.off('unhandledRejection', unhandled)
    expect(unhandled).not.toHaveBeenCalled()
  })

  test('one that sends while it serializes tears no record: the inner ones come first, all of them whole', () => {
    let depth = 0
    const valueSerializer: Serializer<unknown> = (value) => {
      if (depth < 3) {
        depth++
        rig.send({
          topic: 'orders',
          key: `key ${depth}`,
          value: `inner ${depth}`,
          headers: { d: `${depth}` },
          timestamp: depth,
        })
      }
      return String(value)
    }
    const rig: Rig = new Rig({ valueSerializer, partitionCount: 1 })
    rig.send({
      topic: 'orders',
      key: 'outer key',
      value: 'outer',
      headers: { h: 'outer' },
      timestamp: 99,
      partition: 0,
    })
    const [batch] = rig.accumulator.batches(rig.accumulator.accumulator.topic('orders'), 0)
    const slots = batch!.slots
    expect(rig.accumulator.values(rig.accumulator.accumulator.topic('orders'), 0)).toEqual([
      'inner 3',
      'inner 2',
      'inner 1',
      'outer',
    ])
    expect([...slots.timestamps.subarray(0, 4)]).toEqual([3, 2, 1, 99])
    expect([...slots.keyBytes.subarray(0, 4)]).toEqual([5, 5, 5, 9])
  })
})

describe('user code of every kind that sends', () => {
  const outer = { topic: 'orders', key: 'outer key', value: 'outer', timestamp: 99, headers: { h: 'outer' } }
  const inner = { topic: 'clicks', key: 'inner', value: null, timestamp: 1, partition: 5, headers: { h: 'inner' } }

  test('a getter of a header', () => {
    const rig = new Rig()
    const headers = {
      get h() {
        rig.send(inner)
        return 'outer'
      },
    }
    expect(rig.prepare({ ...outer, headers })).toMatchObject({
      topic: 'orders',
      key: 'outer key',
      headers: ['h', 'outer'],
    })
  })

  test('a Date with a getTime of its own', () => {
    const rig = new Rig()
    class LazyDate extends Date {
      override getTime(): number {
        rig.send(inner)
        return 77
      }
    }
    expect(rig.prepare({ ...outer, timestamp: new LazyDate() })).toEqual({
      topic: 'orders',
      key: 'outer key',
      value: 'outer',
      headers: ['h', 'outer'],
      timestamp: 77,
      partition: -1,
      record: null,
    })
  })

  test('a partitioner', () => {
    let isInside = false
    const rig: Rig = new Rig({
      partitionCount: 4,
      partitioner: () => {
        if (!isInside) {
          isInside = true
          rig.send(inner)
        }
        return 2
      },
    })
    expect(rig.prepare(outer)).toMatchObject({
      topic: 'orders',
      key: 'outer key',
      value: 'outer',
      timestamp: 99,
      partition: 2,
    })
  })

  test('an interceptor', () => {
    let isInside = false
    const rig: Rig = new Rig({
      interceptors: [
        {
          onSend: (record) => {
            if (!isInside) {
              isInside = true
              rig.send(inner)
            }
            return record
          },
        },
      ],
    })
    expect(rig.prepare(outer)).toMatchObject({ topic: 'orders', value: 'outer', timestamp: 99 })
  })
})

describe('interceptors', () => {
  test('see the record one after the other, each what the one before it answered', () => {
    const seen: unknown[] = []
    const adding = (letter: string): Interceptor => ({
      onSend: (record) => {
        seen.push(record.value)
        return { ...record, value: `${record.value}${letter}` }
      },
    })
    const rig = new Rig({ interceptors: [adding('a'), { onAcknowledgement: () => {} }, adding('b')] })
    const given = { topic: 'orders', value: 'v' }
    expect(rig.prepare(given).value).toBe('vab')
    expect(seen).toEqual(['v', 'va'])
    expect(given).toEqual({ topic: 'orders', value: 'v' })
  })

  test('see it before it is serialized, and may change everything', () => {
    const rig = new Rig({
      valueSerializer: (value) => JSON.stringify(value),
      interceptors: [{ onSend: () => ({ topic: 'clicks', value: { n: 1 } as never, partition: 3 }) }],
    })
    expect(rig.prepare({ topic: 'orders', value: { n: 0 } })).toMatchObject({
      topic: 'clicks',
      value: '{"n":1}',
      partition: 3,
    })
  })

  test('one that throws is logged, and the record goes on as it came to it', () => {
    const fault = new Error('of the interceptor')
    const rig = new Rig({
      interceptors: [
        { onSend: (record) => ({ ...record, value: 'changed' }) },
        {
          onSend: () => {
            throw fault
          },
        },
        { onSend: (record) => ({ ...record, key: 'added' }) },
      ],
    })
    expect(rig.prepare({ topic: 'orders', value: 'v' })).toMatchObject({ value: 'changed', key: 'added' })
    expect(rig.log.at('warn')).toEqual([
      { level: 'warn', fields: { err: fault }, message: expect.stringContaining('onSend') },
    ])
  })

  test('one that answers nothing fails the record', () => {
    const rig = new Rig({ interceptors: [{ onSend: () => undefined as never }] })
    expect(rig.failure({ topic: 'orders', value: 'v' })).toMatchObject({ code: 'INVALID_RECORD' })
  })
})

describe('a partitioner of the user’s own', () => {
  test("is asked with the user's record when the topic is known, and its answer is the record's partition", () => {
    const partitioner = vi.fn(() => 2)
    const rig = new Rig({ partitionCount: 3, partitioner })
    const record = { topic: 'orders', key: 'ü', value: 'v' }
    expect(rig.prepare(record)).toMatchObject({ partition: 2 })
    expect(partitioner).toHaveBeenCalledTimes(1)
    const [topic, key, seen, partitions] = partitioner.mock.calls[0] as unknown as [
      string,
      Uint8Array,
      unknown,
      unknown[],
    ]
    expect([topic, [...key], partitions.length]).toEqual(['orders', [0xc3, 0xbc], 3])
    expect(seen).toBe(record)
    expect(rig.prepared.record).toBe(record)
  })

  test('is not asked for a record that names its partition, that is wrong, or whose topic is unknown', () => {
    const partitioner = vi.fn(() => 2)
    const rig = new Rig({ partitionCount: 3, partitioner })
    expect(rig.prepare({ topic: 'orders', value: 'v', partition: 1 }).partition).toBe(1)
    expect(rig.prepare({ topic: 'clicks', value: 'v' }).partition).toBe(-1)
    rig.failure({ topic: 'orders', value: 7 })
    rig.failure({ topic: 'orders', value: 'v', timestamp: -1 })
    rig.failure({ topic: 'orders', value: Buffer.alloc(2_000_000) })
    expect(partitioner).not.toHaveBeenCalled()
  })

  test('that fails fails its record', () => {
    const rig = new Rig({ partitionCount: 3, partitioner: () => 3 })
    expect(rig.failure({ topic: 'orders', value: 'v' })).toMatchObject({ code: 'PARTITIONER_FAILED', topic: 'orders' })
  })

  test('without one the record itself is not kept', () => {
    expect(new Rig({ partitionCount: 1 }).prepare({ topic: 'orders', value: 'v' }).record).toBeNull()
  })
})

describe('size', () => {
  const LARGEST = 1_048_489

  test('the largest value that fits into maxRequestSize, with an empty key, is the one that fits in Java', () => {
    const rig = new Rig()
    expect(rig.prepare({ topic: 'orders', key: '', value: Buffer.alloc(LARGEST) }).value).toHaveLength(LARGEST)
    expect(rig.prepare({ topic: 'orders', key: '', value: 'x'.repeat(LARGEST) }).value).toHaveLength(LARGEST)
    expect(rig.failure({ topic: 'orders', key: '', value: Buffer.alloc(LARGEST + 1) }).code).toBe('RECORD_TOO_LARGE')
    expect(rig.failure({ topic: 'orders', key: '', value: 'x'.repeat(LARGEST + 1) }).code).toBe('RECORD_TOO_LARGE')
  })

  test('strings count with their bytes, headers count too', () => {
    const rig = new Rig({ maxRequestSize: 1000 })
    // 61 + 21 + 1 + 2 + 1 leave 914 bytes.
    expect(rig.prepare({ topic: 'orders', value: 'é'.repeat(457) }).value).toHaveLength(457)
    expect(rig.failure({ topic: 'orders', value: 'é'.repeat(458) }).code).toBe('RECORD_TOO_LARGE')
    expect(rig.prepare({ topic: 'orders', value: 'v', headers: { h: 'x'.repeat(900) } }).headers).toHaveLength(2)
    expect(rig.failure({ topic: 'orders', value: 'v', headers: { h: 'x'.repeat(915) } }).code).toBe('RECORD_TOO_LARGE')
  })

  test('the error names the size, the limit, the topic and the partition, and what to do', () => {
    const error = new Rig().failure({ topic: 'orders', value: Buffer.alloc(2_000_000), partition: 3 })
    expect(error).toMatchObject({
      code: 'RECORD_TOO_LARGE',
      name: 'RecordError',
      topic: 'orders',
      partition: 3,
      retriable: false,
      persisted: 'no',
    })
    expect(error.message).toContain('takes 2,000,088 bytes, maxRequestSize is 1,048,576 (topic orders, partition 3)')
    expect(error.hint).toContain('max.message.bytes')
    const without = new Rig().failure({ topic: 'orders', value: Buffer.alloc(2_000_000) })
    expect(without.message).toContain('(topic orders)')
    expect(without.partition).toBeUndefined()
  })

  test.each([
    { size: 100_000, of: 'more than bufferMemory alone' },
    { size: 2_000_000, of: 'more than both' },
  ])('a record of $size bytes, $of, names bufferMemory, which is the smaller', ({ size }) => {
    const rig = new Rig({ bufferMemory: 65_536 })
    const error = rig.failure({ topic: 'orders', value: Buffer.alloc(size) })
    expect(error.code).toBe('RECORD_TOO_LARGE')
    expect(error.message).toContain('bufferMemory is 65,536')
    expect(error.hint).toContain('bufferMemory')
  })

  test('whatever passes fits into an empty buffer', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 140_000 }), (bytes) => {
        const rig = new Rig({ bufferMemory: 131_072, maxRequestSize: 10_000_000, partitionCount: 1 })
        const value = Buffer.alloc(bytes)
        try {
          rig.intake.prepare({ topic: 'orders', value }, rig.prepared)
        } catch (error) {
          expect((error as KafkaError).code).toBe('RECORD_TOO_LARGE')
          expect(bytes).toBeGreaterThan(131_072 - 100)
          return
        }
        expect(rig.accumulator.add({ value })).toBe(true)
      }),
      { numRuns: 60 },
    )
  })
})

describe('asKafkaError', () => {
  test('leaves our errors alone and makes one of whatever else was thrown', () => {
    const error = new Rig().failure(null)
    expect(asKafkaError(error)).toBe(error)
    const cause = new RangeError('out of range')
    expect(asKafkaError(cause)).toMatchObject({ code: 'INTERNAL', message: 'unexpected: out of range', cause })
    for (const thrown of ['text', undefined, Symbol('s'), Object.create(null), { toString: () => 7n.valueOf() }]) {
      expect(asKafkaError(thrown).code).toBe('INTERNAL')
    }
  })
})

test('a record that fails leaves nothing behind: the next one is as it would have been', () => {
  const rig = new Rig({ maxRequestSize: 5000 })
  const good = { topic: 'orders', key: 'k', value: 'v', timestamp: 5, partition: 1, headers: { a: 'b' } }
  const alone = rig.prepare(good)
  const wrong = [null, { topic: '' }, { ...good, value: 7 }, { ...good, partition: -1 }, { ...good, timestamp: -1 }]
  for (const record of [...wrong, { ...good, headers: 7 }, { ...good, value: 'x'.repeat(6000) }]) {
    const before = { ...rig.prepared }
    rig.failure(record)
    expect(rig.prepared).toEqual(before)
    expect(rig.prepare(good)).toEqual(alone)
  }
  expect(textOf(alone.value)).toBe('v')
})
