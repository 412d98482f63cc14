import { describe, expect, test } from 'vitest'
import type { ProducerOptions } from '../../src/index.ts'
import { deferred } from '../support/fake-cluster/deferred.ts'
import { filler, turns, until, useStand, watch } from '../support/stand.ts'

const stand = useStand()
const small: Partial<ProducerOptions> = { bufferMemory: 8_192, batchSize: 4_096 }
const large = filler(3_500)

describe('health', () => {
  test('of a new producer knows nothing, and asks nobody', async () => {
    const producer = stand.producer(null)
    expect(producer.health()).toEqual({
      state: 'open',
      lastSuccessAt: null,
      lastError: null,
      fatalError: null,
      brokersKnown: 0,
      brokersReachable: 0,
      bufferUsed: 0,
      oldestUnsettledMs: 0,
    })
    await turns(3)
    expect(stand.clock.pendingDelaysMs).toEqual([])
  })

  test('tells when a record was acknowledged last, and no error', async () => {
    const cluster = await stand.cluster({ brokers: 3, topics: { orders: 1 } })
    const producer = await stand.warm(cluster)
    const at = stand.clock.wallTimeMs()
    expect(producer.health()).toMatchObject({
      state: 'open',
      lastSuccessAt: at,
      lastError: null,
      brokersKnown: 3,
      brokersReachable: 3,
    })
    await stand.pass(5_000, 1_000)
    expect(producer.health().lastSuccessAt).toBe(at)
    await stand.settled(producer.send({ topic: 'orders', value: 'v' }))
    expect(producer.health().lastSuccessAt).toBeGreaterThanOrEqual(at + 5_000)
  })

  test('tells how old the oldest record is, and how full the buffer', async () => {
    const cluster = await stand.cluster()
    const producer = await stand.warm(cluster, small)
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    const first = producer.send({ topic: 'orders', value: large })
    await cluster.untilSeen('Produce', 2)
    expect(producer.health()).toMatchObject({ bufferUsed: 0.5, oldestUnsettledMs: 0 })
    stand.clock.advance(700)
    const second = producer.send({ topic: 'orders', value: large })
    stand.clock.advance(300)
    expect(producer.health()).toMatchObject({ bufferUsed: 1, oldestUnsettledMs: 1_000 })
    gate.resolve()
    await stand.settled(Promise.all([first, second]))
    expect(producer.health()).toMatchObject({ bufferUsed: 0, oldestUnsettledMs: 0 })
  })

  test('counts those who wait for metadata and for room, and those behind a sendMany', async () => {
    const cluster = await stand.cluster()
    const producer = await stand.warm(cluster, { ...small, maxInFlightRequestsPerConnection: 1, maxRequestSize: 4_096 })
    const gates = Array.from({ length: 6 }, () => deferred())
    for (const gate of gates) cluster.on('Produce').delay(gate.promise)
    const many = watch(producer.sendMany(Array.from({ length: 6 }, () => ({ topic: 'orders', value: large }))))
    const behind = watch(producer.send({ topic: 'orders', value: 'behind' }))
    for (let i = 0; i < 3; i++) {
      await stand.pass(1_000)
      gates[i]!.resolve()
      await until(() => cluster.count('orders') > i + 1)
      await turns(5)
    }
    // Everything in the buffer is younger than the one behind, which waits since the beginning.
    expect(producer.health().oldestUnsettledMs).toBe(3_000)
    for (const gate of gates) gate.resolve()
    await stand.settled(until(() => many.state === 'done' && behind.state === 'done'))
  })

  test('tells what is in the way, and forgets it when it is no more', async () => {
    const cluster = await stand.cluster()
    const producer = await stand.warm(cluster)
    await cluster.stopBroker(1)
    const sent = watch(producer.send({ topic: 'orders', value: 'v' }))
    await stand.pass(500)
    const { lastError, brokersReachable, brokersKnown } = producer.health()
    expect(lastError?.message).toContain(cluster.address(1))
    expect([brokersKnown, brokersReachable]).toEqual([1, 0])
    await cluster.startBroker(1)
    await stand.pass(3_000)
    expect(sent.state).toBe('done')
    expect(producer.health()).toMatchObject({ lastError: null, brokersReachable: 1 })
  })

  test('does not go on about a broker that has left the cluster', async () => {
    const cluster = await stand.cluster({ brokers: 2, topics: { orders: 1 } })
    cluster.setLeader('orders', 0, 2)
    const producer = await stand.warm(cluster, { metadataMaxAgeMs: 10_000 })
    await cluster.stopBroker(2)
    const sent = watch(producer.send({ topic: 'orders', value: 'v' }))
    await stand.pass(500)
    expect(producer.health().lastError).not.toBeNull()
    cluster.hideBroker(2)
    cluster.setLeader('orders', 0, 1)
    await stand.pass(2_500)
    expect(sent.state).toBe('done')
    expect(producer.health()).toMatchObject({ lastError: null, brokersKnown: 1, brokersReachable: 1 })
  })

  test('tells that it is closing, and closed', async () => {
    const producer = stand.producer(null)
    watch(producer.send({ topic: 'orders', value: 'v' }))
    const closed = producer.close({ timeoutMs: 10 })
    expect(producer.health().state).toBe('closing')
    stand.clock.advance(10)
    await closed
    expect(producer.health()).toMatchObject({ state: 'closed', bufferUsed: 0, oldestUnsettledMs: 0 })
  })

  test('is plain data, new each time', () => {
    const producer = stand.producer(null)
    const health = producer.health()
    expect(Object.getPrototypeOf(health)).toBe(Object.prototype)
    Object.assign(health, { state: 'closed' })
    expect(producer.health().state).toBe('open')
  })
})

describe('the gauges of metrics', () => {
  test('tell what is so now', async () => {
    const cluster = await stand.cluster()
    const producer = await stand.warm(cluster, small)
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    const sent = Array.from({ length: 3 }, () => producer.send({ topic: 'orders', value: large }))
    await cluster.untilSeen('Produce', 2)
    expect(producer.metrics()).toMatchObject({
      requestsInFlight: 1,
      waitingThreads: 1,
      recordsPending: 3,
      bufferTotalBytes: 8_192,
      bufferAvailableBytes: 0,
      connectionCount: 2,
    })
    gate.resolve()
    await stand.settled(Promise.all(sent))
    await turns(3)
    expect(producer.metrics()).toMatchObject({
      requestsInFlight: 0,
      waitingThreads: 0,
      recordsPending: 0,
      bufferAvailableBytes: 8_192,
    })
  })

  test('tell the age of the metadata in seconds', async () => {
    const cluster = await stand.cluster()
    const producer = stand.producer(cluster)
    expect(producer.metrics().metadataAge).toBe(0)
    await stand.settled(producer.partitionsFor('orders'))
    stand.clock.advance(90_000)
    expect(producer.metrics().metadataAge).toBe(90)
  })
})
