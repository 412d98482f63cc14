import { describe, expect, test } from 'vitest'
import { KafkaError, type ProducerRecord } from '../../src/index.ts'
import type { Dial } from '../../src/net/dial.ts'
import { Producer } from '../../src/producer/producer.ts'
import { failureOf, filler, turns, until, useStand, watch } from '../support/stand.ts'

const stand = useStand()

/** Records that are wrong in ways that user code can be. */
const impossible: readonly [string, unknown, string][] = [
  ['no record at all', undefined, 'INVALID_RECORD'],
  ['null', null, 'INVALID_RECORD'],
  ['a text', 'orders', 'INVALID_RECORD'],
  ['no topic', { value: 'v' }, 'INVALID_TOPIC_EXCEPTION'],
  ['a getter that throws', record('topic'), 'INVALID_RECORD'],
  ['a value that throws when read', record('value'), 'INVALID_RECORD'],
  ['a proxy that throws at everything', new Proxy({}, { get: () => fault('proxy') }), 'INVALID_RECORD'],
  ['key and value null', { topic: 'orders', value: null }, 'INVALID_RECORD'],
  ['a value without a serializer', { topic: 'orders', value: 7 }, 'SERIALIZATION_FAILED'],
  ['a partition that cannot be', { topic: 'orders', value: 'v', partition: -7 }, 'INVALID_PARTITION'],
  ['a timestamp that cannot be', { topic: 'orders', value: 'v', timestamp: Number.NaN }, 'INVALID_TIMESTAMP'],
]

function record(thrower: string): object {
  return Object.defineProperty({ topic: 'orders', value: 'v' }, thrower, {
    enumerable: true,
    get: () => fault(thrower),
  })
}

const valueIn = ({ value }: ProducerRecord): string => String(value)

function fault(what: string): never {
  throw new Error(`${what} cannot be read`)
}

describe('new Producer', () => {
  test('opens nothing: no connection, no timer, no turn of the event loop', async () => {
    let dialled = 0
    const dial: Dial = () => {
      dialled++
      return new Promise(() => {})
    }
    stand.producer(null, { dial })
    await turns(5)
    expect(dialled).toBe(0)
    expect(stand.clock.pendingDelaysMs).toEqual([])
  })

  test('throws one ConfigError for all that is wrong', () => {
    const make = () => new Producer({ bootstrapServer: 'a:1', lingerMs: -1 } as never)
    expect(make).toThrow(expect.objectContaining({ code: 'INVALID_CONFIG', name: 'ConfigError' }))
    expect(make).toThrow(/bootstrapServer/)
    expect(make).toThrow(/lingerMs/)
  })

  test("fromProperties makes the same from Java's names, ours added", async () => {
    const cluster = await stand.cluster()
    const producer = Producer.fromProperties(`bootstrap.servers=${cluster.bootstrapServers}\nacks=1\n`, {
      clientId: 'from-properties',
      logger: stand.log,
    })
    await producer.send({ topic: 'orders', value: 'v' })
    await producer.close()
    expect(cluster.seen('Produce')[0]?.request.acks).toBe(1)
    expect(cluster.seen('Produce')[0]?.clientId).toBe('from-properties')
  })
})

describe('send', () => {
  test('resolves with where the record is and how large its parts are', async () => {
    const cluster = await stand.cluster()
    const producer = stand.producer(cluster)
    const metadata = await stand.settled(producer.send({ topic: 'orders', key: 'é', value: 'abc' }))
    expect(metadata).toEqual({
      topic: 'orders',
      partition: 0,
      offset: 0,
      timestamp: stand.clock.wallTimeMs(),
      serializedKeySize: 2,
      serializedValueSize: 3,
    })
  })

  test.each(impossible)('rejects, and never throws, for %s', async (_what, input, code) => {
    const producer = stand.producer(null)
    let promise: Promise<unknown> | undefined
    expect(() => {
      promise = producer.send(input as ProducerRecord)
    }).not.toThrow()
    expect((await failureOf(promise!)).code).toBe(code)
    expect(producer.metrics().recordErrorTotal).toBe(1)
  })

  test.each(impossible)('with a signal rejects, and never throws, for %s', async (_what, input, code) => {
    const producer = stand.producer(null)
    const { signal } = new AbortController()
    let promise: Promise<unknown> | undefined
    expect(() => {
      promise = producer.send(input as ProducerRecord, { signal })
    }).not.toThrow()
    expect((await failureOf(promise!)).code).toBe(code)
  })

  test('takes the bytes during the call: what happens to the buffers afterwards changes nothing', async () => {
    const cluster = await stand.cluster()
    const producer = stand.producer(cluster)
    const key = Buffer.from('key')
    const value = Buffer.from('value')
    const header = Buffer.from('header')
    const sent = producer.send({ topic: 'orders', key, value, headers: { h: header } })
    for (const buffer of [key, value, header]) buffer.fill('#')
    await stand.settled(sent)
    const [stored] = cluster.records('orders', 0)
    expect(stored?.key?.toString()).toBe('key')
    expect(stored?.value?.toString()).toBe('value')
    expect(stored?.headers.map(({ value: bytes }) => bytes?.toString())).toEqual(['header'])
  })

  test('reads each property of the record once', async () => {
    const reads: string[] = []
    const watched = new Proxy(
      { topic: 'orders', value: 'v' },
      {
        get: (target, name) => {
          reads.push(String(name))
          return Reflect.get(target, name)
        },
      },
    )
    const cluster = await stand.cluster()
    await stand.settled(stand.producer(cluster).send(watched as ProducerRecord))
    expect(reads.sort()).toEqual(['headers', 'key', 'partition', 'timestamp', 'topic', 'value'])
  })

  test('after close rejects with CLOSED', async () => {
    const producer = stand.producer(null)
    await producer.close()
    const error = await failureOf(producer.send({ topic: 'orders', value: 'v' }))
    expect(error).toMatchObject({ code: 'CLOSED', persisted: 'no' })
  })
})

describe('enqueue', () => {
  test.each(impossible)(
    'tells the callback once, from a later turn, and does not throw, for %s',
    async (_what, input, code) => {
      const producer = stand.producer(null)
      const told: unknown[] = []
      expect(producer.enqueue(input as ProducerRecord, (...all) => told.push(all), 'context')).toBe(true)
      expect(told).toEqual([])
      await turns(3)
      expect(told).toEqual([[expect.objectContaining({ code }), null, 'context']])
      expect(producer.metrics().recordErrorTotal).toBe(1)
    },
  )

  test('calls back with the metadata and the context, once', async () => {
    const cluster = await stand.cluster()
    const producer = stand.producer(cluster)
    const told: unknown[][] = []
    const context = { id: 7 }
    producer.enqueue({ topic: 'orders', value: 'v' }, (...all) => told.push(all), context)
    expect(told).toEqual([])
    await stand.settled(producer.flush())
    expect(told).toEqual([[null, expect.objectContaining({ topic: 'orders', offset: 0 }), context]])
    expect(told[0]![2]).toBe(context)
  })

  test('after close tells the callback CLOSED, and answers false', async () => {
    const producer = stand.producer(null)
    await producer.close()
    const told: unknown[] = []
    expect(producer.enqueue({ topic: 'orders', value: 'v' }, (error) => told.push(error?.code))).toBe(false)
    expect(told).toEqual([])
    await turns(3)
    expect(told).toEqual(['CLOSED'])
    expect(producer.metrics().recordErrorTotal).toBe(1)
  })

  test('without a callback failures go to the log and the counter', async () => {
    const producer = stand.producer(null)
    producer.enqueue({ topic: 'orders', value: 7 as never })
    await turns(3)
    expect(stand.log.at('warn')).toMatchObject([{ fields: { code: 'SERIALIZATION_FAILED' } }])
    expect(producer.metrics().recordErrorTotal).toBe(1)
  })
})

describe("a partitioner of the user's own", () => {
  test('is asked once for each record, also for those that wait for metadata or for room', async () => {
    const cluster = await stand.cluster({ topics: { orders: 2 } })
    const asked: string[] = []
    const producer = stand.producer(cluster, {
      bufferMemory: 8_192,
      batchSize: 4_096,
      partitioner: (_topic, _key, record) => {
        asked.push(valueIn(record).slice(0, 1))
        return 1
      },
    })
    const sent = [...'abcdef'].map((name) => producer.send({ topic: 'orders', value: name + filler(3_000) }))
    await stand.settled(Promise.all(sent))
    expect(asked).toEqual([...'abcdef'])
    expect(cluster.values('orders', 1).map((value) => value?.[0])).toEqual([...'abcdef'])
  })

  test('may send from within: neither record takes the place of the other, not even in the line', async () => {
    const cluster = await stand.cluster({ topics: { orders: 1, audit: 1 } })
    let inner: Promise<unknown> | undefined
    const producer = stand.producer(cluster, {
      bufferMemory: 8_192,
      batchSize: 4_096,
      partitioner: (topic) => {
        if (topic === 'orders') inner ??= producer.send({ topic: 'audit', value: 'inner' })
        return 0
      },
    })
    await stand.settled(producer.send({ topic: 'audit', value: 'first' }))
    await stand.settled(producer.partitionsFor('orders'))
    // The buffer is full of what goes to the other topic, so the record has to wait in the line.
    const sent = [
      producer.send({ topic: 'audit', value: filler(3_500) }),
      producer.send({ topic: 'audit', value: filler(3_500) }),
      producer.send({ topic: 'orders', value: `outer${filler(3_500)}` }),
    ]
    await stand.settled(Promise.all(sent))
    await stand.settled(inner!)
    expect(cluster.values('orders', 0).map((value) => value?.slice(0, 5))).toEqual(['outer'])
    expect(cluster.values('audit', 0).filter((value) => value === 'inner')).toEqual(['inner'])
  })

  test('that throws for a record in the line fails that record alone', async () => {
    const cluster = await stand.cluster()
    const producer = stand.producer(cluster, {
      bufferMemory: 8_192,
      batchSize: 4_096,
      partitioner: (_topic, _key, record) => {
        if (valueIn(record).startsWith('bad')) throw new Error('no idea')
        return 0
      },
    })
    const good = ['a', 'b', 'c'].map((name) => producer.send({ topic: 'orders', value: name + filler(3_000) }))
    const bad = watch(producer.send({ topic: 'orders', value: `bad${filler(3_000)}` }))
    const last = producer.send({ topic: 'orders', value: 'z' })
    await stand.settled(Promise.all([...good, last]))
    expect(bad.error).toMatchObject({ code: 'PARTITIONER_FAILED' })
    expect(producer.metrics().recordErrorTotal).toBe(1)
    expect(await stand.settled(producer.flush())).toEqual({ delivered: 0, failed: 0 })
  })
})

describe('partitionsFor', () => {
  test('answers a copy: what its caller does to it, the next one does not see', async () => {
    const cluster = await stand.cluster({ topics: { orders: 3 } })
    const producer = stand.producer(cluster)
    const first = await stand.settled(producer.partitionsFor('orders'))
    expect(first.map(({ partition }) => partition)).toEqual([0, 1, 2])
    first.length = 0
    expect(await producer.partitionsFor('orders')).toHaveLength(3)
  })

  test('rejects for a name that no topic can have, without asking anybody', async () => {
    const producer = stand.producer(null)
    expect((await failureOf(producer.partitionsFor('a b'))).code).toBe('INVALID_TOPIC_EXCEPTION')
    expect((await failureOf(producer.partitionsFor(7 as never))).code).toBe('INVALID_TOPIC_EXCEPTION')
    expect(stand.clock.pendingDelaysMs).toEqual([])
  })

  test('after close rejects with CLOSED', async () => {
    const producer = stand.producer(null)
    await producer.close()
    expect((await failureOf(producer.partitionsFor('orders'))).code).toBe('CLOSED')
  })
})

describe('connect', () => {
  test('reaches the cluster and needs no record for it', async () => {
    const cluster = await stand.cluster()
    await stand.settled(stand.producer(cluster).connect())
    expect(cluster.seen('Metadata').length).toBeGreaterThan(0)
    expect(cluster.seen('Produce')).toEqual([])
  })

  test('gives up after maxBlockMs, and says what was in the way', async () => {
    const producer = stand.producer(null, { maxBlockMs: 5_000, socketConnectionSetupTimeoutMs: 1_000 })
    const waiting = watch(producer.connect())
    for (let ms = 0; ms < 5_000; ms += 500) {
      expect(waiting.state).toBe('pending')
      stand.clock.advance(500)
      await turns(5)
    }
    await until(() => waiting.state !== 'pending', 'connect to give up')
    expect(waiting.error?.message).toContain('nowhere:9092')
  })

  test('after close rejects with CLOSED', async () => {
    const producer = stand.producer(null)
    await producer.close()
    expect((await failureOf(producer.connect())).code).toBe('CLOSED')
  })
})

describe('await using', () => {
  test('closes, and rejects when records were abandoned', async () => {
    const producer = stand.producer(null, { maxBlockMs: 60_000 })
    const abandoned = watch(producer.send({ topic: 'orders', value: 'v' }))
    const disposed = producer[Symbol.asyncDispose]()
    disposed.catch(() => {})
    await turns(3)
    stand.clock.advance(30_000)
    const error = await failureOf(disposed)
    expect(error).toMatchObject({ code: 'CLOSED' })
    expect(error.message).toContain('1 record')
    expect(abandoned.error).toMatchObject({ code: 'CLOSED', persisted: 'no' })
  })

  test('has nothing to say when everything was acknowledged', async () => {
    const cluster = await stand.cluster()
    const producer = stand.producer(cluster)
    await stand.settled(producer.send({ topic: 'orders', value: 'v' }))
    await expect(producer[Symbol.asyncDispose]()).resolves.toBeUndefined()
  })
})

test('every error that a member answers with is a KafkaError', async () => {
  const producer = stand.producer(null)
  await producer.close()
  const failures = await Promise.all(
    [
      producer.send({ topic: 'orders', value: 'v' }),
      producer.sendMany([{ topic: 'orders', value: 'v' }]),
      producer.ready(),
      producer.connect(),
      producer.partitionsFor('orders'),
    ].map((promise) => promise.catch((error: unknown) => error)),
  )
  for (const failure of failures) expect(failure).toBeInstanceOf(KafkaError)
})
