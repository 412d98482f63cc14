// What `enqueue` promises, sentence by sentence.
import { AsyncLocalStorage } from 'node:async_hooks'
import { describe, expect, test } from 'vitest'
import type { KafkaError, Producer, RecordMetadata } from '../../src/index.ts'
import { aWhile, deferred, numbered, useStage } from './stage.ts'

const stage = useStage()

const large = (letter: string) => letter.repeat(3000)
const tight = { batchSize: 4096, bufferMemory: 16_384 }

interface Delivery {
  readonly error: KafkaError | null
  readonly metadata: RecordMetadata | null
  readonly context: unknown
}

/** Enqueues and collects what comes back. */
function collector(producer: Producer) {
  const deliveries: Delivery[] = []
  const watchers: (() => void)[] = []
  const onDelivery = (error: KafkaError | null, metadata: RecordMetadata | null, context: unknown) => {
    deliveries.push({ error, metadata, context })
    for (const watch of watchers) watch()
  }
  return {
    deliveries,
    onDelivery,
    enqueue: (value: string, context?: unknown) => producer.enqueue({ topic: 'orders', value }, onDelivery, context),
    async came(count: number): Promise<void> {
      if (deliveries.length >= count) return
      const all = deferred()
      watchers.push(() => {
        if (deliveries.length >= count) all.resolve()
      })
      await all.promise
    },
  }
}

describe('enqueue never waits and never throws', () => {
  test("for a record's fault: it reaches onDelivery, in a later turn", async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster)
    const { deliveries, onDelivery, came } = collector(producer)
    const wrong: unknown[] = [undefined, null, {}, { topic: 'not a topic', value: 'v' }, { topic: 'orders', value: 7 }]
    for (const record of wrong) producer.enqueue(record as never, onDelivery, record)
    expect(deliveries).toEqual([])
    await came(wrong.length)
    expect(deliveries.map((delivery) => delivery.context)).toEqual(wrong)
    for (const { error, metadata } of deliveries) {
      expect(error).toMatchObject({ persisted: 'no' })
      expect(metadata).toBeNull()
    }
  })

  test('without onDelivery a failure reaches the error counter and the logger', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster)
    producer.enqueue({ topic: 'orders', value: 7 as never })
    await producer.flush()
    expect(producer.metrics().recordErrorTotal).toBe(1)
    expect(stage.logs.filter((line) => line.level === 'warn' || line.level === 'error')).toHaveLength(1)
    expect(stage.logs.at(-1)!.fields).toMatchObject({ code: 'SERIALIZATION_FAILED' })
  })

  test('without onDelivery a failed delivery reaches them too', async () => {
    const cluster = await stage.cluster()
    cluster.on('Produce').error('INVALID_RECORD')
    const producer = stage.producer(cluster)
    producer.enqueue({ topic: 'orders', value: 'v' })
    await producer.flush()
    expect(producer.metrics().recordErrorTotal).toBe(1)
    expect(stage.logs.filter((line) => line.level === 'warn' || line.level === 'error')).not.toHaveLength(0)
  })
})

describe('what enqueue answers', () => {
  test('true while there is room; false once half of bufferMemory is used; then ready() waits for room', async () => {
    const cluster = await stage.cluster()
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    const producer = stage.producer(cluster, tight)
    await producer.partitionsFor('orders')
    const { enqueue, came } = collector(producer)
    // Each takes a batch of 4096 bytes of its own, of 16384.
    const answers = ['a', 'b', 'c'].map((letter) => enqueue(large(letter)))
    expect(answers).toEqual([true, true, false])
    let isReady = false
    const ready = producer.ready().then(() => {
      isReady = true
    })
    await aWhile()
    expect(isReady).toBe(false)
    gate.resolve()
    await ready
    expect(enqueue(large('d'))).toBe(true)
    await came(4)
    expect(cluster.count('orders')).toBe(4)
  })

  test('false is no refusal: records are taken until the buffer is really full', async () => {
    const cluster = await stage.cluster()
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    const producer = stage.producer(cluster, tight)
    await producer.partitionsFor('orders')
    const { enqueue, came, deliveries } = collector(producer)
    const letters = 'abcdef'.split('')
    for (const letter of letters) enqueue(large(letter), letter)
    // Four batches fill the buffer: the last two records are refused, at once, although nothing was sent yet.
    await came(2)
    expect(deliveries).toMatchObject([
      { error: { code: 'BUFFER_FULL', name: 'BufferFullError', persisted: 'no' }, context: 'e' },
      { error: { code: 'BUFFER_FULL' }, context: 'f' },
    ])
    gate.resolve()
    await came(6)
    expect(cluster.values('orders', 0).map((value) => value![0])).toEqual(['a', 'b', 'c', 'd'])
  })

  test('false while more than maxPendingRecords promises of send are open, without delaying a send', async () => {
    const cluster = await stage.cluster()
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    const producer = stage.producer(cluster, { maxPendingRecords: 10 })
    const sent = numbered('v', 9).map((value) => producer.send({ topic: 'orders', value }))
    const { enqueue, came } = collector(producer)
    expect(enqueue('first')).toBe(true)
    sent.push(...numbered('w', 9).map((value) => producer.send({ topic: 'orders', value })))
    expect(enqueue('second')).toBe(false)
    await cluster.untilSeen('Produce')
    gate.resolve()
    await Promise.all(sent)
    await producer.ready()
    expect(enqueue('third')).toBe(true)
    await came(3)
    expect(cluster.count('orders')).toBe(21)
  })
})

describe("overflow: 'drop-oldest'", () => {
  test('drops the oldest batch that was never sent, whose records settle with DROPPED, and all are counted', async () => {
    const cluster = await stage.cluster()
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    const producer = stage.producer(cluster, { ...tight, overflow: 'drop-oldest' })
    await producer.partitionsFor('orders')
    const { enqueue, came, deliveries } = collector(producer)
    enqueue(large('a'), 'a')
    await cluster.untilSeen('Produce')
    for (const letter of 'bcdef') enqueue(large(letter), letter)
    await came(2)
    expect(deliveries).toMatchObject([
      { error: { code: 'DROPPED', persisted: 'no' }, context: 'b' },
      { error: { code: 'DROPPED' }, context: 'c' },
    ])
    gate.resolve()
    await came(6)
    expect(cluster.values('orders', 0).map((value) => value![0])).toEqual(['a', 'd', 'e', 'f'])
    expect(producer.metrics().recordErrorTotal).toBe(2)
  })

  test('never drops a batch that holds a record of send, nor one that is on its way', async () => {
    const cluster = await stage.cluster()
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    const producer = stage.producer(cluster, { ...tight, overflow: 'drop-oldest' })
    await producer.partitionsFor('orders')
    const { enqueue, came, deliveries } = collector(producer)
    enqueue(large('a'), 'a')
    await cluster.untilSeen('Produce')
    const sent = producer.send({ topic: 'orders', value: large('b') })
    enqueue(large('c'), 'c')
    const alsoSent = producer.send({ topic: 'orders', value: large('d') })
    enqueue(large('e'), 'e')
    await came(1)
    expect(deliveries).toMatchObject([{ error: { code: 'DROPPED' }, context: 'c' }])
    gate.resolve()
    await Promise.all([sent, alsoSent])
    await came(3)
    expect(cluster.values('orders', 0).map((value) => value![0])).toEqual(['a', 'b', 'd', 'e'])
  })

  test('with nothing to drop the new record is refused', async () => {
    const cluster = await stage.cluster()
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    const producer = stage.producer(cluster, { ...tight, overflow: 'drop-oldest' })
    const sent = 'abcd'.split('').map((letter) => producer.send({ topic: 'orders', value: large(letter) }))
    const { enqueue, came, deliveries } = collector(producer)
    enqueue(large('e'), 'e')
    await came(1)
    expect(deliveries).toMatchObject([{ error: { code: 'BUFFER_FULL' }, context: 'e' }])
    gate.resolve()
    await Promise.all(sent)
  })
})

describe('onDelivery', () => {
  test('gets metadata and the context, so that one function can serve all records', async () => {
    const cluster = await stage.cluster()
    const { enqueue, came, deliveries } = collector(stage.producer(cluster))
    const contexts = [{ id: 1 }, 'text', undefined, 7]
    for (const [index, context] of contexts.entries()) enqueue(`v-${index}`, context)
    await came(4)
    expect(deliveries.map((delivery) => delivery.context)).toEqual(contexts)
    expect(deliveries.map((delivery) => delivery.metadata?.offset)).toEqual([0, 1, 2, 3])
    expect(deliveries.every((delivery) => delivery.error === null)).toBe(true)
  })

  test('fires exactly once for each record, whatever is retried', async () => {
    const cluster = await stage.cluster()
    cluster.on('Produce', { nth: 1 }).appendThenDrop()
    cluster.on('Produce', { nth: 3 }).error('NOT_ENOUGH_REPLICAS')
    const { enqueue, came, deliveries } = collector(stage.producer(cluster, { batchSize: 200 }))
    const values = numbered('v', 100)
    for (const value of values) enqueue(value, value)
    await came(100)
    await aWhile()
    expect(deliveries.map((delivery) => delivery.context)).toEqual(values)
    expect(cluster.values('orders', 0)).toEqual(values)
  })

  test('what it throws goes to the logger and stops nothing', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster)
    const { enqueue, came } = collector(producer)
    producer.enqueue({ topic: 'orders', value: 'a' }, () => {
      throw new Error('a fault of the callback')
    })
    enqueue('b')
    await came(1)
    const lines = stage.logs.filter((line) => line.level === 'error')
    expect(lines).toHaveLength(1)
    expect(String((lines[0]!.fields as { err?: unknown }).err)).toContain('a fault of the callback')
    expect(cluster.values('orders', 0)).toEqual(['a', 'b'])
  })

  test('may call any member', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster)
    const report = deferred<unknown>()
    producer.enqueue({ topic: 'orders', value: 'a' }, () => {
      const sent = producer.send({ topic: 'orders', value: 'b' })
      producer.enqueue({ topic: 'orders', value: 'c' })
      const many = producer.sendMany([{ topic: 'orders', value: 'd' }])
      const others = [producer.flush(), producer.ready(), producer.partitionsFor('orders'), producer.connect()]
      expect(producer.metrics()).toBeTypeOf('object')
      expect(producer.health()).toBeTypeOf('object')
      report.resolve(Promise.all([sent, many, ...others]).then(() => producer.close()))
    })
    expect(await report.promise).toMatchObject({ abandoned: 0 })
    expect(cluster.values('orders', 0)).toEqual(['a', 'b', 'c', 'd'])
  })

  test("runs in the producer's async context, not the caller's", async () => {
    const cluster = await stage.cluster()
    const storage = new AsyncLocalStorage<string>()
    const producer = storage.run('where the producer was made', () => stage.producer(cluster))
    const seen = deferred<string | undefined>()
    storage.run('where enqueue was called', () => {
      producer.enqueue({ topic: 'orders', value: 'v' }, () => seen.resolve(storage.getStore()))
    })
    expect(await seen.promise).toBe('where the producer was made')
  })
})

describe('refusals that wait for their turn', () => {
  test('are bounded too: past the bound they are counted and logged', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster)
    let calledBack = 0
    const wrong = { topic: 'not a topic', value: 'v' }
    const count = 150_000
    for (let index = 0; index < count; index++) {
      producer.enqueue(wrong, () => {
        calledBack++
      })
    }
    await producer.flush()
    expect(calledBack).toBeLessThan(count)
    expect(calledBack).toBeGreaterThan(1000)
    expect(producer.metrics().recordErrorTotal).toBe(count)
    expect(stage.logged('not called back')).not.toHaveLength(0)
  })
})
