// Types of what is sent and what comes back. `npm run types` is the judge of every @ts-expect-error and expectTypeOf here; what can be
// seen at run time is checked there too, so that compiler and code agree.
import { describe, expect, expectTypeOf, test } from 'vitest'
import { ConfigError, KafkaError } from '../../src/errors.ts'
import { normalizeHeaders } from '../../src/producer/headers.ts'
import { bytesSerializer, jsonSerializer, stringSerializer } from '../../src/producer/serializers.ts'
import type {
  DeliveryCallback,
  Headers,
  ProducerRecord,
  RecordBytes,
  RecordMetadata,
  Serializer,
} from '../../src/producer/types.ts'

describe('records', () => {
  test('without serializers keys and values are text, bytes or null', () => {
    const records: readonly ProducerRecord[] = [
      { topic: 'orders', value: 'text' },
      { topic: 'orders', value: Buffer.from('bytes'), key: Uint8Array.of(1) },
      { topic: 'orders', value: null, key: 'tombstone' },
      { topic: 'orders', value: '', key: null, partition: null, timestamp: null, headers: null },
      { topic: 'orders', value: '', key: undefined, partition: 0, timestamp: new Date(0), headers: undefined },
      { topic: 'orders', value: '', timestamp: 1_700_000_000_000 },
    ]
    expect(records).toHaveLength(6)
    expectTypeOf<ProducerRecord['key']>().toEqualTypeOf<RecordBytes | undefined>()

    // @ts-expect-error a number is no value without a serializer
    const number: ProducerRecord = { topic: 'orders', value: 5 }
    // @ts-expect-error the topic is needed
    const noTopic: ProducerRecord = { value: 'text' }
    // @ts-expect-error the value is needed: null says "deleted"
    const noValue: ProducerRecord = { topic: 'orders', key: 'a' }
    // @ts-expect-error a misspelled field is noticed
    const misspelled: ProducerRecord = { topic: 'orders', value: 'text', partiton: 0 }
    expect([number, noTopic, noValue, misspelled]).toHaveLength(4)
  })

  test('with serializers they are what those take, or null', () => {
    interface Order {
      readonly count: number
    }
    const order: ProducerRecord<string, Order> = { topic: 'orders', key: 'a', value: { count: 1 } }
    const tombstone: ProducerRecord<string, Order> = { topic: 'orders', key: 'a', value: null }
    // @ts-expect-error the key is a string here
    const wrongKey: ProducerRecord<string, Order> = { topic: 'orders', key: 1, value: { count: 1 } }
    // @ts-expect-error the value is an order here
    const wrongValue: ProducerRecord<string, Order> = { topic: 'orders', key: 'a', value: 'text' }
    expect([order, tombstone, wrongKey, wrongValue]).toHaveLength(4)
  })

  test('a record is never written to', () => {
    const record: ProducerRecord = Object.freeze({ topic: 'orders', value: 'text' })
    expect(() => {
      // @ts-expect-error read only
      record.topic = 'other'
    }).toThrow(TypeError)
  })
})

describe('headers', () => {
  test('both forms are Headers, constant ones too', () => {
    const constant = [
      ['a', '1'],
      ['a', null],
    ] as const
    const all: readonly Headers[] = [
      {},
      [],
      { a: '1', b: Buffer.from('2'), c: null, d: ['1', null, Uint8Array.of(3)] },
      [
        ['a', '1'],
        ['a', Uint8Array.of(2)],
      ],
      constant,
    ]
    for (const headers of all) expect(() => normalizeHeaders(headers)).not.toThrow()
  })

  test('what the compiler refuses is refused at run time', () => {
    // @ts-expect-error a number is no value
    const number: Headers = { a: 5 }
    // @ts-expect-error neither is undefined
    const nothing: Headers = { a: undefined }
    // @ts-expect-error pairs repeat the name, not the value
    const nested: Headers = [['a', ['1', '2']]]
    // @ts-expect-error a pair has two parts
    const short: Headers = [['a']]
    // @ts-expect-error entries of a Map have to be spread
    const map: Headers = new Map([['a', '1']])
    for (const headers of [number, nothing, nested, short, map]) {
      expect(() => normalizeHeaders(headers)).toThrow(KafkaError)
    }
  })
})

describe('serializers', () => {
  test('those of the package say what they take', () => {
    expectTypeOf(stringSerializer).toEqualTypeOf<Serializer<string>>()
    expectTypeOf(jsonSerializer).toEqualTypeOf<Serializer<unknown>>()
    expectTypeOf(bytesSerializer).toExtend<Serializer<Uint8Array>>()
    // One that takes anything serves for anything in particular.
    expectTypeOf(jsonSerializer).toExtend<Serializer<{ count: number }>>()
    expectTypeOf(stringSerializer).not.toExtend<Serializer<number>>()
  })

  test('a function of the value alone is one, an async function is none', () => {
    const doubled: Serializer<number> = (value) => String(value * 2)
    expect(doubled(2, 'orders', undefined)).toBe('4')
    // @ts-expect-error a promise is no bytes: encode before `send`
    const later: Serializer<number> = async (value) => String(value)
    expect(later(2, 'orders', undefined)).toBeInstanceOf(Promise)
  })
})

describe('what comes back', () => {
  test('metadata is numbers, not BigInts or Longs', () => {
    expectTypeOf<RecordMetadata>().toEqualTypeOf<{
      readonly topic: string
      readonly partition: number
      readonly offset: number
      readonly timestamp: number
      readonly serializedKeySize: number
      readonly serializedValueSize: number
    }>()
  })

  test('a callback gets an error or metadata, and the context it came with', () => {
    const seen: string[] = []
    const callback: DeliveryCallback<{ readonly id: number }> = (error, metadata, context) => {
      expectTypeOf(error).toEqualTypeOf<KafkaError | null>()
      expectTypeOf(metadata).toEqualTypeOf<RecordMetadata | null>()
      seen.push(`${context.id} ${error?.code}`)
    }
    callback(new ConfigError('INVALID_CONFIG', 'no'), null, { id: 7 })
    // One that looks at the error alone serves for every context.
    const careless: DeliveryCallback<{ readonly id: number }> = (error) => void error
    careless(null, null, { id: 7 })
    expect(seen).toEqual(['7 INVALID_CONFIG'])
  })

  test('errors narrow by class, and the code is a string that other copies of the package share', () => {
    const error: unknown = new ConfigError('INVALID_CONFIG', 'no')
    if (!(error instanceof KafkaError)) throw new Error('a ConfigError is a KafkaError')
    expectTypeOf(error.code).toEqualTypeOf<string>()
    expectTypeOf(error.persisted).toEqualTypeOf<'no' | 'possibly' | 'yes'>()
    expect(error.persisted).toBe('no')
  })
})
