// Types of a producer: which keys and values it takes follows from its serializers, and holds in every member. `npm run types` is the judge
// of every @ts-expect-error and expectTypeOf here; the producers exist, so that what compiles runs too.
import type { Writable } from 'node:stream'
import { describe, expect, expectTypeOf, test } from 'vitest'
import {
  jsonSerializer,
  type KafkaError,
  Producer,
  type ProducerOptions,
  type ProducerRecord,
  presets,
  type RecordMetadata,
  type SendManyError,
  type Serializer,
  stringSerializer,
} from '../../src/index.ts'

const nowhere = 'localhost:1'

interface Order {
  readonly id: string
  readonly count: number
}

const orderSerializer: Serializer<Order> = ({ id, count }) => `${id}:${count}`

/** Never called: what matters is whether it compiles. */
const uncalled = (_members: () => unknown): void => {}

describe('new Producer', () => {
  test('without serializers takes text, bytes and null', () => {
    const producer = new Producer({ bootstrapServers: nowhere })
    expectTypeOf(producer).toEqualTypeOf<Producer>()
    uncalled(() => [
      producer.send({ topic: 'orders', key: 'a', value: Buffer.from('b') }),
      producer.send({ topic: 'orders', key: Uint8Array.of(1), value: null }),
      // @ts-expect-error nobody serializes a number
      producer.send({ topic: 'orders', value: 7 }),
      // @ts-expect-error nor an object
      producer.send({ topic: 'orders', value: { count: 1 } }),
    ])
    expect(producer.health().state).toBe('open')
  })

  test('infers keys and values from the serializers', () => {
    const producer = new Producer({
      bootstrapServers: nowhere,
      keySerializer: stringSerializer,
      valueSerializer: orderSerializer,
    })
    expectTypeOf(producer).toEqualTypeOf<Producer<string, Order>>()
    uncalled(() => [
      producer.send({ topic: 'orders', key: 'a', value: { id: 'a', count: 1 } }),
      producer.send({ topic: 'orders', key: 'a', value: null }),
      // @ts-expect-error the key is text
      producer.send({ topic: 'orders', key: Buffer.from('a'), value: { id: 'a', count: 1 } }),
      // @ts-expect-error the value is an order
      producer.send({ topic: 'orders', key: 'a', value: 'a:1' }),
      // @ts-expect-error a whole one
      producer.send({ topic: 'orders', key: 'a', value: { id: 'a' } }),
      // @ts-expect-error and nothing else
      producer.send({ topic: 'orders', key: 'a', value: { id: 'a', count: 1, weight: 2 } }),
    ])
    expect(producer.health().state).toBe('open')
  })

  test('infers one from its serializer, and leaves the other as it is without', () => {
    const producer = new Producer({ bootstrapServers: nowhere, valueSerializer: orderSerializer })
    uncalled(() => [
      producer.send({ topic: 'orders', key: Buffer.from('a'), value: { id: 'a', count: 1 } }),
      // @ts-expect-error nobody serializes this key
      producer.send({ topic: 'orders', key: 7, value: { id: 'a', count: 1 } }),
      // @ts-expect-error the value is an order
      producer.send({ topic: 'orders', value: 'a:1' }),
    ])
    expect(producer.health().state).toBe('open')
  })

  test('takes what the user says over what it would infer', () => {
    const producer = new Producer<string, Order>({ bootstrapServers: nowhere, valueSerializer: jsonSerializer })
    expectTypeOf(producer.send).parameter(0).toEqualTypeOf<ProducerRecord<string, Order>>()
    // @ts-expect-error this serializer takes no orders
    const wrong = () => new Producer<string, Order>({ bootstrapServers: nowhere, valueSerializer: stringSerializer })
    expect(wrong).toBeTypeOf('function')
  })

  test('with jsonSerializer takes anything as a value', () => {
    const producer = new Producer({ bootstrapServers: nowhere, valueSerializer: jsonSerializer })
    uncalled(() => [
      producer.send({ topic: 'orders', value: { a: [1, 2, { b: null }] } }),
      producer.send({ topic: 'orders', value: 7 }),
    ])
    expect(producer.health().state).toBe('open')
  })

  test('needs bootstrapServers, and knows every option by name and type', () => {
    // @ts-expect-error where to?
    const nowhereAtAll = (): unknown => new Producer({})
    // @ts-expect-error misspelt
    const misspelt = (): unknown => new Producer({ bootstrapServers: nowhere, lingerMS: 5 })
    // @ts-expect-error a number of milliseconds
    const wrongType = (): unknown => new Producer({ bootstrapServers: nowhere, lingerMs: '5' })
    // @ts-expect-error no such word
    const wrongWord = (): unknown => new Producer({ bootstrapServers: nowhere, overflow: 'drop-newest' })
    expect(nowhereAtAll).toThrow()
    expect(misspelt).toThrow()
    expect(wrongType).toThrow()
    expect(wrongWord).toThrow()
  })

  test('takes presets spread into its options', () => {
    const producer = new Producer({ bootstrapServers: nowhere, ...presets.neverLose })
    expectTypeOf(producer).toEqualTypeOf<Producer>()
    const other = new Producer({ bootstrapServers: nowhere, ...presets.neverBlock, valueSerializer: orderSerializer })
    uncalled(() => other.enqueue({ topic: 'orders', value: { id: 'a', count: 1 } }))
    expect(producer.health().state).toBe('open')
  })

  test('from properties has the types that are asked for', () => {
    const producer = Producer.fromProperties<string, Order>(`bootstrap.servers=${nowhere}`, {
      keySerializer: stringSerializer,
      valueSerializer: orderSerializer,
    })
    expectTypeOf(producer).toEqualTypeOf<Producer<string, Order>>()
    expectTypeOf(Producer.fromProperties({ 'bootstrap.servers': nowhere })).toEqualTypeOf<Producer>()
    expect(producer.health().state).toBe('open')
  })

  test('is disposed of by await using', async () => {
    await using producer = new Producer({ bootstrapServers: nowhere })
    expectTypeOf(producer).toExtend<AsyncDisposable>()
    expect(producer.health().state).toBe('open')
  })
})

describe('members', () => {
  const producer = new Producer({ bootstrapServers: nowhere, valueSerializer: orderSerializer })
  const order: Order = { id: 'a', count: 1 }

  test('enqueue gives its callback the type of its context', () => {
    uncalled(() => {
      producer.enqueue({ topic: 'orders', value: order })
      producer.enqueue({ topic: 'orders', value: order }, (error, metadata) => {
        expectTypeOf(error).toEqualTypeOf<KafkaError | null>()
        expectTypeOf(metadata).toEqualTypeOf<RecordMetadata | null>()
      })
      producer.enqueue(
        { topic: 'orders', value: order },
        (_error, _metadata, context) => expectTypeOf(context).toEqualTypeOf<{ requestId: string }>(),
        { requestId: 'r' },
      )
      // @ts-expect-error the value is an order
      producer.enqueue({ topic: 'orders', value: 'a:1' })
    })
    expectTypeOf(producer.enqueue).returns.toEqualTypeOf<boolean>()
    expect(producer.enqueue).toBeTypeOf('function')
  })

  test('sendMany takes any array of records, a frozen one too', () => {
    uncalled(() => [
      producer.sendMany([{ topic: 'orders', value: order }]),
      producer.sendMany(Object.freeze([{ topic: 'orders', value: order }])),
      producer.sendMany([] as const),
      producer.sendMany([
        { topic: 'orders', value: order },
        // @ts-expect-error this one is no order
        { topic: 'orders', value: 'a:1' },
      ]),
      // @ts-expect-error not one on its own
      producer.sendMany({ topic: 'orders', value: order }),
    ])
    expect(producer.sendMany).toBeTypeOf('function')
  })

  test("a failed sendMany's results are metadata or errors", () => {
    const results = (error: SendManyError<RecordMetadata>) => error.results
    expectTypeOf(results).returns.toEqualTypeOf<readonly (RecordMetadata | KafkaError)[]>()
    expect(results).toBeTypeOf('function')
  })

  test('writable is a stream of Node', () => {
    expectTypeOf(producer.writable).returns.toEqualTypeOf<Writable>()
    expect(producer.writable({ topic: 'orders' }).writableObjectMode).toBe(true)
  })

  test('what they answer is read only where it is shared', () => {
    uncalled(async () => {
      const metadata = await producer.send({ topic: 'orders', value: order })
      // @ts-expect-error it says what has happened
      metadata.offset = 7
      const [info] = await producer.partitionsFor('orders')
      // @ts-expect-error other callers see it too
      info!.leader = 2
    })
    expect(producer.partitionsFor).toBeTypeOf('function')
  })
})

describe('options', () => {
  test('of one producer fit another with the same types, and no other', () => {
    const options: ProducerOptions<string, Order> = {
      bootstrapServers: nowhere,
      keySerializer: stringSerializer,
      valueSerializer: orderSerializer,
    }
    expectTypeOf(new Producer(options)).toEqualTypeOf<Producer<string, Order>>()
    // @ts-expect-error these are for orders
    const other: ProducerOptions<string, Date> = options
    expect(other).toBe(options)
  })

  test('interceptors see records of the same types', () => {
    const producer = new Producer<string, Order>({
      bootstrapServers: nowhere,
      valueSerializer: orderSerializer,
      interceptors: [
        {
          onSend(record) {
            expectTypeOf(record).toEqualTypeOf<ProducerRecord<string, Order>>()
            return { ...record, key: record.key ?? record.value?.id ?? null }
          },
        },
      ],
    })
    expect(producer.health().state).toBe('open')
  })

  test("a partitioner of the user's own sees records of the same types", () => {
    const producer = new Producer<string, Order>({
      bootstrapServers: nowhere,
      valueSerializer: orderSerializer,
      partitioner: (topic, keyBytes, record, partitions) => {
        expectTypeOf(topic).toEqualTypeOf<string>()
        expectTypeOf(keyBytes).toEqualTypeOf<Uint8Array | null>()
        expectTypeOf(record).toEqualTypeOf<ProducerRecord<string, Order>>()
        return (record.value?.count ?? 0) % partitions.length
      },
    })
    expect(producer.health().state).toBe('open')
  })
})
