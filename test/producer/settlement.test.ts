// How records settle, through a whole producer: exactly once, in order, with the truth, in slices, and whatever their owners' code does.
import { describe, expect, test } from 'vitest'
import type { KafkaError, ProducerOptions, RecordMetadata } from '../../src/index.ts'
import { deferred } from '../support/fake-cluster/deferred.ts'
import { filler, turns, until, useStand, watch } from '../support/stand.ts'

const stand = useStand()

describe('a record settles', () => {
  test('exactly once, whichever of a hundred ways it takes', async () => {
    const cluster = await stand.cluster({
      brokers: 2,
      topics: { orders: 4, bad: 1, split: { partitions: 1, maxMessageBytes: 2_500 } },
    })
    cluster.on('Produce', { topic: 'orders', partition: 0 }).error('NOT_ENOUGH_REPLICAS')
    cluster.on('Produce', { topic: 'orders', partition: 1 }).appendThenDrop()
    cluster.on('Produce', { topic: 'orders', partition: 2 }).dropBefore()
    cluster.on('Produce', { topic: 'orders', partition: 3 }).recordErrors({ 1: 'too odd' })
    cluster.on('Produce', { topic: 'bad' }).error('TOPIC_AUTHORIZATION_FAILED')
    const producer = stand.producer(cluster, {
      bufferMemory: 65_536,
      batchSize: 4_096,
      maxBlockMs: 3_000,
      deliveryTimeoutMs: 12_000,
      requestTimeoutMs: 5_000,
      retryBackoffMs: 5,
      reconnectBackoffMs: 5,
    })
    const settled = new Map<string, number>()
    const note = (name: string) => () => settled.set(name, (settled.get(name) ?? 0) + 1)
    const names: string[] = []
    const hand = (name: string, record: { topic: string; partition?: number }, how: number): void => {
      const full = { ...record, key: name, value: `${name}:${filler(300)}` }
      names.push(name)
      if (how === 0) producer.enqueue(full, note(name))
      else if (how === 1) producer.send(full).then(note(name), note(name))
      else producer.sendMany([full]).then(note(name), note(name))
    }
    for (let i = 0; i < 25; i++) {
      hand(`orders-${i}`, { topic: 'orders', partition: i % 4 }, i % 3)
      hand(`bad-${i}`, { topic: 'bad' }, (i + 1) % 3)
      hand(`split-${i}`, { topic: 'split' }, (i + 2) % 3)
      hand(`nowhere-${i}`, { topic: `nowhere-${i % 2}` }, i % 3)
      hand(`missing-${i}`, { topic: 'orders', partition: 99 }, (i + 1) % 3)
      if (i === 10) await turns(3)
    }
    await stand.pass(15_000, 50)
    expect(names.filter((name) => settled.get(name) !== 1)).toEqual([])
    expect(settled.size).toBe(125)
    expect(producer.metrics()).toMatchObject({ recordsPending: 0, bufferAvailableBytes: 65_536, waitingThreads: 0 })
    expect(producer.metrics().recordDeliveredTotal + producer.metrics().recordErrorTotal).toBe(125)
    // What was acknowledged is in the log once.
    for (const partition of [0, 1, 2, 3]) {
      const keys = cluster.records('orders', partition).map(({ key }) => key?.toString())
      expect(new Set(keys).size).toBe(keys.length)
    }
  })

  test('in the order in which the records of its partition were handed over', async () => {
    const cluster = await stand.cluster({ topics: { orders: 2 } })
    cluster.on('Produce', { nth: 2 }).error('NOT_ENOUGH_REPLICAS')
    const producer = stand.producer(cluster, { batchSize: 1_000, retryBackoffMs: 5 })
    const told: Record<number, number[]> = { 0: [], 1: [] }
    for (let i = 0; i < 60; i++) {
      producer.enqueue({ topic: 'orders', partition: i % 2, value: `${i}:${filler(120)}` }, (error, metadata) => {
        expect(error).toBeNull()
        told[metadata!.partition]!.push(i)
      })
      if (i % 20 === 19) await turns(5)
    }
    await stand.settled(producer.flush(), 1_000)
    for (const partition of [0, 1]) {
      expect(told[partition]).toEqual(Array.from({ length: 30 }, (_, i) => i * 2 + partition))
    }
  })

  test('with its own place in the log, however its batch was split', async () => {
    const cluster = await stand.cluster({ topics: { orders: { partitions: 1, maxMessageBytes: 1_200 } } })
    const producer = stand.producer(cluster)
    const sent = Array.from({ length: 30 }, (_, i) => producer.send({ topic: 'orders', value: `${i}:${filler(200)}` }))
    const metadata = await stand.settled(Promise.all(sent), 2_000)
    expect(metadata.map(({ offset }) => offset)).toEqual(Array.from({ length: 30 }, (_, i) => i))
    expect(producer.metrics().batchSplitTotal).toBeGreaterThan(0)
    const values = cluster.values('orders', 0)
    metadata.forEach(({ offset }, i) => {
      expect(Number.parseInt(values[offset]!, 10)).toBe(i)
    })
  })

  test('with metadata that is its own: nobody else sees what its owner does to it', async () => {
    const cluster = await stand.cluster()
    const producer = stand.producer(cluster)
    const all = await stand.settled(
      Promise.all(['a', 'b'].map((value) => producer.send({ topic: 'orders', value }) as Promise<object>)),
    )
    Object.assign(all[0]!, { topic: 'changed' })
    expect(all[1]).toMatchObject({ topic: 'orders' })
  })

  test('with offset -1 when nobody says where it is', async () => {
    const cluster = await stand.cluster()
    const producer = stand.producer(cluster, { acks: 0 })
    const metadata = await stand.settled(producer.send({ topic: 'orders', key: 'k', value: 'v' }))
    expect(metadata).toMatchObject({ topic: 'orders', partition: 0, offset: -1, serializedKeySize: 1 })
    await cluster.until(() => cluster.count('orders') === 1, 'the record')
  })

  test("with the broker's time where the topic says so", async () => {
    const cluster = await stand.cluster({ topics: { orders: { partitions: 1, logAppendTimeMs: 1_234_567 } } })
    const producer = stand.producer(cluster)
    const sent = producer.send({ topic: 'orders', value: 'v', timestamp: 99 })
    expect(await stand.settled(sent)).toMatchObject({ timestamp: 1_234_567 })
  })
})

describe('callbacks', () => {
  const enqueueMany = (
    producer: ReturnType<typeof stand.producer>,
    count: number,
    onDelivery: (i: number, error: KafkaError | null, metadata: RecordMetadata | null) => void,
  ): void => {
    for (let i = 0; i < count; i++) {
      producer.enqueue({ topic: 'orders', value: `v${i}` }, (error, metadata) => onDelivery(i, error, metadata))
    }
  }

  test('that throw are logged, and stop neither the others nor the promises', async () => {
    const cluster = await stand.cluster()
    const producer = stand.producer(cluster)
    const told: number[] = []
    const sent = producer.send({ topic: 'orders', value: 'first' })
    enqueueMany(producer, 10, (i) => {
      told.push(i)
      throw new Error(`callback ${i}`)
    })
    await stand.settled(Promise.all([sent, producer.flush()]))
    expect(told).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    expect(stand.log.at('error')[0]).toMatchObject({ fields: { err: { message: 'callback 0' } } })
    expect(producer.metrics()).toMatchObject({ recordErrorTotal: 0, recordsPending: 0 })
  })

  test('run for 5 ms at a time, so that the rest of the process has its turn in between', async () => {
    const cluster = await stand.cluster()
    const producer = await stand.warm(cluster)
    let turn = 0
    let isCounting = true
    const count = (): void => {
      turn++
      if (isCounting) setImmediate(count)
    }
    const inTurn: number[] = []
    let longestMs = 0
    let startedAt = 0
    enqueueMany(producer, 200, () => {
      if (inTurn.at(-1) !== turn) startedAt = stand.clock.now()
      stand.clock.advance(1)
      longestMs = Math.max(longestMs, stand.clock.now() - startedAt)
      inTurn.push(turn)
    })
    count()
    await until(() => inTurn.length === 200, 'all callbacks')
    isCounting = false
    expect(new Set(inTurn).size).toBeGreaterThanOrEqual(20)
    expect(longestMs).toBeLessThanOrEqual(10)
  })

  test('that hand over new records for ever leave time for answers', async () => {
    const cluster = await stand.cluster()
    const producer = await stand.warm(cluster)
    let left = 500
    const again = (): void => {
      if (left-- > 0) producer.enqueue({ topic: 'orders', value: `v${left}` }, again)
    }
    again()
    const sent = producer.send({ topic: 'orders', value: 'beside' })
    expect(await stand.settled(sent)).toMatchObject({ topic: 'orders' })
    expect(left).toBeGreaterThan(400)
    left = 0
    await stand.settled(producer.flush())
  })

  test('of a batch that failed see one error, each its own call', async () => {
    const cluster = await stand.cluster()
    cluster.on('Produce').error('INVALID_RECORD')
    const producer = stand.producer(cluster)
    const errors: (KafkaError | null)[] = []
    enqueueMany(producer, 3, (_i, error) => errors.push(error))
    await stand.settled(producer.flush())
    expect(errors).toHaveLength(3)
    for (const error of errors)
      expect(error).toMatchObject({ code: 'INVALID_RECORD', persisted: 'no', topic: 'orders' })
  })
})

describe('memory', () => {
  test('comes back when records have settled, not when their callbacks have finished', async () => {
    const cluster = await stand.cluster()
    const producer = await stand.warm(cluster, { bufferMemory: 8_192, batchSize: 4_096 })
    let available = -1
    producer.enqueue({ topic: 'orders', value: filler(3_500) }, () => {
      available = producer.metrics().bufferAvailableBytes
    })
    expect(producer.metrics().bufferAvailableBytes).toBe(4_096)
    await stand.settled(producer.flush())
    expect(available).toBe(8_192)
  })

  test('of a record that ran out of time stays taken as long as a socket may read it, and no longer', async () => {
    const options: Partial<ProducerOptions> = {
      bufferMemory: 262_144,
      batchSize: 131_072,
      deliveryTimeoutMs: 10_000,
      requestTimeoutMs: 10_000,
      maxRequestSize: 131_072,
    }
    const cluster = await stand.cluster()
    const producer = await stand.warm(cluster, options)
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    const sent = watch(producer.send({ topic: 'orders', value: filler(100_000) }))
    await cluster.untilSeen('Produce', 2)
    await stand.pass(10_000, 1_000)
    await until(() => sent.state !== 'pending')
    expect(sent.error).toMatchObject({ persisted: 'possibly' })
    gate.resolve()
    await until(() => producer.metrics().bufferAvailableBytes === 262_144, 'the memory to come back')
    expect(await stand.settled(producer.send({ topic: 'orders', value: 'next' }), 2_000)).toMatchObject({ offset: 2 })
  })
})
