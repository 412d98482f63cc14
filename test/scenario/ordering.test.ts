// Order and exactly once per partition while requests overlap and fail. What must never be seen on the wire is watched over by the
// stage in every one of these tests (see fake-cluster/invariants.ts).
import { describe, expect, test } from 'vitest'
import { NO_FAULTS } from '../support/fake-cluster/verify.ts'
import { aWhile, deferred, failureOf, numbered, turns, useStage } from './stage.ts'

const stage = useStage()

// About two records of these tests fill a batch, so that a few records are many requests.
const smallBatches = { batchSize: 200 }
const padded = (prefix: string, count: number) => numbered(prefix, count).map((name) => name.padEnd(60, '.'))

describe('requests in flight', () => {
  test('five batches of a partition fly at once, never six', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster, smallBatches)
    await producer.send({ topic: 'orders', value: 'first' })
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    const values = padded('v', 60)
    const sent = values.map((value) => producer.send({ topic: 'orders', value }))
    await cluster.untilSeen('Produce', 6)
    await aWhile()
    expect(cluster.seen('Produce')).toHaveLength(6)
    gate.resolve()
    await Promise.all(sent)
    expect(cluster.values('orders', 0)).toEqual(['first', ...values])
  })

  test('one batch flies until the leader has accepted the producer id', async () => {
    const cluster = await stage.cluster()
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    const producer = stage.producer(cluster, smallBatches)
    const values = padded('v', 60)
    const sent = values.map((value) => producer.send({ topic: 'orders', value }))
    await cluster.untilSeen('Produce')
    await aWhile()
    expect(cluster.seen('Produce')).toHaveLength(1)
    gate.resolve()
    await Promise.all(sent)
    expect(cluster.values('orders', 0)).toEqual(values)
  })

  test('maxInFlightRequestsPerConnection is kept', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster, { ...smallBatches, maxInFlightRequestsPerConnection: 2 })
    await producer.sendMany(padded('v', 200).map((value) => ({ topic: 'orders', value })))
    // Whether two ever meet is for the broker's pace to say; a third never does.
    expect(Math.max(...cluster.connections.map((connection) => connection.mostInFlight))).toBeLessThanOrEqual(2)
  })

  test('all partitions of a broker share a request', async () => {
    const cluster = await stage.cluster({ topics: { orders: 10 } })
    const producer = stage.producer(cluster)
    await producer.sendMany(Array.from({ length: 10 }, (_, partition) => ({ topic: 'orders', partition, value: 'v' })))
    expect(cluster.seen('Produce')).toHaveLength(1)
    expect(cluster.seen('Produce')[0]!.batches).toHaveLength(10)
  })

  test('one connection per broker for Produce, and one in all for the rest', async () => {
    const cluster = await stage.cluster({ brokers: 3, topics: { orders: 9 } })
    const producer = stage.producer(cluster)
    for (let round = 0; round < 5; round++) {
      await producer.sendMany(
        Array.from({ length: 90 }, (_, index) => ({ topic: 'orders', partition: index % 9, value: 'v' })),
      )
    }
    expect(cluster.connections).toHaveLength(4)
    const producing = new Set(cluster.seen('Produce').map((request) => request.connection))
    expect(producing.size).toBe(3)
    expect(cluster.seen('Metadata').some((request) => producing.has(request.connection))).toBe(false)
  })

  test('records sent in one turn share a batch at lingerMs 0', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster)
    await producer.send({ topic: 'orders', value: 'first' })
    await Promise.all(numbered('v', 500).map((value) => producer.send({ topic: 'orders', value })))
    expect(cluster.batches('orders', 0)).toHaveLength(2)
    expect(cluster.batches('orders', 0)[1]!.recordCount).toBe(500)
  })

  test('lingerMs gathers records of several turns', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster, { lingerMs: 60 })
    await producer.partitionsFor('orders')
    const sent: Promise<unknown>[] = []
    for (const value of numbered('v', 20)) {
      sent.push(producer.send({ topic: 'orders', value }))
      await turns(1)
    }
    await Promise.all(sent)
    expect(cluster.batches('orders', 0).length).toBeLessThanOrEqual(2)
  })
})

describe('producer ids', () => {
  test('first-ever sends in one turn share one', async () => {
    const cluster = await stage.cluster({ brokers: 3, topics: { orders: 6, clicks: 3 } })
    const producer = stage.producer(cluster)
    const sent = Array.from({ length: 60 }, (_, index) =>
      producer.send({ topic: index % 2 === 0 ? 'orders' : 'clicks', partition: index % 3, value: `v-${index}` }),
    )
    await Promise.all(sent)
    expect(cluster.seen('InitProducerId')).toHaveLength(1)
    const ids = [0, 1, 2].flatMap((partition) => [
      ...cluster.batches('orders', partition).map((batch) => batch.producerId),
      ...cluster.batches('clicks', partition).map((batch) => batch.producerId),
    ])
    expect(new Set(ids).size).toBe(1)
  })

  test('are not asked for without idempotence', async () => {
    const cluster = await stage.cluster()
    await stage.producer(cluster, { enableIdempotence: false }).send({ topic: 'orders', value: 'v' })
    expect(cluster.seen('InitProducerId')).toHaveLength(0)
    expect(cluster.batches('orders', 0)).toMatchObject([{ producerId: -1, producerEpoch: -1, baseSequence: -1 }])
  })

  test('of two producers differ', async () => {
    const cluster = await stage.cluster()
    await stage.producer(cluster).send({ topic: 'orders', value: 'a' })
    await stage.producer(cluster).send({ topic: 'orders', value: 'b' })
    const [first, second] = cluster.batches('orders', 0)
    expect(first!.producerId).not.toBe(second!.producerId)
  })

  test.each(['COORDINATOR_LOAD_IN_PROGRESS', 'NOT_COORDINATOR', 'COORDINATOR_NOT_AVAILABLE', 'REQUEST_TIMED_OUT'])(
    '%s is asked again',
    async (error) => {
      const cluster = await stage.cluster()
      cluster.on('InitProducerId', { times: 2 }).error(error)
      await stage.producer(cluster).send({ topic: 'orders', value: 'v' })
      expect(cluster.seen('InitProducerId')).toHaveLength(3)
    },
  )

  test('that the cluster refuses by authorization are the end of the producer, and the hint says what to do', async () => {
    const cluster = await stage.cluster()
    cluster.on('InitProducerId', { times: Number.POSITIVE_INFINITY }).error('CLUSTER_AUTHORIZATION_FAILED')
    const producer = stage.producer(cluster)
    const error = await failureOf(producer.send({ topic: 'orders', value: 'v' }))
    expect(error).toMatchObject({
      name: 'AuthenticationError',
      code: 'CLUSTER_AUTHORIZATION_FAILED',
      persisted: 'no',
      fatal: true,
    })
    expect(error.hint).toContain('enableIdempotence')
    expect(cluster.seen('Produce')).toHaveLength(0)
  })

  test('sequences of a partition follow each other without a gap', async () => {
    const cluster = await stage.cluster({ topics: { orders: 3 } })
    const producer = stage.producer(cluster, smallBatches)
    await producer.sendMany(padded('v', 90).map((value, index) => ({ topic: 'orders', partition: index % 3, value })))
    for (const partition of [0, 1, 2]) {
      let next = 0
      for (const batch of cluster.batches('orders', partition)) {
        expect(batch.baseSequence).toBe(next)
        next += batch.recordCount
      }
      expect(next).toBe(30)
    }
  })
})

describe('with five requests in flight', () => {
  test.each([1, 2, 3, 4, 5])(
    'the %ith is refused with a retriable error: all arrive once, in order, in the same epoch',
    async (nth) => {
      const cluster = await stage.cluster()
      const producer = stage.producer(cluster, smallBatches)
      await producer.send({ topic: 'orders', value: 'first' })
      const gate = deferred()
      cluster.on('Produce').delay(gate.promise)
      cluster.on('Produce', { nth }).error('NOT_ENOUGH_REPLICAS')
      const values = padded('v', 60)
      const sent = values.map((value) => producer.send({ topic: 'orders', value }))
      await cluster.untilSeen('Produce', 6)
      gate.resolve()
      const results = await Promise.all(sent)
      expect(results.map((result) => result.offset)).toEqual(values.map((_, index) => index + 1))
      expect(cluster.values('orders', 0)).toEqual(['first', ...values])
      expect(new Set(cluster.batches('orders', 0).map((batch) => batch.producerEpoch))).toEqual(new Set([0]))
    },
  )

  test('one is refused for good: it alone fails, the others go on in order in a new epoch', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster, smallBatches)
    await producer.send({ topic: 'orders', value: 'first' })
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    cluster.on('Produce', { nth: 2 }).error('INVALID_RECORD')
    const values = padded('v', 30)
    const sent = values.map((value) => producer.send({ topic: 'orders', value }))
    const settled = Promise.allSettled(sent)
    await cluster.untilSeen('Produce', 6)
    gate.resolve()
    const results = await settled
    const delivered = values.filter((_, index) => results[index]!.status === 'fulfilled')
    const failed = results.filter((result) => result.status === 'rejected')
    expect(failed).toHaveLength(cluster.seen('Produce')[2]!.batches[0]!.recordCount)
    for (const { reason } of failed) expect(reason).toMatchObject({ code: 'INVALID_RECORD', persisted: 'no' })
    expect(cluster.values('orders', 0)).toEqual(['first', ...delivered])
    expect(cluster.batches('orders', 0).at(-1)!.producerEpoch).toBe(1)
  })

  test('the connection is reset under them: all arrive once and in order', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster, smallBatches)
    await producer.send({ topic: 'orders', value: 'first' })
    cluster.on('Produce', { nth: 3 }).dropBefore()
    const values = padded('v', 60)
    await Promise.all(values.map((value) => producer.send({ topic: 'orders', value })))
    expect(cluster.values('orders', 0)).toEqual(['first', ...values])
  })
})

describe('one partition of ten', () => {
  test('is refused: its records fail and name it, all others arrive', async () => {
    const cluster = await stage.cluster({ topics: { orders: 10 } })
    cluster.on('Produce', { partition: 7 }).error('INVALID_RECORD')
    const producer = stage.producer(cluster)
    const results = await Promise.allSettled(
      Array.from({ length: 100 }, (_, index) =>
        producer.send({ topic: 'orders', partition: index % 10, value: `v-${index}` }),
      ),
    )
    for (const [index, result] of results.entries()) {
      expect(result.status).toBe(index % 10 === 7 ? 'rejected' : 'fulfilled')
      if (result.status === 'rejected')
        expect(result.reason).toMatchObject({ topic: 'orders', partition: 7, persisted: 'no' })
    }
    expect(cluster.count('orders')).toBe(90)
  })

  test('is retried: the others are neither repeated nor held up', async () => {
    const cluster = await stage.cluster({ topics: { orders: 10 } })
    cluster.on('Produce', { partition: 7, times: 6 }).error('NOT_ENOUGH_REPLICAS')
    const producer = stage.producer(cluster)
    const all = Array.from({ length: 10 }, (_, partition) => producer.send({ topic: 'orders', partition, value: 'v' }))
    const order: number[] = []
    for (const [partition, sent] of all.entries()) void sent.then(() => order.push(partition))
    await Promise.all(all)
    expect(order.at(-1)).toBe(7)
    const others = cluster
      .seen('Produce')
      .flatMap((request) => request.batches.filter((batch) => batch.partition !== 7))
    expect(others).toHaveLength(9)
  })

  test('keyless records that are retried stay in their partition', async () => {
    const cluster = await stage.cluster({ brokers: 3, topics: { orders: 3 } })
    cluster.on('Produce', { broker: 2, times: 2 }).error('NOT_ENOUGH_REPLICAS')
    cluster.on('Produce', { broker: 3, nth: 2 }).dropBefore()
    const producer = stage.producer(cluster, { partitioner: 'roundRobin', ...smallBatches })
    const values = padded('v', 120)
    const results = await producer.sendMany(values.map((value) => ({ topic: 'orders', value })))
    const sent = [0, 1, 2].map((partition) => ({
      topic: 'orders',
      partition,
      values: values.filter((_, index) => results[index]!.partition === partition),
    }))
    expect(cluster.verify(sent)).toEqual(NO_FAULTS)
  })
})
