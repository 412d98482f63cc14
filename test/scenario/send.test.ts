// What `send` promises, sentence by sentence.
import { describe, expect, test } from 'vitest'
import { runChild } from './children/run.ts'
import { aWhile, deferred, failureOf, isSettled, numbered, useStage } from './stage.ts'

const stage = useStage()

// One record of this size fills a batch of 4096 bytes, and two batches fill the smallest buffer here.
const large = (letter: string) => letter.repeat(3000)
const tight = { batchSize: 4096, bufferMemory: 8192 }

describe('send', () => {
  test('resolves with where the record is, and how large its key and value were', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster)
    const before = Date.now()
    const first = await producer.send({ topic: 'orders', key: 'käy', value: 'some value' })
    expect(first).toEqual({
      topic: 'orders',
      partition: 0,
      offset: 0,
      timestamp: expect.any(Number),
      serializedKeySize: 4,
      serializedValueSize: 10,
    })
    expect(first.timestamp).toBeGreaterThanOrEqual(before)
    expect(first.timestamp).toBeLessThanOrEqual(Date.now())
    expect(cluster.records('orders', 0)[0]!.timestamp).toBe(first.timestamp)
    const tombstone = await producer.send({ topic: 'orders', key: new Uint8Array(0), value: null, timestamp: 5 })
    expect(tombstone).toMatchObject({ offset: 1, timestamp: 5, serializedKeySize: 0, serializedValueSize: -1 })
    const keyless = await producer.send({ topic: 'orders', value: '', timestamp: new Date(6) })
    expect(keyless).toMatchObject({ offset: 2, timestamp: 6, serializedKeySize: -1, serializedValueSize: 0 })
    expect(
      cluster.records('orders', 0).map(({ key, value }) => [key?.toString() ?? null, value?.toString() ?? null]),
    ).toEqual([
      ['käy', 'some value'],
      ['', null],
      [null, ''],
    ])
  })

  test('answers the time of the append where the topic asks for it', async () => {
    const cluster = await stage.cluster({ topics: { orders: { partitions: 1, logAppendTimeMs: 1_234_567 } } })
    const metadata = await stage.producer(cluster).send({ topic: 'orders', value: 'v', timestamp: 5 })
    expect(metadata.timestamp).toBe(1_234_567)
  })

  test('takes the record and returns at once, also when no broker can be reached', async () => {
    const cluster = await stage.cluster()
    await cluster.stopBroker(1)
    const producer = stage.producer(cluster)
    const sent = producer.send({ topic: 'orders', value: 'v' })
    expect(sent).toBeInstanceOf(Promise)
    expect(await isSettled(sent)).toBe(false)
    await cluster.startBroker(1)
    expect(await sent).toMatchObject({ offset: 0 })
  })

  test('never throws, rejects', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster)
    const wrong: unknown[] = [undefined, null, 1, 'text', {}, [], { topic: 'orders' }, { topic: 'orders', value: 7 }]
    for (const record of wrong) {
      const sent = producer.send(record as never)
      expect(sent).toBeInstanceOf(Promise)
      await expect(failureOf(sent)).resolves.toMatchObject({ persisted: 'no', retriable: false })
    }
    const throwing = {
      topic: 'orders',
      get value(): string {
        throw new Error('a getter of the caller')
      },
    }
    expect((await failureOf(producer.send(throwing))).message).toContain('a getter of the caller')
    await producer.send({ topic: 'orders', value: 'still works' })
    expect(cluster.values('orders', 0)).toEqual(['still works'])
  })

  test('mutates nothing in a record, which may be frozen and sent again', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster)
    const record = Object.freeze({ topic: 'orders', key: 'k', value: 'v', headers: Object.freeze({ h: 'x' }) })
    await Promise.all([producer.send(record), producer.send(record)])
    await producer.send(record)
    expect(cluster.values('orders', 0)).toEqual(['v', 'v', 'v'])
    expect(record).toEqual({ topic: 'orders', key: 'k', value: 'v', headers: { h: 'x' } })
  })
})

describe("the record's bytes are taken during the call: changing a Buffer afterwards changes nothing", () => {
  const sendAndSpoil = (producer: ReturnType<typeof stage.producer>) => {
    const [key, value, header] = [Buffer.from('key'), Buffer.from('value'), Buffer.from('header')]
    const sent = producer.send({ topic: 'orders', key, value, headers: [['h', header]] })
    for (const buffer of [key, value, header]) buffer.fill('!')
    return sent
  }
  const stored = [
    { key: Buffer.from('key'), value: Buffer.from('value'), headers: [{ key: 'h', value: Buffer.from('header') }] },
  ]

  test('when the topic is known', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster)
    await producer.partitionsFor('orders')
    await sendAndSpoil(producer)
    expect(cluster.records('orders', 0)).toMatchObject(stored)
  })

  test('when the topic is not known yet', async () => {
    const cluster = await stage.cluster()
    await sendAndSpoil(stage.producer(cluster))
    expect(cluster.records('orders', 0)).toMatchObject(stored)
  })

  test('when the record waits for room', async () => {
    const cluster = await stage.cluster()
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    const producer = stage.producer(cluster, tight)
    const fills = [
      producer.send({ topic: 'orders', value: large('a') }),
      producer.send({ topic: 'orders', value: large('b') }),
    ]
    const waiting = sendAndSpoil(producer)
    await cluster.untilSeen('Produce')
    gate.resolve()
    await Promise.all([...fills, waiting])
    expect(cluster.records('orders', 0).slice(2)).toMatchObject(stored)
  })
})

describe('when there is no room', () => {
  test('send waits its turn, first come, first served', async () => {
    const cluster = await stage.cluster()
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    const producer = stage.producer(cluster, tight)
    const settledOrder: number[] = []
    const values = 'abcdefghij'.split('').map(large)
    const sent = values.map((value, index) =>
      producer.send({ topic: 'orders', value }).then(() => settledOrder.push(index)),
    )
    await cluster.untilSeen('Produce')
    await aWhile()
    expect(settledOrder).toEqual([])
    gate.resolve()
    await Promise.all(sent)
    expect(settledOrder).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    expect(cluster.values('orders', 0)).toEqual(values)
  })

  test('a small record does not overtake a large one that waits', async () => {
    const cluster = await stage.cluster({ topics: { orders: 1, other: 1 } })
    const gate = deferred()
    cluster.on('Produce', { times: Number.POSITIVE_INFINITY }).delay(gate.promise)
    const producer = stage.producer(cluster, tight)
    const order: string[] = []
    const note = (name: string) => () => order.push(name)
    const sent = [
      producer.send({ topic: 'orders', value: large('a') }),
      producer.send({ topic: 'orders', value: large('b') }),
      producer.send({ topic: 'orders', value: large('c') }).then(note('large')),
      producer.send({ topic: 'orders', value: 's' }).then(note('small')),
    ]
    await cluster.untilSeen('Produce')
    gate.resolve()
    await Promise.all(sent)
    expect(order).toEqual(['large', 'small'])
    expect(cluster.values('orders', 0).map((value) => value![0])).toEqual(['a', 'b', 'c', 's'])
  })

  test('it waits up to maxBlockMs and then rejects with BUFFER_TIMEOUT, which was not sent', async () => {
    const cluster = await stage.cluster()
    const gate = deferred()
    cluster.on('Produce', { times: Number.POSITIVE_INFINITY }).delay(gate.promise)
    const producer = stage.producer(cluster, { ...tight, maxBlockMs: 500 })
    await producer.partitionsFor('orders')
    const fills = [
      producer.send({ topic: 'orders', value: large('a') }),
      producer.send({ topic: 'orders', value: large('b') }),
    ]
    const error = await failureOf(producer.send({ topic: 'orders', value: large('c') }))
    expect(error).toMatchObject({ name: 'BufferFullError', code: 'BUFFER_TIMEOUT', persisted: 'no', topic: 'orders' })
    gate.resolve()
    await Promise.all(fills)
    expect(cluster.count('orders')).toBe(2)
  })

  test('past maxWaitingSends it rejects at once with BUFFER_FULL and the advice to await, or to use sendMany or writable', async () => {
    const cluster = await stage.cluster()
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    const producer = stage.producer(cluster, { ...tight, maxWaitingSends: 3 })
    const sent = 'abcde'.split('').map((letter) => producer.send({ topic: 'orders', value: large(letter) }))
    const error = await failureOf(producer.send({ topic: 'orders', value: large('f') }))
    expect(error).toMatchObject({ name: 'BufferFullError', code: 'BUFFER_FULL', persisted: 'no', retriable: true })
    expect(error.hint).toMatch(/await/i)
    expect(error.hint).toMatch(/sendMany/)
    expect(error.hint).toMatch(/writable/)
    gate.resolve()
    await Promise.all(sent)
    expect(cluster.count('orders')).toBe(5)
  })

  test('past maxWaitingBytes it rejects at once with BUFFER_FULL', async () => {
    const cluster = await stage.cluster()
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    const producer = stage.producer(cluster, { ...tight, maxWaitingBytes: 7000 })
    const sent = 'abcd'.split('').map((letter) => producer.send({ topic: 'orders', value: large(letter) }))
    expect(await failureOf(producer.send({ topic: 'orders', value: large('e') }))).toMatchObject({
      code: 'BUFFER_FULL',
    })
    gate.resolve()
    await Promise.all(sent)
    expect(cluster.count('orders')).toBe(4)
  })
})

describe('order per partition is the order of the calls', () => {
  test('across send, enqueue and sendMany', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster)
    const values = numbered('v', 600)
    const sent: Promise<unknown>[] = []
    for (let index = 0; index < values.length; index += 3) {
      const [first, second, third] = values.slice(index, index + 3).map((value) => ({ topic: 'orders', value }))
      sent.push(producer.send(first!))
      producer.enqueue(second!)
      sent.push(producer.sendMany([third!]))
    }
    await Promise.all(sent)
    await producer.flush()
    expect(cluster.values('orders', 0)).toEqual(values)
  })

  test('nothing overtakes the waiting line', async () => {
    const cluster = await stage.cluster()
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    const producer = stage.producer(cluster, tight)
    const waiting = [large('a'), large('b'), large('c')]
    const sent = waiting.map((value) => producer.send({ topic: 'orders', value }))
    const many = producer.sendMany([{ topic: 'orders', value: 'many' }])
    sent.push(producer.send({ topic: 'orders', value: 'small' }))
    await cluster.untilSeen('Produce')
    gate.resolve()
    await Promise.all([...sent, many])
    expect(cluster.values('orders', 0)).toEqual([...waiting, 'many', 'small'])
  })

  test('survives retries with idempotence and five requests in flight', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster, { batchSize: 200 })
    await producer.send({ topic: 'orders', value: 'first' })
    cluster.on('Produce', { nth: 2, times: 1 }).error('NOT_ENOUGH_REPLICAS')
    cluster.on('Produce', { nth: 5, times: 1 }).dropBefore()
    cluster.on('Produce', { nth: 9, times: 1 }).appendThenDrop()
    const values = numbered('v', 300)
    await Promise.all(values.map((value) => producer.send({ topic: 'orders', value })))
    expect(cluster.verify([{ topic: 'orders', partition: 0, values: ['first', ...values] }])).toEqual({
      lost: [],
      doubled: [],
      outOfOrder: [],
      unexpected: [],
    })
  })

  test('survives retries without idempotence and one request in flight', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster, {
      batchSize: 200,
      enableIdempotence: false,
      maxInFlightRequestsPerConnection: 1,
    })
    cluster.on('Produce', { nth: 2, times: 2 }).error('NOT_ENOUGH_REPLICAS')
    cluster.on('Produce', { nth: 5, times: 1 }).dropBefore()
    const values = numbered('v', 100)
    await Promise.all(values.map((value) => producer.send({ topic: 'orders', value })))
    expect(cluster.values('orders', 0)).toEqual(values)
    expect(cluster.batches('orders', 0).every((batch) => batch.producerId === -1 && batch.baseSequence === -1)).toBe(
      true,
    )
    expect(cluster.connections.every((connection) => connection.mostInFlight <= 1)).toBe(true)
  })
})

describe('a promise nobody handles', () => {
  test('behaves like any other in Node: its rejection ends the process', async () => {
    const cluster = await stage.cluster()
    const child = await runChild('unhandled-send.ts', [cluster.bootstrapServers])
    expect(child.code).toBe(1)
    expect(child.stderr).toContain('INVALID_TOPIC_EXCEPTION')
  })
})

describe('send(record, { signal })', () => {
  test('ends the wait for metadata', async () => {
    const cluster = await stage.cluster({ topics: {} })
    const producer = stage.producer(cluster)
    const controller = new AbortController()
    const sent = producer.send({ topic: 'missing', value: 'v' }, { signal: controller.signal })
    await cluster.untilSeen('Metadata')
    controller.abort(new Error('the caller went home'))
    const error = await failureOf(sent)
    expect(error).toMatchObject({ code: 'ABORTED', persisted: 'no' })
    expect(error.cause).toMatchObject({ message: 'the caller went home' })
  })

  test('ends the wait for room, and the others keep their turn', async () => {
    const cluster = await stage.cluster()
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    const producer = stage.producer(cluster, tight)
    const controller = new AbortController()
    const before = 'abc'.split('').map((letter) => producer.send({ topic: 'orders', value: large(letter) }))
    const aborted = producer.send({ topic: 'orders', value: large('x') }, { signal: controller.signal })
    const after = producer.send({ topic: 'orders', value: large('d') })
    await cluster.untilSeen('Produce')
    controller.abort()
    expect(await failureOf(aborted)).toMatchObject({ code: 'ABORTED', persisted: 'no' })
    gate.resolve()
    await Promise.all([...before, after])
    expect(cluster.values('orders', 0).map((value) => value![0])).toEqual(['a', 'b', 'c', 'd'])
  })

  test('does not call back a record that is in a batch already', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster)
    await producer.send({ topic: 'orders', value: 'first' })
    const controller = new AbortController()
    const sent = producer.send({ topic: 'orders', value: 'v' }, { signal: controller.signal })
    controller.abort()
    expect(await sent).toMatchObject({ offset: 1 })
  })

  test('that is aborted already rejects at once', async () => {
    const cluster = await stage.cluster({ topics: {} })
    const sent = stage.producer(cluster).send({ topic: 'missing', value: 'v' }, { signal: AbortSignal.abort() })
    expect(await failureOf(sent)).toMatchObject({ code: 'ABORTED' })
  })
})
