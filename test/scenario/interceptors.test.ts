// Interceptors: they see each record before it is serialized and each outcome, and cannot break anything.
import { describe, expect, test } from 'vitest'
import type { Interceptor, KafkaError, RecordMetadata } from '../../src/index.ts'
import { failureOf, numbered, useStage } from './stage.ts'

const stage = useStage()

describe('onSend', () => {
  test('is called in order, each with what the one before answered, before the serializer', async () => {
    const cluster = await stage.cluster()
    const seen: unknown[] = []
    const append = (letter: string): Interceptor<string, string> => ({
      onSend: (record) => ({ ...record, value: record.value + letter, headers: { ...record.headers, [letter]: '1' } }),
    })
    const producer = stage.typedProducer<string, string>(cluster, {
      interceptors: [append('a'), append('b')],
      valueSerializer: (value) => {
        seen.push(value)
        return value
      },
    })
    const record = { topic: 'orders', value: 'v-' }
    await producer.send(record)
    expect(seen).toEqual(['v-ab'])
    expect(cluster.values('orders', 0)).toEqual(['v-ab'])
    expect(cluster.records('orders', 0)[0]!.headers.map((header) => header.key)).toEqual(['a', 'b'])
    expect(record).toEqual({ topic: 'orders', value: 'v-' })
  })

  test('may send the record somewhere else', async () => {
    const cluster = await stage.cluster({ topics: { orders: 1, audit: 1 } })
    const producer = stage.producer(cluster, {
      interceptors: [{ onSend: (record) => ({ ...record, topic: 'audit' }) }],
    })
    expect(await producer.send({ topic: 'orders', value: 'v' })).toMatchObject({ topic: 'audit' })
  })

  test('that throws is logged and passed over', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster, {
      interceptors: [
        {
          onSend: () => {
            throw new Error('a fault of the interceptor')
          },
        },
        { onSend: (record) => ({ ...record, value: `${record.value} seen` }) },
      ],
    })
    await producer.send({ topic: 'orders', value: 'v' })
    expect(cluster.values('orders', 0)).toEqual(['v seen'])
    expect(stage.logged('interceptor').map((line) => line.level)).toEqual(['warn'])
  })

  test('that answers no record fails the record, not the producer', async () => {
    const cluster = await stage.cluster()
    let answer: unknown
    const producer = stage.producer(cluster, {
      interceptors: [{ onSend: (record) => (answer === 'same' ? record : (answer as never)) }],
    })
    for (const wrong of [undefined, null, 7, Promise.resolve({ topic: 'orders', value: 'v' })]) {
      answer = wrong
      expect(await failureOf(producer.send({ topic: 'orders', value: 'v' }))).toMatchObject({
        name: 'RecordError',
        persisted: 'no',
      })
    }
    answer = 'same'
    expect(await producer.send({ topic: 'orders', value: 'v' })).toMatchObject({ offset: 0 })
  })

  test('sees the records of send, enqueue, sendMany and writable', async () => {
    const cluster = await stage.cluster()
    const seen: unknown[] = []
    const producer = stage.producer(cluster, {
      interceptors: [
        {
          onSend: (record) => {
            seen.push(record.value)
            return record
          },
        },
      ],
    })
    void producer.send({ topic: 'orders', value: 'send' })
    producer.enqueue({ topic: 'orders', value: 'enqueue' })
    await producer.sendMany([{ topic: 'orders', value: 'sendMany' }])
    await new Promise<void>((resolve) => producer.writable({ topic: 'orders' }).end('writable', resolve))
    expect(seen).toEqual(['send', 'enqueue', 'sendMany', 'writable'])
    expect(cluster.values('orders', 0)).toEqual(seen)
  })
})

describe('onAcknowledgement', () => {
  const listener = () => {
    const outcomes: { metadata: RecordMetadata | null; error: KafkaError | null }[] = []
    return {
      outcomes,
      interceptor: {
        onAcknowledgement: (metadata, error) => void outcomes.push({ metadata, error }),
      } satisfies Interceptor,
    }
  }

  test('hears of each delivered record once, in order', async () => {
    const cluster = await stage.cluster()
    const { outcomes, interceptor } = listener()
    const producer = stage.producer(cluster, { interceptors: [interceptor] })
    cluster.on('Produce').appendThenDrop()
    await producer.sendMany(numbered('v', 50).map((value) => ({ topic: 'orders', value })))
    await producer.flush()
    expect(outcomes.map(({ metadata }) => metadata?.offset)).toEqual(Array.from({ length: 50 }, (_, index) => index))
    expect(outcomes.every(({ error }) => error === null)).toBe(true)
  })

  test('hears of records that failed, here and at the broker', async () => {
    const cluster = await stage.cluster()
    const { outcomes, interceptor } = listener()
    const producer = stage.producer(cluster, { interceptors: [interceptor] })
    await failureOf(producer.send({ topic: 'not a topic', value: 'v' }))
    producer.enqueue({ topic: 'orders', value: 7 as never }, () => undefined)
    cluster.on('Produce').error('INVALID_RECORD')
    await failureOf(producer.send({ topic: 'orders', value: 'v' }))
    await producer.flush()
    expect(outcomes.map(({ error }) => error?.code).sort()).toEqual([
      'INVALID_RECORD',
      'INVALID_TOPIC_EXCEPTION',
      'SERIALIZATION_FAILED',
    ])
    expect(outcomes.every(({ metadata }) => metadata === null)).toBe(true)
  })

  test('that throws is logged and passed over', async () => {
    const cluster = await stage.cluster()
    const { outcomes, interceptor } = listener()
    const faulty: Interceptor = {
      onAcknowledgement: () => {
        throw new Error('a fault of the interceptor')
      },
    }
    const producer = stage.producer(cluster, { interceptors: [faulty, interceptor] })
    expect(await producer.send({ topic: 'orders', value: 'v' })).toMatchObject({ offset: 0 })
    expect(outcomes).toHaveLength(1)
    expect(stage.logged('interceptor').map((line) => line.level)).toEqual(['warn'])
  })
})
