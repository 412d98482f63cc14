import { describe, expect, test } from 'vitest'
import type { ProducerOptions } from '../../src/index.ts'
import { deferred } from '../support/fake-cluster/deferred.ts'
import { HoldingDial } from '../support/holding-dial.ts'
import { Stage } from '../support/producer/stage.ts'
import { filler, records, turns, until, useStand, watch } from '../support/stand.ts'

const stand = useStand()

const timeouts: Partial<ProducerOptions> = { deliveryTimeoutMs: 10_000, requestTimeoutMs: 10_000, maxBlockMs: 4_000 }
const small: Partial<ProducerOptions> = { ...timeouts, bufferMemory: 8_192, batchSize: 4_096 }
const large = filler(3_500)

/** The instant, counted from now, at which it settles, to the millisecond. */
async function settlesAfter(watched: { state: string }, atLeastMs: number): Promise<number> {
  await stand.pass(atLeastMs - 1)
  expect(watched.state, `after ${atLeastMs - 1} ms`).toBe('pending')
  let ms = atLeastMs - 1
  while (watched.state === 'pending' && ms < atLeastMs + 50) {
    stand.clock.advance(1)
    ms++
    await turns(10)
  }
  return ms
}

describe('deliveryTimeoutMs', () => {
  test('ends a record that was never sent to the millisecond, says why it was not, and that it is not in the log', async () => {
    const cluster = await stand.cluster({ brokers: 2, topics: { orders: 1 } })
    cluster.setLeader('orders', 0, 2)
    await cluster.stopBroker(2)
    const producer = stand.producer(cluster, timeouts)
    await stand.settled(producer.partitionsFor('orders'))
    const sent = watch(producer.send({ topic: 'orders', value: 'v' }))
    expect(await settlesAfter(sent, 10_000)).toBe(10_000)
    expect(sent.error).toMatchObject({
      code: 'DELIVERY_TIMEOUT',
      name: 'DeliveryError',
      persisted: 'no',
      topic: 'orders',
      partition: 0,
      attempts: 0,
      elapsedMs: 10_000,
    })
    const { message, broker, cause } = sent.error!
    expect(message).toMatch(/^the record for orders-0 not acknowledged within deliveryTimeoutMs \(10000\): never sent/)
    expect(message).toContain(cluster.address(2))
    expect(broker).toContain('broker 2')
    expect(cause).toMatchObject({ code: 'CONNECTION_FAILED' })
  })

  test('ends a record that is on the wire, says that it may be in the log, and who has not answered', async () => {
    const cluster = await stand.cluster()
    const producer = await stand.warm(cluster, { ...timeouts, requestTimeoutMs: 6_000 })
    cluster.on('Produce', { times: 2 }).swallow()
    const sent = watch(producer.send({ topic: 'orders', value: 'v' }))
    expect(await settlesAfter(sent, 10_000)).toBe(10_000)
    const { error } = sent
    expect(error).toMatchObject({ code: 'DELIVERY_TIMEOUT', persisted: 'possibly', attempts: 2 })
    expect(error?.cause).toMatchObject({ code: 'REQUEST_TIMEOUT' })
    const where = cluster.address(1).replaceAll('.', '\\.')
    expect(error?.message).toMatch(
      new RegExp(
        `: sent 2 times, the last time \\d+ ms ago and not answered by broker 1 at ${where} yet, last error: `,
      ),
    )
  })

  test('keeps the truth about the log when the attempt that may be in it is long over', async () => {
    const cluster = await stand.cluster()
    const producer = await stand.warm(cluster, { ...timeouts, requestTimeoutMs: 3_000 })
    cluster.on('Produce').appendThenSwallow()
    const sent = watch(producer.send({ topic: 'orders', value: 'v' }))
    await cluster.untilSeen('Produce', 2)
    await stand.pass(2_900)
    await cluster.stopBroker(1)
    expect(await settlesAfter(sent, 7_100)).toBe(7_100)
    expect(sent.error).toMatchObject({ code: 'DELIVERY_TIMEOUT', persisted: 'possibly', attempts: 1 })
    expect(sent.error?.message).toMatch(/: sent once, the last time 10000 ms ago, last error: /)
  })

  test('ends a record that was refused for the time being, with the last error, and that it is not in the log', async () => {
    const cluster = await stand.cluster()
    const producer = await stand.warm(cluster, { ...timeouts, retryBackoffMs: 700, retryBackoffMaxMs: 700 })
    cluster.on('Produce', { times: Number.POSITIVE_INFINITY }).error('NOT_ENOUGH_REPLICAS')
    const sent = watch(producer.send({ topic: 'orders', value: 'v' }))
    expect(await settlesAfter(sent, 10_000)).toBe(10_000)
    const { error } = sent
    expect(error).toMatchObject({ code: 'DELIVERY_TIMEOUT', persisted: 'no' })
    expect(error?.attempts).toBeGreaterThan(10)
    expect(error?.message).toMatch(
      /sent \d+ times, the last time \d+ ms ago, last error: broker 1 at .*nothing was stored\. Fewer replicas are in sync than min\.insync\.replicas asks for with acks all\.$/,
    )
    expect(error?.cause).toMatchObject({ code: 'NOT_ENOUGH_REPLICAS' })
  })

  test('says that its partition has no leader', async () => {
    const cluster = await stand.cluster()
    cluster.setLeader('orders', 0, -1)
    const producer = stand.producer(cluster, timeouts)
    await stand.settled(producer.partitionsFor('orders'))
    const sent = watch(producer.send({ topic: 'orders', value: 'v' }))
    expect(await settlesAfter(sent, 10_000)).toBe(10_000)
    expect(sent.error?.message).toContain('never sent, its partition has no leader')
  })

  test('says how many records ended together, and each is told', async () => {
    const cluster = await stand.cluster()
    cluster.setLeader('orders', 0, -1)
    const producer = stand.producer(cluster, timeouts)
    await stand.settled(producer.partitionsFor('orders'))
    const sent = records('orders', 3).map((record) => watch(producer.send(record)))
    await settlesAfter(sent[0]!, 10_000)
    for (const { error } of sent) expect(error?.message).toMatch(/^3 records for orders-0/)
    expect(producer.metrics().topics['orders']).toMatchObject({ recordErrorTotal: 3 })
  })

  test('counts from send for a record that came later, too: it ends at most a tenth early, never late', async () => {
    const cluster = await stand.cluster()
    cluster.setLeader('orders', 0, -1)
    const producer = stand.producer(cluster, timeouts)
    await stand.settled(producer.partitionsFor('orders'))
    const sent: { at: number; ended: number }[] = []
    for (let i = 0; i < 12; i++) {
      const each = { at: stand.clock.now(), ended: 0 }
      sent.push(each)
      producer.enqueue({ topic: 'orders', value: `v${i}` }, () => {
        each.ended = stand.clock.now()
      })
      await stand.pass(300)
    }
    await stand.pass(10_000)
    for (const { at, ended } of sent) {
      expect(ended - at).toBeLessThanOrEqual(10_005)
      expect(ended - at).toBeGreaterThanOrEqual(9_000)
    }
  })

  test('an answer that is here already counts, however late the timer looks', async () => {
    const cluster = await stand.cluster()
    const network = new HoldingDial()
    const producer = await stand.warm(cluster, { ...timeouts, dial: network.dial })
    network.hold()
    const sent = watch(producer.send({ topic: 'orders', value: 'v' }))
    await until(() => network.heldBytes > 0, 'the answer')
    // The process was frozen: the deadline is long over, the answer came meanwhile.
    network.release()
    stand.clock.advanceLate(60_000)
    await until(() => sent.state !== 'pending')
    expect(sent.value).toMatchObject({ offset: 1 })
  })

  test('ends records without metadata too, where it is shorter than maxBlockMs', async () => {
    const producer = stand.producer(null, { ...timeouts, maxBlockMs: 60_000 })
    const sent = watch(producer.send({ topic: 'orders', value: 'v' }))
    expect(await settlesAfter(sent, 10_000)).toBe(10_000)
    expect(sent.error).toMatchObject({ code: 'DELIVERY_TIMEOUT', persisted: 'no', topic: 'orders' })
    expect(sent.error?.message).toContain('never sent, its topic was not described by any broker')
  })
})

describe('maxBlockMs', () => {
  test("ends a record whose topic does not exist with the cluster's own word, and names near ones", async () => {
    const cluster = await stand.cluster({ topics: { orders: 1, payments: 1 } })
    const producer = stand.producer(cluster, timeouts)
    const sent = watch(producer.send({ topic: 'ordres', value: 'v' }))
    expect(await settlesAfter(sent, 4_000)).toBe(4_000)
    expect(sent.error).toMatchObject({
      code: 'UNKNOWN_TOPIC_OR_PARTITION',
      persisted: 'no',
      retriable: true,
      topic: 'ordres',
      elapsedMs: 4_000,
      hint: 'Did you mean orders?',
    })
    expect(sent.error?.message).toContain('(waited 4000 ms, maxBlockMs)')
  })

  test('asks for all names once, half-way through, and not for a topic that appears before', async () => {
    const cluster = await stand.cluster({ topics: { orders: 1 } })
    const producer = stand.producer(cluster, timeouts)
    const allNames = () => cluster.seen('Metadata', ({ request }) => request.topics === null).length
    const late = watch(producer.send({ topic: 'late', value: 'v' }))
    await stand.pass(1_500)
    expect(allNames()).toBe(0)
    cluster.createTopic('late', 1)
    await stand.pass(600)
    expect(late.state).toBe('done')
    const never = watch(producer.send({ topic: 'never', value: 'v' }))
    const more = watch(producer.send({ topic: 'never', value: 'w' }))
    await stand.pass(1_900)
    expect(allNames()).toBe(0)
    await stand.pass(2_200)
    expect(allNames()).toBe(1)
    expect([never.error?.code, more.error?.code]).toEqual(['UNKNOWN_TOPIC_OR_PARTITION', 'UNKNOWN_TOPIC_OR_PARTITION'])
  })

  test('ends a record that no broker could say anything about with METADATA_TIMEOUT and what was in the way', async () => {
    const producer = stand.producer(null, timeouts)
    const sent = watch(producer.send({ topic: 'orders', value: 'v' }))
    expect(await settlesAfter(sent, 4_000)).toBe(4_000)
    expect(sent.error).toMatchObject({ code: 'METADATA_TIMEOUT', persisted: 'no', elapsedMs: 4_000 })
    expect(sent.error?.message).toContain('no broker described topic orders (waited 4000 ms, maxBlockMs)')
  })

  test('ends a record for a partition that does not exist, and says how many there are', async () => {
    const cluster = await stand.cluster({ topics: { orders: 3 } })
    const producer = stand.producer(cluster, timeouts)
    await stand.settled(producer.partitionsFor('orders'))
    const sent = watch(producer.send({ topic: 'orders', partition: 7, value: 'v' }))
    expect(await settlesAfter(sent, 4_000)).toBe(4_000)
    expect(sent.error).toMatchObject({
      code: 'INVALID_PARTITION',
      name: 'RecordError',
      persisted: 'no',
      topic: 'orders',
      partition: 7,
    })
    expect(sent.error?.message).toContain('topic orders has no partition 7, it has 3 (waited 4000 ms, maxBlockMs)')
  })

  test('lets a record go that waited for its partition when that appears', async () => {
    const cluster = await stand.cluster({ topics: { orders: 1 } })
    const producer = stand.producer(cluster, timeouts)
    await stand.settled(producer.partitionsFor('orders'))
    const sent = watch(producer.send({ topic: 'orders', partition: 1, value: 'v' }))
    await stand.pass(2_000)
    expect(sent.state).toBe('pending')
    cluster.addPartitions('orders', 2)
    await stand.pass(1_500)
    expect(sent.value).toMatchObject({ partition: 1, offset: 0 })
  })

  test('counts for each record on its own: one that came later waits as long, a tenth less at most', async () => {
    const producer = stand.producer(null, { ...timeouts, deliveryTimeoutMs: 120_000, maxBlockMs: 2_000 })
    const sent: { at: number; ended: number }[] = []
    for (let i = 0; i < 10; i++) {
      const each = { at: stand.clock.now(), ended: 0 }
      sent.push(each)
      producer.enqueue({ topic: 'orders', value: `v${i}` }, () => {
        each.ended = stand.clock.now()
      })
      await stand.pass(150, 50)
    }
    await stand.pass(2_500, 10)
    for (const { at, ended } of sent) {
      expect(ended - at).toBeLessThanOrEqual(2_010)
      expect(ended - at).toBeGreaterThanOrEqual(1_800)
    }
  })

  test('counts so for records that wait for a partition as well', async () => {
    const cluster = await stand.cluster({ topics: { orders: 1 } })
    const producer = stand.producer(cluster, { ...timeouts, deliveryTimeoutMs: 120_000, maxBlockMs: 2_000 })
    await stand.settled(producer.partitionsFor('orders'))
    const sent: { at: number; ended: number }[] = []
    for (let i = 0; i < 10; i++) {
      const each = { at: stand.clock.now(), ended: 0 }
      sent.push(each)
      producer.enqueue({ topic: 'orders', partition: 5, value: `v${i}` }, () => {
        each.ended = stand.clock.now()
      })
      await stand.pass(150, 50)
    }
    await stand.pass(2_500, 10)
    for (const { at, ended } of sent) {
      expect(ended - at).toBeLessThanOrEqual(2_010)
      expect(ended - at).toBeGreaterThanOrEqual(1_800)
    }
  })

  test('ends records whose partition has gone while they waited', async () => {
    const cluster = await stand.cluster({ topics: { orders: 2 } })
    cluster.setLeader('orders', 1, -1)
    const producer = stand.producer(cluster, { ...timeouts, deliveryTimeoutMs: 120_000, metadataMaxAgeMs: 1_000 })
    await stand.settled(producer.partitionsFor('orders'))
    const sent = watch(producer.send({ topic: 'orders', partition: 1, value: 'v' }))
    await stand.pass(2_000)
    cluster.deleteTopic('orders')
    cluster.createTopic('orders', 1)
    await stand.pass(1_500)
    expect(sent.state).toBe('pending')
    await stand.pass(4_500)
    expect(sent.error).toMatchObject({ code: 'INVALID_PARTITION', partition: 1 })
  })

  test('leaves nothing behind of topics and partitions that do not exist', async () => {
    const cluster = await stand.cluster({ topics: { orders: 1 } })
    const producer = stand.producer(cluster, timeouts)
    await stand.settled(producer.partitionsFor('orders'))
    const sent = Array.from({ length: 20 }, (_, i) => [
      watch(producer.send({ topic: `nothing-${i}`, value: 'v' })),
      watch(producer.send({ topic: 'orders', partition: 100 + i, value: 'v' })),
    ]).flat()
    await stand.pass(4_200)
    expect(new Set(sent.map(({ error }) => error?.code))).toEqual(
      new Set(['UNKNOWN_TOPIC_OR_PARTITION', 'INVALID_PARTITION']),
    )
    const before = cluster.seen('Metadata').length
    await stand.pass(20_000, 500)
    expect(cluster.seen('Metadata').length).toBeLessThanOrEqual(before + 1)
  })

  test('forgets those topics and partitions: whatever names are tried, nothing grows', async () => {
    const stage = new Stage({ producer: timeouts })
    stage.describe('orders', [1])
    for (let i = 0; i < 50; i++) {
      stage.send({ topic: `nothing-${i}`, partition: null })
      stage.send({ topic: 'orders', partition: 1_000 + i })
    }
    await stage.pass(4_100)
    expect(stage.sent.map(({ settledCount }) => settledCount)).toEqual(Array(100).fill(1))
    const { topics } = stage.core.accumulator
    expect([...topics.keys()]).toEqual(['orders'])
    expect(topics.get('orders')!.missing.size).toBe(0)
    stage.expectEmpty()
  })

  test('ends a send that waits for room to the millisecond, in order, with BUFFER_TIMEOUT', async () => {
    const cluster = await stand.cluster()
    cluster.setLeader('orders', 0, -1)
    const producer = stand.producer(cluster, small)
    await stand.settled(producer.partitionsFor('orders'))
    for (let i = 0; i < 2; i++) producer.enqueue({ topic: 'orders', value: large })
    const first = watch(producer.send({ topic: 'orders', value: large }))
    await stand.pass(1_000)
    const second = watch(producer.send({ topic: 'orders', value: large }))
    expect(await settlesAfter(first, 3_000)).toBe(3_000)
    expect(first.error).toMatchObject({
      code: 'BUFFER_TIMEOUT',
      name: 'BufferFullError',
      persisted: 'no',
      topic: 'orders',
      elapsedMs: 4_000,
    })
    expect(second.state).toBe('pending')
    expect(await settlesAfter(second, 1_000)).toBe(1_000)
    expect(producer.metrics()).toMatchObject({ bufferExhaustedTotal: 2, recordErrorTotal: 2, waitingThreads: 0 })
  })

  test('ends sends that wait behind a sendMany at their own time, however the sendMany fares', async () => {
    const cluster = await stand.cluster({ topics: { orders: 1, stuck: 1 } })
    const producer = await stand.warm(cluster, small)
    // One record is answered a second: the sendMany in front moves on, and never waits for maxBlockMs.
    const many = watch(producer.sendMany(Array.from({ length: 12 }, () => ({ topic: 'orders', value: large }))))
    const gates = Array.from({ length: 20 }, () => deferred())
    for (const gate of gates) cluster.on('Produce').delay(gate.promise)
    const behind = [1, 2].map(() => watch(producer.send({ topic: 'orders', value: large })))
    expect(producer.metrics().waitingThreads).toBe(3)
    for (let i = 0; i < 3; i++) {
      await stand.pass(1_000)
      gates[i]!.resolve()
      await stand.pass(5, 1)
    }
    expect(behind.map(({ state }) => state)).toEqual(['pending', 'pending'])
    expect(many.state).toBe('pending')
    await stand.pass(985, 5)
    expect(behind.map(({ error }) => error?.code)).toEqual(['BUFFER_TIMEOUT', 'BUFFER_TIMEOUT'])
    expect(many.state).toBe('pending')
    for (const gate of gates) gate.resolve()
    await until(() => many.state !== 'pending', 'the sendMany')
    expect(many.value).toHaveLength(12)
    for (const fault of cluster.unspentFaults) fault.remove()
  })

  test('counts all records of a sendMany that found no room', async () => {
    const cluster = await stand.cluster()
    cluster.setLeader('orders', 0, -1)
    const producer = stand.producer(cluster, small)
    await stand.settled(producer.partitionsFor('orders'))
    const many = watch(producer.sendMany(Array.from({ length: 5 }, () => ({ topic: 'orders', value: large }))))
    await stand.pass(4_100)
    expect(many.state).toBe('pending')
    expect(producer.metrics()).toMatchObject({ bufferExhaustedTotal: 3, recordErrorTotal: 3 })
    await stand.pass(6_000)
    expect(many.error).toMatchObject({ code: 'SEND_MANY_FAILED', errors: { length: 5 } })
  })
})

describe('overflow drop-oldest', () => {
  const dropping: Partial<ProducerOptions> = { ...small, overflow: 'drop-oldest' }

  test('drops the oldest batch that was never sent, whole, and takes the new record', async () => {
    const cluster = await stand.cluster()
    cluster.setLeader('orders', 0, -1)
    const producer = stand.producer(cluster, dropping)
    await stand.settled(producer.partitionsFor('orders'))
    const told: [string, string | undefined][] = []
    const enqueue = (name: string) =>
      producer.enqueue({ topic: 'orders', value: name + large }, (error) => told.push([name, error?.code]))
    for (const name of 'abc') enqueue(name)
    await turns(3)
    expect(told).toEqual([['a', 'DROPPED']])
    expect(producer.metrics()).toMatchObject({ recordDroppedTotal: 1, recordErrorTotal: 1, recordRefusedTotal: 0 })
    cluster.setLeader('orders', 0, 1)
    await stand.settled(producer.flush(), 2_000)
    expect(cluster.values('orders', 0).map((value) => value?.[0])).toEqual(['b', 'c'])
  })

  test('never drops what is on the wire, nor what a promise waits for: then the new one is refused', async () => {
    const cluster = await stand.cluster()
    const producer = await stand.warm(cluster, dropping)
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    producer.enqueue({ topic: 'orders', value: `flying${large}` })
    await cluster.untilSeen('Produce', 2)
    const sent = producer.send({ topic: 'orders', value: `promised${large}` })
    const told: unknown[] = []
    producer.enqueue({ topic: 'orders', value: `new${large}` }, (error) => told.push(error?.code))
    await turns(3)
    expect(told).toEqual(['BUFFER_FULL'])
    expect(producer.metrics()).toMatchObject({ recordDroppedTotal: 0, recordRefusedTotal: 1 })
    gate.resolve()
    await stand.settled(sent)
    expect(cluster.values('orders', 0).map((value) => value?.slice(0, 6))).toEqual(['first', 'flying', 'promis'])
  })
})

describe('a topic that the cluster refuses', () => {
  test.each([
    ['TOPIC_AUTHORIZATION_FAILED', 'AuthenticationError'],
    ['INVALID_TOPIC_EXCEPTION', 'RecordError'],
  ])('fails its records with %s at once, without waiting for maxBlockMs', async (code, name) => {
    const cluster = await stand.cluster()
    cluster.on('Metadata', { topic: 'orders' }).error(code)
    const producer = stand.producer(cluster, timeouts)
    const sent = records('orders', 2).map((record) => watch(producer.send(record)))
    await until(() => sent.every(({ state }) => state !== 'pending'))
    for (const { error } of sent) expect(error).toMatchObject({ code, name, persisted: 'no', topic: 'orders' })
    // The right was granted: the next record asks anew.
    expect(await stand.settled(producer.send({ topic: 'orders', value: 'v' }), 1_000)).toMatchObject({ offset: 0 })
  })
})
