import { describe, expect, test } from 'vitest'
import type { ProducerOptions } from '../../src/index.ts'
import { deferred } from '../support/fake-cluster/deferred.ts'
import { failureOf, filler, records, turns, until, useStand, watch } from '../support/stand.ts'

const stand = useStand()

const small: Partial<ProducerOptions> = { bufferMemory: 8_192, batchSize: 4_096 }
const large = filler(3_500)

describe('close', () => {
  test('of a producer that was never used has nothing to wait for', async () => {
    const producer = stand.producer(null)
    expect(await producer.close()).toEqual({ delivered: 0, failed: 0, abandoned: 0 })
    expect(stand.clock.pendingDelaysMs).toEqual([])
  })

  test('sends what is buffered first, whatever lingerMs says', async () => {
    const cluster = await stand.cluster()
    const producer = stand.producer(cluster, { lingerMs: 20_000 })
    const sent = records('orders', 5).map((record) => producer.send(record))
    const closed = stand.settled(producer.close())
    expect(await closed).toEqual({ delivered: 5, failed: 0, abandoned: 0 })
    expect((await Promise.all(sent)).map(({ offset }) => offset)).toEqual([0, 1, 2, 3, 4])
    expect(cluster.openConnections).toEqual([])
  })

  test('counts what was delivered, what failed, and what was abandoned', async () => {
    const cluster = await stand.cluster({ topics: { good: 1, bad: 1, hung: 1 } })
    const producer = stand.producer(cluster)
    cluster.on('Produce', { topic: 'bad' }).error('INVALID_RECORD')
    const warm = ['good', 'bad', 'hung'].map((topic) => producer.partitionsFor(topic))
    await stand.settled(Promise.all(warm))
    const outcomes = [
      ...records('good', 3).map((record) => watch(producer.send(record))),
      ...records('bad', 2).map((record) => watch(producer.send(record))),
    ]
    cluster.setLeader('hung', 0, -1)
    const hung = records('elsewhere', 4).map((record) => watch(producer.send(record)))
    const closed = watch(producer.close({ timeoutMs: 5_000 }))
    await stand.settled(until(() => outcomes.every(({ state }) => state !== 'pending')))
    expect(closed.state).toBe('pending')
    stand.clock.advance(5_000)
    await until(() => closed.state !== 'pending', 'close')
    expect(closed.value).toEqual({ delivered: 3, failed: 2, abandoned: 4 })
    for (const { error } of hung) expect(error).toMatchObject({ code: 'CLOSED', persisted: 'no' })
  })

  test('with a dead cluster ends at its timeout to the millisecond, and leaves nothing behind', async () => {
    const producer = stand.producer(null)
    const sent = watch(producer.send({ topic: 'orders', value: 'v' }))
    const many = watch(producer.sendMany(records('orders', 3)))
    const closed = watch(producer.close({ timeoutMs: 7_000 }))
    stand.clock.advance(6_999)
    await turns(5)
    expect(closed.state).toBe('pending')
    stand.clock.advance(1)
    await until(() => closed.state !== 'pending', 'close')
    expect(closed.value).toEqual({ delivered: 0, failed: 0, abandoned: 4 })
    expect(sent.error).toMatchObject({ code: 'CLOSED', persisted: 'no' })
    expect(many.error).toMatchObject({ code: 'SEND_MANY_FAILED' })
    expect(stand.clock.pendingDelaysMs).toEqual([])
  })

  test('waits 30 s unless it is told otherwise', async () => {
    const producer = stand.producer(null)
    producer.enqueue({ topic: 'orders', value: 'v' })
    const closed = watch(producer.close())
    stand.clock.advance(29_999)
    await turns(5)
    expect(closed.state).toBe('pending')
    stand.clock.advance(1)
    await until(() => closed.state !== 'pending', 'close')
    expect(closed.value).toEqual({ delivered: 0, failed: 0, abandoned: 1 })
  })

  test('with timeoutMs 0 still sees answers that are here already', async () => {
    const cluster = await stand.cluster()
    const producer = await stand.warm(cluster)
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    const sent = watch(producer.send({ topic: 'orders', value: 'v' }))
    await cluster.untilSeen('Produce', 2)
    const closed = watch(producer.close({ timeoutMs: 0 }))
    stand.clock.advance(0)
    await until(() => closed.state !== 'pending', 'close')
    gate.resolve()
    expect(closed.value).toEqual({ delivered: 0, failed: 0, abandoned: 1 })
    expect(sent.error).toMatchObject({ code: 'CLOSED', persisted: 'possibly', attempts: 1 })
  })

  test('a second time, while the first is under way or after it, answers the same', async () => {
    const cluster = await stand.cluster()
    const producer = stand.producer(cluster)
    const sent = producer.send({ topic: 'orders', value: 'v' })
    const both = Promise.all([producer.close(), producer.close({ timeoutMs: 1 })])
    const [first, second] = await stand.settled(both)
    expect(first).toEqual({ delivered: 1, failed: 0, abandoned: 0 })
    expect(second).toEqual(first)
    expect(await producer.close()).toEqual(first)
    await sent
  })

  test.each([-1, Number.NaN, '5' as never])(
    'refuses %s as timeoutMs, and closes when called properly afterwards',
    async (timeoutMs) => {
      const producer = stand.producer(null)
      expect(await failureOf(producer.close({ timeoutMs }))).toMatchObject({ code: 'INVALID_CONFIG' })
      expect(producer.health().state).toBe('open')
      expect(await producer.close()).toEqual({ delivered: 0, failed: 0, abandoned: 0 })
      expect(producer.health().state).toBe('closed')
    },
  )

  test('settles the sends that wait for room, and the rest of a sendMany', async () => {
    const producer = stand.producer(null, small)
    const sent = Array.from({ length: 4 }, () => watch(producer.send({ topic: 'orders', value: large })))
    const many = watch(producer.sendMany(Array.from({ length: 3 }, () => ({ topic: 'orders', value: large }))))
    expect(producer.metrics().waitingThreads).toBe(3)
    const closed = watch(producer.close({ timeoutMs: 1_000 }))
    stand.clock.advance(1_000)
    await until(() => closed.state !== 'pending', 'close')
    expect(closed.value).toEqual({ delivered: 0, failed: 0, abandoned: 7 })
    expect(sent.map(({ error }) => error?.code)).toEqual(['CLOSED', 'CLOSED', 'CLOSED', 'CLOSED'])
    expect(many.error).toMatchObject({ code: 'SEND_MANY_FAILED', errors: { length: 3 } })
    expect(producer.metrics().recordErrorTotal).toBe(7)
  })

  test('inside a callback waits for the records after it, and for the callback itself', async () => {
    const cluster = await stand.cluster()
    const producer = stand.producer(cluster)
    let closed: Promise<unknown> | undefined
    producer.enqueue({ topic: 'orders', value: 'a' }, () => {
      closed ??= producer.close()
    })
    const after = producer.send({ topic: 'orders', value: 'b' })
    expect(await stand.settled(after)).toMatchObject({ offset: 1 })
    expect(await stand.settled(closed!)).toEqual({ delivered: 2, failed: 0, abandoned: 0 })
  })

  test('inside a serializer settles the record that is on its way in, and does not count it', async () => {
    const cluster = await stand.cluster({ topics: { orders: 1, bad: 1 } })
    let closed: Promise<unknown> | undefined
    const producer = stand.producer<string, string>(cluster, {
      valueSerializer: (value) => {
        if (value === 'close') closed = producer.close()
        return value
      },
    })
    cluster.on('Produce', { topic: 'bad' }).error('INVALID_RECORD')
    const sent = [
      watch(producer.send({ topic: 'orders', value: 'a' })),
      watch(producer.send({ topic: 'bad', value: 'b' })),
      watch(producer.send({ topic: 'orders', value: 'close' })),
    ]
    expect(await stand.settled(closed!)).toEqual({ delivered: 1, failed: 1, abandoned: 0 })
    await turns(2)
    expect(sent.map(({ state }) => state)).toEqual(['done', 'failed', expect.stringMatching(/done|failed/)])
  })

  test('inside a serializer with nothing else out still settles that record', async () => {
    const producer = stand.producer<string, string>(null, {
      valueSerializer: (value) => {
        void producer.close()
        return value
      },
    })
    const error = await failureOf(producer.send({ topic: 'orders', value: 'v' }))
    expect(error).toMatchObject({ code: 'CLOSED', persisted: 'no' })
    expect(await producer.close()).toEqual({ delivered: 0, failed: 0, abandoned: 0 })
  })

  test('ends although every failure is enqueued again by its own callback', async () => {
    const producer = stand.producer(null)
    let calls = 0
    const again = (error: unknown): void => {
      calls++
      stand.clock.advance(1)
      if (error !== null && calls < 10_000) producer.enqueue({ topic: 'orders', value: 'v' }, again)
    }
    producer.enqueue({ topic: 'orders', value: 'v' }, again)
    const closed = watch(producer.close({ timeoutMs: 0 }))
    stand.clock.advance(0)
    await until(() => closed.state !== 'pending', 'close')
    expect(closed.value).toEqual({ delivered: 0, failed: 0, abandoned: 1 })
    expect(calls).toBeLessThan(10_000)
    calls = 10_000
  })

  test('takes no more: what comes while it is under way fails with CLOSED, at once', async () => {
    const producer = stand.producer(null)
    const before = watch(producer.send({ topic: 'orders', value: 'before' }))
    const closed = producer.close({ timeoutMs: 1_000 })
    const told: unknown[] = []
    expect(producer.enqueue({ topic: 'orders', value: 'v' }, (error) => told.push(error?.code))).toBe(false)
    expect((await failureOf(producer.send({ topic: 'orders', value: 'v' }))).code).toBe('CLOSED')
    expect((await failureOf(producer.sendMany(records('orders', 2)))).code).toBe('CLOSED')
    expect((await failureOf(producer.ready())).code).toBe('CLOSED')
    expect(told).toEqual(['CLOSED'])
    expect(before.state).toBe('pending')
    expect(producer.health().state).toBe('closing')
    stand.clock.advance(1_000)
    expect(await closed).toEqual({ delivered: 0, failed: 0, abandoned: 1 })
  })

  test("ends everybody else's waits: ready, partitionsFor, connect, flush", async () => {
    const producer = stand.producer(null, { bufferMemory: 8_192, batchSize: 4_096 })
    producer.enqueue({ topic: 'orders', value: large })
    producer.enqueue({ topic: 'orders', value: large })
    const ready = watch(producer.ready())
    const partitions = watch(producer.partitionsFor('other'))
    const connected = watch(producer.connect())
    const flushed = watch(producer.flush())
    await turns(3)
    const closed = producer.close({ timeoutMs: 0 })
    stand.clock.advance(0)
    expect(await closed).toEqual({ delivered: 0, failed: 0, abandoned: 2 })
    await turns(3)
    expect([ready, partitions, connected].map(({ error }) => error?.code)).toEqual(['CLOSED', 'CLOSED', 'CLOSED'])
    expect(flushed.value).toEqual({ delivered: 0, failed: 2 })
    expect(stand.clock.pendingDelaysMs).toEqual([])
  })

  test('while records fly leaves no socket, and their memory with nobody', async () => {
    const cluster = await stand.cluster()
    const producer = await stand.warm(cluster)
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    const sent = records('orders', 50).map((record) => watch(producer.send(record)))
    await cluster.untilSeen('Produce', 2)
    const closed = producer.close({ timeoutMs: 10 })
    stand.clock.advance(10)
    expect(await closed).toEqual({ delivered: 0, failed: 0, abandoned: 50 })
    gate.resolve()
    await cluster.until(() => cluster.openConnections.length === 0, 'all connections to end')
    expect(new Set(sent.map(({ error }) => error?.persisted))).toEqual(new Set(['possibly']))
    expect(producer.metrics()).toMatchObject({ recordsPending: 0, bufferAvailableBytes: 33_554_432 })
  })

  test('reports what had been decided and not yet called back as what it is', async () => {
    const cluster = await stand.cluster()
    const producer = stand.producer(cluster)
    // Each callback takes longer than a slice, so that several turns pass until all are called.
    let called = 0
    for (let i = 0; i < 200; i++) {
      producer.enqueue({ topic: 'orders', value: `v${i}` }, () => {
        called++
        stand.clock.advance(1)
      })
    }
    await until(() => called > 0, 'the first callback')
    const closed = producer.close({ timeoutMs: 0 })
    stand.clock.advance(0)
    expect(await closed).toEqual({ delivered: 200, failed: 0, abandoned: 0 })
    expect(called).toBe(200)
  })
})

describe('flush', () => {
  test('with nothing out resolves at once', async () => {
    const producer = stand.producer(null)
    expect(await producer.flush()).toEqual({ delivered: 0, failed: 0 })
    expect(stand.clock.pendingDelaysMs).toEqual([])
  })

  test('counts failures and does not reject for them', async () => {
    const cluster = await stand.cluster({ topics: { good: 1, bad: 1 } })
    cluster.on('Produce', { topic: 'bad' }).error('INVALID_RECORD')
    const producer = stand.producer(cluster)
    for (const record of [...records('good', 2), ...records('bad', 3)]) producer.enqueue(record)
    expect(await stand.settled(producer.flush())).toEqual({ delivered: 2, failed: 3 })
  })

  test('does not wait for records that come after it', async () => {
    const cluster = await stand.cluster()
    const producer = await stand.warm(cluster, { lingerMs: 60_000 })
    const before = producer.send({ topic: 'orders', value: 'before' })
    const flushed = producer.flush()
    const after = watch(producer.send({ topic: 'orders', value: 'after' }))
    expect(await stand.settled(flushed)).toEqual({ delivered: 1, failed: 0 })
    await before
    expect(after.state).toBe('pending')
  })

  test('past timeoutMs rejects with FLUSH_TIMEOUT and how many are still out; the records go on', async () => {
    const cluster = await stand.cluster()
    const producer = await stand.warm(cluster)
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    const sent = records('orders', 3).map((record) => producer.send(record))
    const flushed = watch(producer.flush({ timeoutMs: 250 }))
    await cluster.untilSeen('Produce', 2)
    stand.clock.advance(249)
    await turns(5)
    expect(flushed.state).toBe('pending')
    stand.clock.advance(1)
    await until(() => flushed.state !== 'pending', 'flush')
    expect(flushed.error).toMatchObject({ code: 'FLUSH_TIMEOUT', name: 'TimeoutError' })
    expect(flushed.error?.message).toContain('3 records are still out')
    gate.resolve()
    expect((await stand.settled(Promise.all(sent))).map(({ offset }) => offset)).toEqual([1, 2, 3])
  })

  test('ended by its signal rejects with ABORTED; the records go on', async () => {
    const producer = stand.producer(null)
    const sent = watch(producer.send({ topic: 'orders', value: 'v' }))
    const controller = new AbortController()
    const flushed = producer.flush({ signal: controller.signal })
    controller.abort()
    expect((await failureOf(flushed)).code).toBe('ABORTED')
    expect(sent.state).toBe('pending')
  })

  test('waits for those in the line and for those without metadata too', async () => {
    const cluster = await stand.cluster({ topics: { orders: 1 } })
    const producer = stand.producer(cluster, small)
    for (let i = 0; i < 5; i++) producer.enqueue({ topic: 'orders', value: 'v' })
    const waiting = Array.from({ length: 5 }, () => producer.send({ topic: 'orders', value: large }))
    const flushed = producer.flush()
    expect(producer.metrics().waitingThreads).toBeGreaterThan(0)
    expect(await stand.settled(flushed)).toEqual({ delivered: 10, failed: 0 })
    await Promise.all(waiting)
  })
})
