// deliveryTimeoutMs and requestTimeoutMs: every record settles in time whatever is broken, says whether it can be in the log, and what
// comes after it is neither lost nor taken for a copy.
import { describe, expect, test } from 'vitest'
import { NO_FAULTS } from '../support/fake-cluster/verify.ts'
import { deferred, failureOf, numbered, useStage } from './stage.ts'

const stage = useStage()

const always = { times: Number.POSITIVE_INFINITY }
const short = { requestTimeoutMs: 250, deliveryTimeoutMs: 800 }

describe('a record that waits for its turn past deliveryTimeoutMs', () => {
  test("without a leader fails with DELIVERY_TIMEOUT and persisted 'no'", async () => {
    const cluster = await stage.cluster()
    cluster.setLeader('orders', 0, -1)
    const error = await failureOf(stage.producer(cluster, short).send({ topic: 'orders', value: 'v' }))
    expect(error).toMatchObject({
      name: 'DeliveryError',
      code: 'DELIVERY_TIMEOUT',
      persisted: 'no',
      retriable: true,
      topic: 'orders',
      partition: 0,
    })
    expect(error.message).toContain(String(short.deliveryTimeoutMs))
    expect(cluster.seen('Produce')).toHaveLength(0)
  })

  test('and was never sent leaves no gap: the next one is the first of the first epoch', async () => {
    const cluster = await stage.cluster()
    cluster.setLeader('orders', 0, -1)
    const producer = stage.producer(cluster, short)
    expect(await failureOf(producer.send({ topic: 'orders', value: 'late' }))).toMatchObject({
      code: 'DELIVERY_TIMEOUT',
    })
    const next = producer.send({ topic: 'orders', value: 'next' })
    cluster.setLeader('orders', 0, 1)
    expect(await next).toMatchObject({ offset: 0 })
    expect(cluster.batches('orders', 0)).toMatchObject([{ producerEpoch: 0, baseSequence: 0, recordCount: 1 }])
    expect(cluster.values('orders', 0)).toEqual(['next'])
  })

  test("refused again and again with errors that can pass fails with persisted 'no' and the last error as its cause", async () => {
    const cluster = await stage.cluster()
    cluster.on('Produce', always).error('NOT_ENOUGH_REPLICAS')
    const error = await failureOf(stage.producer(cluster, short).send({ topic: 'orders', value: 'v' }))
    expect(error).toMatchObject({ code: 'DELIVERY_TIMEOUT', persisted: 'no' })
    expect(error.attempts).toBeGreaterThan(1)
    expect(error.cause).toMatchObject({ code: 'NOT_ENOUGH_REPLICAS' })
    expect(error.message).toContain('Fewer replicas are in sync')
  })

  test.each([
    ['a producer id that never comes', 'InitProducerId'],
    ['a producer id that is refused for now', 'InitProducerId-error'],
  ])('does not hang on %s', async (_name, what) => {
    const cluster = await stage.cluster()
    if (what === 'InitProducerId') cluster.on('InitProducerId', always).swallow()
    else cluster.on('InitProducerId', always).error('COORDINATOR_LOAD_IN_PROGRESS')
    const error = await failureOf(stage.producer(cluster, short).send({ topic: 'orders', value: 'v' }))
    expect(error).toMatchObject({ code: 'DELIVERY_TIMEOUT', persisted: 'no' })
    expect(cluster.seen('Produce')).toHaveLength(0)
  })

  test('does not hang on metadata that never comes, nor on a connection that is never set up', async () => {
    const cluster = await stage.cluster()
    cluster.on('Metadata', always).swallow()
    const first = await failureOf(stage.producer(cluster, short).send({ topic: 'orders', value: 'v' }))
    expect(first).toMatchObject({ persisted: 'no' })
    expect(['DELIVERY_TIMEOUT', 'METADATA_TIMEOUT']).toContain(first.code)
    const other = await stage.cluster()
    other.on('ApiVersions', always).swallow()
    const second = await failureOf(stage.producer(other, short).send({ topic: 'orders', value: 'v' }))
    expect(second).toMatchObject({ persisted: 'no' })
  })

  test('does not hang on a broker that cannot be reached', async () => {
    const cluster = await stage.cluster({ brokers: 2, topics: { orders: 2 } })
    const producer = stage.producer(cluster, short)
    await producer.send({ topic: 'orders', partition: 0, value: 'first' })
    await cluster.stopBroker(2)
    const error = await failureOf(producer.send({ topic: 'orders', partition: 1, value: 'v' }))
    expect(error).toMatchObject({ code: 'DELIVERY_TIMEOUT', persisted: 'no', partition: 1 })
    expect(error.message + String(error.cause)).toContain('ECONNREFUSED')
    expect(await producer.send({ topic: 'orders', partition: 0, value: 'second' })).toMatchObject({ offset: 1 })
  })
})

describe('a record in flight past deliveryTimeoutMs', () => {
  test("fails with DELIVERY_TIMEOUT and persisted 'possibly'", async () => {
    const cluster = await stage.cluster()
    cluster.on('Produce', always).swallow()
    const error = await failureOf(stage.producer(cluster, short).send({ topic: 'orders', value: 'v' }))
    expect(error).toMatchObject({ code: 'DELIVERY_TIMEOUT', persisted: 'possibly', topic: 'orders', partition: 0 })
  })

  test('that was stored and never acknowledged fails with possibly, and the next one is not taken for its copy', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster, short)
    await producer.send({ topic: 'orders', value: 'first' })
    const silent = cluster.on('Produce', always).appendThenSwallow()
    const error = await failureOf(producer.send({ topic: 'orders', value: 'stored' }))
    expect(error).toMatchObject({ code: 'DELIVERY_TIMEOUT', persisted: 'possibly' })
    silent.remove()
    const next = await producer.send({ topic: 'orders', value: 'next' })
    expect(next.offset).toBe(2)
    expect(cluster.values('orders', 0)).toEqual(['first', 'stored', 'next'])
  })

  test('that was not stored leaves a gap that a new epoch closes: what comes after arrives from sequence 0', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster, short)
    await producer.send({ topic: 'orders', value: 'first' })
    const silent = cluster.on('Produce', always).swallow()
    await failureOf(producer.send({ topic: 'orders', value: 'gone' }))
    silent.remove()
    const values = numbered('v', 20)
    await producer.sendMany(values.map((value) => ({ topic: 'orders', value })))
    expect(cluster.values('orders', 0)).toEqual(['first', ...values])
    expect(cluster.batches('orders', 0)[1]).toMatchObject({ producerEpoch: 1, baseSequence: 0 })
  })

  test('and handled late, after the new epoch has begun, is fenced off', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster, short)
    await producer.send({ topic: 'orders', value: 'first' })
    const gate = deferred()
    const held = cluster.on('Produce', always).delay(gate.promise)
    const error = await failureOf(producer.send({ topic: 'orders', value: 'late' }))
    expect(error.persisted).toBe('possibly')
    held.remove()
    await producer.send({ topic: 'orders', value: 'next' })
    gate.resolve()
    await cluster.until(
      () => cluster.seen('Produce').every((request) => request.outcome !== 'waiting'),
      'the late requests',
    )
    await producer.send({ topic: 'orders', value: 'after' })
    expect(cluster.values('orders', 0)).toEqual(['first', 'next', 'after'])
  })

  test('with others behind it: each that is delivered is in the log once, each that failed says possibly or is absent', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster, { ...short, batchSize: 150 })
    await producer.send({ topic: 'orders', value: 'first' })
    cluster.on('Produce', { times: 6 }).appendThenSwallow()
    const values = numbered('v', 120).map((name) => name.padEnd(50, '.'))
    const results: PromiseSettledResult<unknown>[] = []
    for (let at = 0; at < values.length; at += 20) {
      results.push(
        ...(await Promise.allSettled(
          values.slice(at, at + 20).map((value) => producer.send({ topic: 'orders', value })),
        )),
      )
    }
    const stored = new Set(cluster.values('orders', 0))
    for (const [index, result] of results.entries()) {
      if (result.status === 'fulfilled') expect(stored).toContain(values[index])
      else if (result.reason.persisted === 'no') expect(stored).not.toContain(values[index])
    }
    const inLog = values.filter((value) => stored.has(value))
    expect(cluster.verify([{ topic: 'orders', partition: 0, values: ['first', ...inLog] }])).toEqual(NO_FAULTS)
    expect(results.some((result) => result.status === 'fulfilled')).toBe(true)
  })

  test('settles its callback once: a late answer changes nothing', async () => {
    const cluster = await stage.cluster()
    const gate = deferred()
    cluster.on('Produce').delayAnswer(gate.promise)
    // One attempt fills the whole time, so its answer can still come on a living connection.
    const producer = stage.producer(cluster, { requestTimeoutMs: 500, deliveryTimeoutMs: 500 })
    let calls = 0
    const called = deferred<unknown>()
    producer.enqueue({ topic: 'orders', value: 'v' }, (error) => {
      calls++
      called.resolve(error)
    })
    expect(await called.promise).toMatchObject({ persisted: 'possibly' })
    gate.resolve()
    await producer.send({ topic: 'orders', value: 'next' })
    await producer.flush()
    expect(calls).toBe(1)
  })

  test('another partition is not touched', async () => {
    const cluster = await stage.cluster({ brokers: 2, topics: { orders: 2 } })
    const producer = stage.producer(cluster, short)
    await producer.sendMany([0, 1].map((partition) => ({ topic: 'orders', partition, value: 'first' })))
    cluster.on('Produce', { partition: 1, ...always }).swallow()
    const failure = failureOf(producer.send({ topic: 'orders', partition: 1, value: 'gone' }))
    const values = numbered('v', 10)
    for (const value of values) await producer.send({ topic: 'orders', partition: 0, value })
    expect(await failure).toMatchObject({ partition: 1, persisted: 'possibly' })
    expect(cluster.values('orders', 0)).toEqual(['first', ...values])
    expect(cluster.batches('orders', 0).every((batch) => batch.producerEpoch === 0)).toBe(true)
  })
})

describe('deliveryTimeoutMs', () => {
  test('counts waiting for room in', async () => {
    const cluster = await stage.cluster()
    cluster.on('Produce', always).swallow()
    const producer = stage.producer(cluster, { ...short, batchSize: 4096, bufferMemory: 4096, maxBlockMs: 10_000 })
    const failures = 'abc'
      .split('')
      .map((letter) => failureOf(producer.send({ topic: 'orders', value: letter.repeat(3000) })))
    const errors = await Promise.all(failures)
    expect(errors.map((error) => error.persisted)).toEqual(['possibly', 'no', 'no'])
    for (const error of errors) expect(['DELIVERY_TIMEOUT', 'BUFFER_TIMEOUT']).toContain(error.code)
  })

  test('is over for each record by itself: later ones go on', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster, short)
    cluster.setLeader('orders', 0, -1)
    const first = failureOf(producer.send({ topic: 'orders', value: 'first' }))
    await first
    const second = producer.send({ topic: 'orders', value: 'second' })
    cluster.setLeader('orders', 0, 1)
    await second
    expect(cluster.values('orders', 0)).toEqual(['second'])
  })
})
