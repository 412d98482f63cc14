// Serializers and partitioners of the user's own: whatever they do, it is their own record that it happens to.
import { describe, expect, test } from 'vitest'
import { jsonSerializer, type KafkaError, stringSerializer } from '../../src/index.ts'
import { failureOf, useStage } from './stage.ts'

const stage = useStage()

describe('a serializer', () => {
  test.each<[string, () => unknown]>([
    ['that answers a promise', async () => 'v'],
    ['that answers a promise that rejects', async () => Promise.reject(new Error('later'))],
    ['that answers undefined', () => undefined],
    ['that answers a number', () => 7],
    ['that answers an object', () => ({})],
    ['that answers an array', () => [1, 2]],
  ])('%s fails its own record', async (_name, serializer) => {
    const cluster = await stage.cluster()
    for (const option of ['keySerializer', 'valueSerializer'] as const) {
      const producer = stage.typedProducer<string, string>(cluster, { [option]: serializer as never })
      const error = await failureOf(producer.send({ topic: 'orders', key: 'k', value: 'v' }))
      expect(error).toMatchObject({
        name: 'RecordError',
        code: 'SERIALIZATION_FAILED',
        persisted: 'no',
        topic: 'orders',
      })
    }
  })

  test('that throws fails its own record, and the cause is kept', async () => {
    const cluster = await stage.cluster()
    const producer = stage.typedProducer<string, { n: number }>(cluster, {
      valueSerializer: (value) => {
        if (value.n === 2) throw new TypeError('two is too much')
        return String(value.n)
      },
    })
    const results = await Promise.allSettled([1, 2, 3].map((n) => producer.send({ topic: 'orders', value: { n } })))
    expect(results.map((result) => result.status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    const { reason } = results[1] as PromiseRejectedResult
    expect(reason).toMatchObject({ code: 'SERIALIZATION_FAILED', topic: 'orders' })
    expect((reason as KafkaError).cause).toBeInstanceOf(TypeError)
    expect(cluster.values('orders', 0)).toEqual(['1', '3'])
  })

  test('that throws what is no Error fails its own record', async () => {
    const cluster = await stage.cluster()
    const producer = stage.typedProducer<string, string>(cluster, {
      valueSerializer: () => {
        throw null
      },
    })
    expect(await failureOf(producer.send({ topic: 'orders', value: 'v' }))).toMatchObject({
      code: 'SERIALIZATION_FAILED',
    })
  })

  test('is not called for null', async () => {
    const cluster = await stage.cluster()
    const producer = stage.typedProducer<unknown, unknown>(cluster, {
      keySerializer: stringSerializer as never,
      valueSerializer: jsonSerializer,
    })
    await producer.sendMany([
      { topic: 'orders', key: 'k', value: null },
      { topic: 'orders', key: null, value: { a: 1 } },
    ])
    expect(cluster.records('orders', 0).map(({ key, value }) => [key?.toString(), value?.toString()])).toEqual([
      ['k', undefined],
      [undefined, '{"a":1}'],
    ])
  })

  test('gets topic and headers', async () => {
    const cluster = await stage.cluster()
    const seen: unknown[] = []
    const producer = stage.typedProducer<string, string>(cluster, {
      valueSerializer: (value, topic, headers) => {
        seen.push([value, topic, headers])
        return value
      },
    })
    await producer.send({ topic: 'orders', value: 'v', headers: { h: 'x' } })
    expect(seen).toEqual([['v', 'orders', { h: 'x' }]])
  })

  test('may send', async () => {
    const cluster = await stage.cluster()
    let inner: Promise<unknown> | undefined
    const producer = stage.typedProducer<string, string>(cluster, {
      valueSerializer: (value) => {
        if (value === 'outer') inner = producer.send({ topic: 'orders', value: 'inner' })
        return value
      },
    })
    await producer.send({ topic: 'orders', key: 'key of outer', value: 'outer' })
    await inner
    expect(cluster.records('orders', 0).map(({ key, value }) => [key?.toString() ?? null, value?.toString()])).toEqual([
      [null, 'inner'],
      ['key of outer', 'outer'],
    ])
  })
})

describe('a partitioner', () => {
  test.each<[string, () => unknown]>([
    ['that answers -1', () => -1],
    ['that answers a partition that is not there', () => 4],
    ['that answers a fraction', () => 0.5],
    ['that answers NaN', () => Number.NaN],
    ['that answers a text', () => '0'],
    ['that answers nothing', () => undefined],
    ['that answers a promise', async () => 0],
    [
      'that throws',
      () => {
        throw new Error('no idea')
      },
    ],
  ])('%s fails its own record', async (_name, partitioner) => {
    const cluster = await stage.cluster({ topics: { orders: 4 } })
    const producer = stage.producer(cluster, {
      partitioner: (_topic, key) => (key?.toString() === 'bad' ? (partitioner() as never) : 1),
    })
    const results = await Promise.allSettled(
      ['a', 'bad', 'c'].map((key) => producer.send({ topic: 'orders', key, value: key })),
    )
    expect(results.map((result) => result.status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect((results[1] as PromiseRejectedResult).reason).toMatchObject({
      name: 'RecordError',
      code: 'PARTITIONER_FAILED',
      persisted: 'no',
      topic: 'orders',
    })
    expect(cluster.values('orders', 1)).toEqual(['a', 'c'])
  })

  test('gets topic, key bytes, the record and the partitions, once, when their number is known', async () => {
    const cluster = await stage.cluster({ topics: { orders: 4 } })
    const calls: unknown[] = []
    const producer = stage.producer(cluster, {
      partitioner: (topic, key, record, partitions) => {
        calls.push([topic, key === null ? null : Buffer.from(key).toString(), record, partitions.length])
        key?.fill(0)
        return 3
      },
    })
    const record = { topic: 'orders', key: 'k', value: 'v' }
    await producer.send(record)
    await producer.send({ topic: 'orders', value: 'w' })
    expect(calls).toEqual([
      ['orders', 'k', record, 4],
      ['orders', null, { topic: 'orders', value: 'w' }, 4],
    ])
    expect(cluster.records('orders', 3)[0]!.key?.toString()).toBe('k')
  })

  test('is not asked for a record that names its partition', async () => {
    const cluster = await stage.cluster({ topics: { orders: 4 } })
    const producer = stage.producer(cluster, {
      partitioner: () => {
        throw new Error('not asked')
      },
    })
    expect(await producer.send({ topic: 'orders', partition: 2, value: 'v' })).toMatchObject({ partition: 2 })
  })
})
