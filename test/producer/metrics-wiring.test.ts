// metrics.test.ts proves the numbers; this proves that somebody calls, at the right place and as often as it happens.
import { describe, expect, test } from 'vitest'
import type { ProducerOptions } from '../../src/index.ts'
import { deferred } from '../support/fake-cluster/deferred.ts'
import { filler, records, turns, until, useStand, watch } from '../support/stand.ts'

const stand = useStand()
const small: Partial<ProducerOptions> = { bufferMemory: 8_192, batchSize: 4_096 }
const large = filler(3_500)

describe('connections', () => {
  test('are counted when they are ready and when they end, whoever they are for', async () => {
    const cluster = await stand.cluster({ brokers: 2, topics: { orders: 2 } })
    const producer = stand.producer(cluster)
    expect(producer.metrics()).toMatchObject({
      connectionCount: 0,
      connectionCreationTotal: 0,
      connectionCloseTotal: 0,
    })
    const sent = [0, 1].map((partition) => producer.send({ topic: 'orders', partition, value: 'v' }))
    await stand.settled(Promise.all(sent))
    // One for metadata and the producer id, and one to each leader.
    expect(cluster.openConnections).toHaveLength(3)
    expect(producer.metrics()).toMatchObject({
      connectionCount: 3,
      connectionCreationTotal: 3,
      connectionCloseTotal: 0,
    })
    await producer.close()
    expect(producer.metrics()).toMatchObject({
      connectionCount: 0,
      connectionCreationTotal: 3,
      connectionCloseTotal: 3,
    })
  })

  test('that a broker resets are counted as closed, and those that follow as new', async () => {
    const cluster = await stand.cluster()
    const producer = await stand.warm(cluster)
    cluster.resetConnections()
    await until(() => producer.metrics().connectionCount === 0, 'the connections to end')
    expect(producer.metrics().connectionCloseTotal).toBe(2)
    await stand.settled(producer.send({ topic: 'orders', value: 'v' }), 1_000)
    expect(producer.metrics().connectionCreationTotal).toBeGreaterThan(2)
  })

  test('that never became ready are not', async () => {
    const producer = stand.producer(null)
    const sent = watch(producer.send({ topic: 'orders', value: 'v' }))
    await stand.pass(30_000, 1_000)
    expect(sent.state).toBe('pending')
    expect(producer.metrics()).toMatchObject({
      connectionCreationTotal: 0,
      connectionCloseTotal: 0,
      connectionCount: 0,
    })
  })
})

describe('requests', () => {
  test('count the bytes of their answers as they came over the wire', async () => {
    const cluster = await stand.cluster()
    let answeredBytes = 0
    cluster.on('Produce', { times: Number.POSITIVE_INFINITY }).rewrite((frame) => {
      answeredBytes += frame.length
      return frame
    })
    const producer = stand.producer(cluster)
    for (let i = 0; i < 3; i++) await stand.settled(producer.send({ topic: 'orders', value: `v${i}` }))
    expect(answeredBytes).toBeGreaterThan(3 * 30)
    const { brokers, incomingByteTotal } = producer.metrics()
    expect(brokers[1]).toMatchObject({ responseTotal: 3, incomingByteTotal: answeredBytes })
    // Beside them the answers to the handshakes, and to the requests for metadata and a producer id.
    expect(incomingByteTotal).toBeGreaterThan(answeredBytes)
  })

  test('count what left and how long the answer took, and name the broker', async () => {
    const cluster = await stand.cluster()
    const producer = await stand.warm(cluster)
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    const sent = producer.sendMany(records('orders', 4))
    await cluster.untilSeen('Produce', 2)
    expect(producer.metrics()).toMatchObject({
      requestsInFlight: 1,
      brokers: { 1: { requestTotal: 2, responseTotal: 1 } },
    })
    stand.clock.advance(70)
    gate.resolve()
    await stand.settled(sent)
    const { requestLatencyMax, recordsPerRequestAvg, requestTotal, brokers } = producer.metrics()
    expect(requestLatencyMax).toBe(70)
    expect(recordsPerRequestAvg).toBe(2.5)
    expect(brokers[1]).toMatchObject({ requestTotal: 2, requestLatencyMax: 70 })
    expect(requestTotal).toBe(cluster.requests.all().length)
  })

  test('say what a quota asked for', async () => {
    const cluster = await stand.cluster()
    cluster.on('Produce').throttle(250)
    const producer = stand.producer(cluster)
    await stand.settled(producer.send({ topic: 'orders', value: 'v' }))
    expect(producer.metrics().produceThrottleTimeMax).toBe(250)
  })
})

describe('passes of the I/O loop', () => {
  test('are counted, with the time they took', async () => {
    const cluster = await stand.cluster()
    const producer = await stand.warm(cluster)
    const before = producer.metrics()
    expect(before.selectTotal).toBeGreaterThan(0)
    await stand.settled(producer.send({ topic: 'orders', value: 'v' }))
    const after = producer.metrics()
    expect(after.selectTotal).toBeGreaterThan(before.selectTotal)
    // Nothing takes any time on a clock that stands still.
    expect(after.ioTimeNsTotal).toBe(0)
    expect(after.ioWaitRatio).toBe(1)
  })

  test('take time where time goes by', async () => {
    const cluster = await stand.cluster()
    const producer = await stand.warm(cluster)
    // Each look at the clock takes 1 ms, so a pass takes at least that.
    const now = stand.clock.now.bind(stand.clock)
    stand.clock.now = () => {
      stand.clock.advance(1)
      return now()
    }
    await stand.settled(producer.send({ topic: 'orders', value: 'v' }))
    stand.clock.now = now
    expect(producer.metrics().ioTimeNsTotal).toBeGreaterThanOrEqual(1_000_000)
  })

  test('do not happen while nothing does', async () => {
    const cluster = await stand.cluster()
    const producer = await stand.warm(cluster)
    await turns(10)
    const before = producer.metrics().selectTotal
    await turns(50)
    expect(producer.metrics().selectTotal).toBe(before)
  })
})

describe('waiting', () => {
  test('for metadata is counted from the first record of a topic', async () => {
    const cluster = await stand.cluster()
    const gate = deferred()
    cluster.on('Metadata', { topic: 'orders' }).delay(gate.promise)
    const producer = stand.producer(cluster)
    const sent = producer.send({ topic: 'orders', value: 'v' })
    await cluster.untilSeen('Metadata')
    stand.clock.advance(300)
    const second = producer.send({ topic: 'orders', value: 'v' })
    gate.resolve()
    await until(() => producer.metrics().metadataWaitTimeNsTotal > 0, 'the metadata')
    expect(producer.metrics().metadataWaitTimeNsTotal).toBe(300_000_000)
    await stand.settled(Promise.all([sent, second]))
    const before = producer.metrics().metadataWaitTimeNsTotal
    stand.clock.advance(1_000)
    await stand.settled(producer.send({ topic: 'orders', value: 'v' }))
    expect(producer.metrics().metadataWaitTimeNsTotal).toBe(before)
  })

  test('for metadata is counted for partitionsFor as well', async () => {
    const cluster = await stand.cluster()
    const gate = deferred()
    cluster.on('Metadata', { topic: 'orders' }).delay(gate.promise)
    const producer = stand.producer(cluster)
    const asked = producer.partitionsFor('orders')
    await cluster.untilSeen('Metadata')
    stand.clock.advance(120)
    gate.resolve()
    await asked
    expect(producer.metrics().metadataWaitTimeNsTotal).toBe(120_000_000)
    await producer.partitionsFor('orders')
    expect(producer.metrics().metadataWaitTimeNsTotal).toBe(120_000_000)
  })

  test('for room is counted while it lasts, and when it is over', async () => {
    const cluster = await stand.cluster()
    const producer = await stand.warm(cluster, small)
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    const sent = Array.from({ length: 3 }, () => producer.send({ topic: 'orders', value: large }))
    await cluster.untilSeen('Produce', 2)
    expect(producer.metrics().waitingThreads).toBe(1)
    stand.clock.advance(400)
    expect(producer.metrics().bufferpoolWaitTimeNsTotal).toBe(400_000_000)
    gate.resolve()
    await stand.settled(Promise.all(sent))
    expect(producer.metrics().waitingThreads).toBe(0)
    const { bufferpoolWaitTimeNsTotal } = producer.metrics()
    expect(bufferpoolWaitTimeNsTotal).toBeLessThan(420_000_000)
    stand.clock.advance(1_000)
    expect(producer.metrics().bufferpoolWaitTimeNsTotal).toBe(bufferpoolWaitTimeNsTotal)
  })

  test('of flush is counted', async () => {
    const cluster = await stand.cluster()
    const producer = await stand.warm(cluster)
    const before = producer.metrics().flushTimeNsTotal
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    producer.enqueue({ topic: 'orders', value: 'v' })
    const flushed = producer.flush()
    await cluster.untilSeen('Produce', 2)
    stand.clock.advance(90)
    gate.resolve()
    await flushed
    expect(producer.metrics().flushTimeNsTotal - before).toBe(90_000_000)
  })
})

describe('records', () => {
  test('that found no room are counted as refused and as failed: by enqueue, by send, by sendMany', async () => {
    const producer = stand.producer(null, { ...small, maxWaitingSends: 0 })
    for (let i = 0; i < 3; i++) producer.enqueue({ topic: 'orders', value: large })
    expect(producer.metrics()).toMatchObject({ recordRefusedTotal: 1, recordErrorTotal: 1 })
    const sent = watch(producer.send({ topic: 'orders', value: large }))
    expect(producer.metrics()).toMatchObject({ recordRefusedTotal: 2, recordErrorTotal: 2 })
    const many = watch(producer.sendMany(Array.from({ length: 5 }, () => ({ topic: 'orders', value: large }))))
    await until(() => many.state !== 'pending')
    expect(producer.metrics()).toMatchObject({
      recordRefusedTotal: 7,
      recordErrorTotal: 7,
      // Four of the sendMany's were never looked at.
      topics: { orders: { recordErrorTotal: 3 } },
    })
    expect(sent.error?.code).toBe('BUFFER_FULL')
    expect(many.error).toMatchObject({ code: 'SEND_MANY_FAILED', errors: { length: 5, 0: { code: 'BUFFER_FULL' } } })
  })

  test('are counted when sent, delivered, retried and failed, in all and by topic', async () => {
    const cluster = await stand.cluster({ topics: { good: 1, bad: 1 } })
    const producer = stand.producer(cluster)
    cluster.on('Produce', { topic: 'good' }).error('NOT_ENOUGH_REPLICAS')
    cluster.on('Produce', { topic: 'bad' }).error('INVALID_RECORD')
    for (const record of [...records('good', 2), ...records('bad', 3)]) producer.enqueue(record)
    await stand.settled(producer.flush(), 1_000)
    expect(producer.metrics()).toMatchObject({
      recordSendTotal: 5,
      recordDeliveredTotal: 2,
      recordRetryTotal: 2,
      recordErrorTotal: 3,
      topics: {
        good: { recordSendTotal: 2, recordDeliveredTotal: 2, recordRetryTotal: 2, recordErrorTotal: 0 },
        bad: { recordSendTotal: 3, recordDeliveredTotal: 0, recordRetryTotal: 0, recordErrorTotal: 3 },
      },
    })
  })

  test.each([
    ['a serializer', { valueSerializer: () => fault() }],
    ['a partitioner', { partitioner: () => fault() }],
  ])('that %s failed are counted once each, however they were handed over', async (_what, options) => {
    const cluster = await stand.cluster()
    const producer = stand.producer(cluster, options as Partial<ProducerOptions>)
    await stand.settled(producer.partitionsFor('orders'))
    const record = { topic: 'orders', value: 'v' }
    producer.enqueue(record)
    watch(producer.send(record))
    watch(producer.send(record, { signal: new AbortController().signal }))
    watch(producer.sendMany([record, record]))
    const stream = producer.writable()
    stream.on('error', () => {})
    stream.write(record)
    await turns(5)
    expect(producer.metrics()).toMatchObject({ recordErrorTotal: 6, recordsPending: 0 })
    expect(producer.metrics().topics['orders']?.recordErrorTotal).toBe(6)
  })

  test('are counted as sent once, although their batch was split or sifted', async () => {
    const cluster = await stand.cluster({ topics: { split: { partitions: 1, maxMessageBytes: 1_000 }, sifted: 1 } })
    cluster.on('Produce', { topic: 'sifted' }).recordErrors({ 1: 'too odd' })
    const producer = stand.producer(cluster)
    for (let i = 0; i < 20; i++) producer.enqueue({ topic: 'split', value: filler(100) })
    for (let i = 0; i < 5; i++) producer.enqueue({ topic: 'sifted', value: filler(100) })
    await stand.settled(producer.flush(), 1_000)
    expect(producer.metrics()).toMatchObject({
      recordSendTotal: 25,
      recordDeliveredTotal: 24,
      recordErrorTotal: 1,
      topics: { split: { recordSendTotal: 20 }, sifted: { recordSendTotal: 5, recordErrorTotal: 1 } },
    })
  })

  test('are measured: the largest one, and all of them on average', async () => {
    const cluster = await stand.cluster()
    const producer = stand.producer(cluster)
    for (const bytes of [10, 900, 50]) producer.enqueue({ topic: 'orders', value: filler(bytes) })
    await stand.settled(producer.flush())
    const { recordSizeMax, recordSizeAvg } = producer.metrics()
    // Length 2, attributes 1, two deltas of 1, no key 1, length of the value 2, no headers 1.
    expect(recordSizeMax).toBe(909)
    // With their share of the 61 bytes of the batch; small ones need a byte each for their two lengths.
    expect(recordSizeAvg).toBeCloseTo((61 + 909 + 17 + 57) / 3, 5)
  })

  test('that were dropped are counted as dropped and as failed', async () => {
    const producer = stand.producer(null, { ...small, overflow: 'drop-oldest' })
    for (let i = 0; i < 5; i++) producer.enqueue({ topic: 'orders', value: large })
    await turns(3)
    expect(producer.metrics()).toMatchObject({ recordDroppedTotal: 3, recordRefusedTotal: 0, recordErrorTotal: 3 })
  })

  test('that are out are counted, and no more when they have settled', async () => {
    const producer = stand.producer(null, small)
    for (let i = 0; i < 3; i++) watch(producer.send({ topic: 'orders', value: large }))
    watch(producer.sendMany(records('orders', 4)))
    expect(producer.metrics()).toMatchObject({ recordsPending: 7, waitingThreads: 2 })
    const closed = producer.close({ timeoutMs: 0 })
    stand.clock.advance(0)
    await closed
    expect(producer.metrics()).toMatchObject({ recordsPending: 0, waitingThreads: 0, bufferAvailableBytes: 8_192 })
  })
})

function fault(): never {
  throw new Error('no')
}
