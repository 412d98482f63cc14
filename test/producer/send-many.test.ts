import { describe, expect, test } from 'vitest'
import { KafkaError, type ProducerOptions, type ProducerRecord, SendManyError } from '../../src/index.ts'
import { deferred } from '../support/fake-cluster/deferred.ts'
import { failureOf, filler, records, turns, until, useStand, watch } from '../support/stand.ts'

const stand = useStand()
const small: Partial<ProducerOptions> = { bufferMemory: 8_192, batchSize: 4_096 }
const large = filler(3_500)
const manyLarge = (count: number): ProducerRecord[] =>
  Array.from({ length: count }, (_, i) => ({ topic: 'orders', value: `${i}${large}` }))
const numbers = (values: readonly (string | null)[]): number[] => values.map((value) => Number.parseInt(value!, 10))

describe('sendMany', () => {
  test('resolves in input order, whatever partitions the records go to and in which order they settle', async () => {
    const cluster = await stand.cluster({ brokers: 2, topics: { orders: 2 } })
    const producer = stand.producer(cluster)
    const gate = deferred()
    cluster.on('Produce', { topic: 'orders', partition: 0 }).delay(gate.promise)
    const sent = producer.sendMany(
      Array.from({ length: 6 }, (_, i) => ({ topic: 'orders', partition: i % 2, value: `v${i}` })),
    )
    await stand.settled(until(() => cluster.values('orders', 1).length === 3))
    gate.resolve()
    const metadata = await stand.settled(sent)
    expect(metadata.map(({ partition, offset }) => [partition, offset])).toEqual([
      [0, 0],
      [1, 0],
      [0, 1],
      [1, 1],
      [0, 2],
      [1, 2],
    ])
  })

  test('of nothing resolves with nothing, and connects to nobody', async () => {
    const producer = stand.producer(null)
    expect(await producer.sendMany([])).toEqual([])
    expect(stand.clock.pendingDelaysMs).toEqual([])
  })

  test.each([undefined, null, 'orders', { length: 2 }, new Set()])(
    'rejects for %s, which is no array',
    async (input) => {
      const producer = stand.producer(null)
      expect((await failureOf(producer.sendMany(input as never))).code).toBe('INVALID_RECORD')
    },
  )

  test('rejects when any record fails, with every outcome in input order and the failures on their own', async () => {
    const cluster = await stand.cluster({ topics: { good: 1, bad: 1 } })
    const producer = stand.producer(cluster)
    cluster.on('Produce', { topic: 'bad' }).error('INVALID_RECORD')
    const sent = producer.sendMany([
      { topic: 'good', value: 'a' },
      { topic: 'bad', value: 'b' },
      { topic: 'good', value: 7 as never },
      { topic: 'good', value: 'd' },
    ])
    const error = (await failureOf(stand.settled(sent))) as SendManyError
    expect(error).toBeInstanceOf(SendManyError)
    expect(error.code).toBe('SEND_MANY_FAILED')
    expect(error.results.map((result) => (result instanceof KafkaError ? result.code : result))).toEqual([
      expect.objectContaining({ topic: 'good', offset: 0 }),
      'INVALID_RECORD',
      'SERIALIZATION_FAILED',
      expect.objectContaining({ topic: 'good', offset: 1 }),
    ])
    expect(error.errors.map(({ code }) => code)).toEqual(['INVALID_RECORD', 'SERIALIZATION_FAILED'])
    expect(error.message).toMatch(/^2 of 4 records failed, the first with: /)
    expect(error.persisted).toBe('no')
  })

  test('waits for all before it rejects', async () => {
    const cluster = await stand.cluster({ topics: { good: 1, bad: 1 } })
    const producer = stand.producer(cluster)
    const gate = deferred()
    cluster.on('Produce', { topic: 'good' }).delay(gate.promise)
    const sent = watch(producer.sendMany([{ topic: 'good', value: 7 as never }, ...records('good', 2)]))
    await stand.settled(cluster.untilSeen('Produce'))
    await turns(5)
    expect(sent.state).toBe('pending')
    gate.resolve()
    await stand.settled(until(() => sent.state !== 'pending'))
    expect(sent.error).toMatchObject({ errors: { length: 1 } })
    expect(cluster.count('good')).toBe(2)
  })

  test('is bounded by the buffer, not by the length of the array', async () => {
    const cluster = await stand.cluster()
    const producer = await stand.warm(cluster, small)
    let most = 0
    cluster.on('Produce', { times: Number.POSITIVE_INFINITY }).edit((response) => {
      const { bufferTotalBytes, bufferAvailableBytes } = producer.metrics()
      most = Math.max(most, bufferTotalBytes - bufferAvailableBytes)
      return response
    })
    expect(await stand.settled(producer.sendMany(manyLarge(100)), 2_000)).toHaveLength(100)
    expect(most).toBeGreaterThan(4_096)
    expect(most).toBeLessThanOrEqual(8_192)
    expect(numbers(cluster.values('orders', 0).slice(1))).toEqual(Array.from({ length: 100 }, (_, i) => i))
  })

  test('asks the serializer once for each record, as room comes, not before', async () => {
    const cluster = await stand.cluster()
    const serialized: string[] = []
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    const producer = stand.producer<string, string>(cluster, {
      ...(small as object),
      valueSerializer: (value) => {
        serialized.push(value.slice(0, 1))
        return value
      },
    })
    const sent = producer.sendMany(manyLarge(6) as ProducerRecord<string, string>[])
    await cluster.untilSeen('Produce')
    // Two are in the buffer, the third is the one that waits for room.
    expect(serialized).toEqual(['0', '1', '2'])
    gate.resolve()
    await stand.settled(sent)
    expect(serialized).toEqual(['0', '1', '2', '3', '4', '5'])
  })

  test('holds one place in the line: what is sent after it comes after all of it', async () => {
    const cluster = await stand.cluster()
    const producer = await stand.warm(cluster, small)
    const before = producer.send({ topic: 'orders', value: 'before' })
    const many = producer.sendMany(manyLarge(8))
    expect(producer.metrics().waitingThreads).toBe(1)
    const after = [producer.send({ topic: 'orders', value: '100' }), producer.sendMany(records('orders', 2, '101'))]
    expect(producer.metrics().waitingThreads).toBe(3)
    await stand.settled(Promise.all([before, many, ...after]), 2_000)
    expect(cluster.values('orders', 0).map((value) => value?.replaceAll('x', ''))).toEqual([
      'first',
      'before',
      '0',
      '1',
      '2',
      '3',
      '4',
      '5',
      '6',
      '7',
      '100',
      '101-0',
      '101-1',
    ])
  })

  test('stands behind sends that wait already', async () => {
    const cluster = await stand.cluster()
    const producer = await stand.warm(cluster, small)
    const sends = [1, 2, 3].map((n) => producer.send({ topic: 'orders', value: `${n}${large}` }))
    const many = producer.sendMany(records('orders', 2))
    await stand.settled(Promise.all([...sends, many]), 2_000)
    expect(cluster.values('orders', 0).map((value) => value?.replaceAll('x', ''))).toEqual([
      'first',
      '1',
      '2',
      '3',
      'v-0',
      'v-1',
    ])
  })

  test('waits for room up to maxBlockMs for each record, anew with each that got in', async () => {
    const cluster = await stand.cluster()
    const producer = await stand.warm(cluster, {
      ...small,
      maxBlockMs: 4_000,
      maxInFlightRequestsPerConnection: 1,
      maxRequestSize: 4_096,
    })
    const gates = Array.from({ length: 12 }, () => deferred())
    for (const gate of gates) cluster.on('Produce').delay(gate.promise)
    const sent = watch(producer.sendMany(manyLarge(6)))
    for (let i = 0; i < 6; i++) {
      await stand.pass(3_000)
      gates[i]!.resolve()
      await stand.pass(10, 1)
    }
    await until(() => sent.state !== 'pending', 'the last answer')
    expect(sent.value).toHaveLength(6)
    for (const fault of cluster.unspentFaults) fault.remove()
  })

  test('fails what has found no room within maxBlockMs, and keeps what was delivered', async () => {
    const cluster = await stand.cluster()
    const producer = await stand.warm(cluster, { ...small, maxBlockMs: 4_000 })
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    const sent = watch(producer.sendMany(manyLarge(5)))
    await cluster.untilSeen('Produce', 2)
    await stand.pass(4_100)
    expect(sent.state).toBe('pending')
    expect(producer.metrics().waitingThreads).toBe(0)
    gate.resolve()
    await stand.settled(until(() => sent.state !== 'pending'))
    const { results } = sent.error as SendManyError
    expect(results.map((result) => (result instanceof KafkaError ? result.code : 'delivered'))).toEqual([
      'delivered',
      'delivered',
      'BUFFER_TIMEOUT',
      'BUFFER_TIMEOUT',
      'BUFFER_TIMEOUT',
    ])
  })

  test('with a line that is full fails the rest at once with BUFFER_FULL, and sends what it could', async () => {
    const cluster = await stand.cluster()
    const producer = await stand.warm(cluster, { ...small, maxWaitingSends: 0 })
    const sent = producer.sendMany(manyLarge(4))
    const error = (await failureOf(stand.settled(sent))) as SendManyError
    expect(error.results.map((result) => (result instanceof KafkaError ? result.code : 'delivered'))).toEqual([
      'delivered',
      'delivered',
      'BUFFER_FULL',
      'BUFFER_FULL',
    ])
    expect(numbers(cluster.values('orders', 0).slice(1))).toEqual([0, 1])
  })

  test('with nothing but wrong records rejects without ever needing the cluster', async () => {
    const producer = stand.producer(null)
    const error = (await failureOf(producer.sendMany([{ topic: '' }, null, 7] as never))) as SendManyError
    expect(error.errors.map(({ code }) => code)).toEqual([
      'INVALID_TOPIC_EXCEPTION',
      'INVALID_RECORD',
      'INVALID_RECORD',
    ])
    expect(producer.metrics()).toMatchObject({ recordsPending: 0, recordErrorTotal: 3 })
  })

  test('with a wrong record at the head of its wait goes on with the next one', async () => {
    const cluster = await stand.cluster()
    const producer = await stand.warm(cluster, small)
    const many = manyLarge(5)
    const sent = producer.sendMany([many[0]!, many[1]!, { topic: 'orders', value: 7 as never }, many[3]!, many[4]!])
    const error = (await failureOf(stand.settled(sent, 2_000))) as SendManyError
    expect(error.errors).toHaveLength(1)
    expect(numbers(cluster.values('orders', 0).slice(1))).toEqual([0, 1, 3, 4])
  })

  test('is a member of the generation in which it was called: a flush waits for all of it', async () => {
    const cluster = await stand.cluster()
    const producer = await stand.warm(cluster, small)
    const sent = producer.sendMany(manyLarge(9))
    const flushed = producer.flush()
    const after = watch(producer.sendMany(manyLarge(3)))
    expect(await stand.settled(flushed, 2_000)).toEqual({ delivered: 9, failed: 0 })
    await sent
    await stand.settled(
      until(() => after.state === 'done'),
      2_000,
    )
  })

  test('whose array shrinks meanwhile, which no caller may do, still settles', async () => {
    const cluster = await stand.cluster()
    const producer = await stand.warm(cluster, small)
    const input = manyLarge(6)
    const sent = producer.sendMany(input)
    input.length = 3
    const error = (await failureOf(stand.settled(sent, 2_000))) as SendManyError
    expect(error.results).toHaveLength(6)
    expect(error.errors.map(({ code }) => code)).toEqual(['INVALID_RECORD', 'INVALID_RECORD', 'INVALID_RECORD'])
    expect(producer.metrics().recordsPending).toBe(0)
  })

  test('whose array grows meanwhile sends what was there when it was called', async () => {
    const cluster = await stand.cluster()
    const producer = await stand.warm(cluster, small)
    const input = manyLarge(4)
    const sent = producer.sendMany(input)
    input.push(...manyLarge(4))
    expect(await stand.settled(sent, 2_000)).toHaveLength(4)
    expect(producer.metrics().recordsPending).toBe(0)
    expect(cluster.count('orders')).toBe(5)
  })

  test('a partitioner that fails for one record fails that one alone, also when it had to wait for room', async () => {
    const cluster = await stand.cluster()
    const producer = stand.producer(cluster, {
      ...small,
      partitioner: (_topic, _key, record) => {
        if (/^[13]/.test(String(record.value))) throw new Error('no idea')
        return 0
      },
    })
    const error = (await failureOf(stand.settled(producer.sendMany(manyLarge(5)), 2_000))) as SendManyError
    expect(error.errors.map(({ code }) => code)).toEqual(['PARTITIONER_FAILED', 'PARTITIONER_FAILED'])
    expect(numbers(cluster.values('orders', 0))).toEqual([0, 2, 4])
  })
})
