// What each answer of a broker means for the records: again, apart, failed, or the end of the producer.
import { describe, expect, test } from 'vitest'
import { deferred, failureOf, numbered, useStage } from './stage.ts'

const stage = useStage()

const padded = (prefix: string, count: number) => numbered(prefix, count).map((name) => name.padEnd(60, '.'))

describe('an error that can pass', () => {
  test.each([
    'CORRUPT_MESSAGE',
    'UNKNOWN_TOPIC_OR_PARTITION',
    'LEADER_NOT_AVAILABLE',
    'NOT_LEADER_OR_FOLLOWER',
    'REPLICA_NOT_AVAILABLE',
    'NETWORK_EXCEPTION',
    'NOT_ENOUGH_REPLICAS',
    'KAFKA_STORAGE_ERROR',
    'FENCED_LEADER_EPOCH',
    'UNKNOWN_TOPIC_ID',
    'INCONSISTENT_TOPIC_ID',
  ])('%s: the record is sent again and arrives', async (error) => {
    const cluster = await stage.cluster()
    cluster.on('Produce', { times: 2 }).error(error)
    expect(await stage.producer(cluster).send({ topic: 'orders', value: 'v' })).toMatchObject({ offset: 0 })
    expect(cluster.seen('Produce')).toHaveLength(3)
    expect(cluster.values('orders', 0)).toEqual(['v'])
  })

  test('waits longer each time: retryBackoffMs doubles up to retryBackoffMaxMs, within its jitter of 20 %', async () => {
    const cluster = await stage.cluster()
    cluster.on('Produce', { times: 5 }).error('NOT_ENOUGH_REPLICAS')
    await stage.producer(cluster, { retryBackoffMs: 20, retryBackoffMaxMs: 80 }).send({ topic: 'orders', value: 'v' })
    const times = cluster.seen('Produce').map((request) => request.receivedAt)
    const gaps = times.slice(1).map((time, index) => time - times[index]!)
    // Never earlier; a millisecond is what a timer may be early. Later is the machine's affair.
    for (const [index, least] of [16, 32, 64, 64, 64].entries()) expect(gaps[index]).toBeGreaterThanOrEqual(least - 1)
  })

  test('holds up its own partition only', async () => {
    const cluster = await stage.cluster({ topics: { orders: 2 } })
    cluster.on('Produce', { partition: 0, times: 3 }).error('NOT_ENOUGH_REPLICAS')
    const producer = stage.producer(cluster)
    const order: string[] = []
    const slow = producer.send({ topic: 'orders', partition: 0, value: 'slow' }).then(() => order.push('slow'))
    for (const value of numbered('fast', 3)) {
      await producer.send({ topic: 'orders', partition: 1, value })
      order.push(value)
    }
    await slow
    expect(order).toEqual(['fast-0', 'fast-1', 'fast-2', 'slow'])
  })

  test('counts against retries', async () => {
    const cluster = await stage.cluster()
    cluster.on('Produce', { times: 3 }).error('NOT_ENOUGH_REPLICAS')
    const error = await failureOf(stage.producer(cluster, { retries: 2 }).send({ topic: 'orders', value: 'v' }))
    expect(error).toMatchObject({
      code: 'NOT_ENOUGH_REPLICAS',
      persisted: 'no',
      retriable: true,
      attempts: 3,
      topic: 'orders',
      partition: 0,
    })
    expect(error.broker).toContain(cluster.address(1))
    expect(cluster.seen('Produce')).toHaveLength(3)
  })
})

describe('an error that does not pass', () => {
  test.each([
    ['RECORD_LIST_TOO_LARGE', 'RecordError'],
    ['INVALID_REQUIRED_ACKS', 'DeliveryError'],
    ['TOPIC_AUTHORIZATION_FAILED', 'AuthenticationError'],
    ['INVALID_TIMESTAMP', 'RecordError'],
    ['UNSUPPORTED_FOR_MESSAGE_FORMAT', 'DeliveryError'],
    ['INVALID_RECORD', 'RecordError'],
    ['INVALID_TOPIC_EXCEPTION', 'RecordError'],
    ['POLICY_VIOLATION', 'DeliveryError'],
    ['UNKNOWN_SERVER_ERROR', 'DeliveryError'],
  ])('%s: the record fails at once, and the next one arrives', async (code, name) => {
    const cluster = await stage.cluster()
    cluster.on('Produce').error(code)
    const producer = stage.producer(cluster)
    const error = await failureOf(producer.send({ topic: 'orders', value: 'v' }))
    expect(error).toMatchObject({
      code,
      name,
      retriable: false,
      fatal: false,
      topic: 'orders',
      partition: 0,
      attempts: 1,
    })
    // A broker that has no code for what happened may have failed after the append.
    expect(error.persisted).toBe(code === 'UNKNOWN_SERVER_ERROR' ? 'possibly' : 'no')
    expect(error.broker).toContain(cluster.address(1))
    expect(error.elapsedMs).toBeGreaterThanOrEqual(0)
    expect(await producer.send({ topic: 'orders', value: 'w' })).toMatchObject({ offset: 0 })
    expect(cluster.values('orders', 0)).toEqual(['w'])
  })

  test("the broker's own words are part of the message", async () => {
    const cluster = await stage.cluster()
    cluster.on('Produce').edit((response) => ({
      ...response,
      responses: response.responses.map((topic) => ({
        ...topic,
        partitionResponses: topic.partitionResponses.map((each) => ({
          ...each,
          errorCode: 44,
          errorMessage: 'no records on Sundays',
        })),
      })),
    }))
    const error = await failureOf(stage.producer(cluster).send({ topic: 'orders', value: 'v' }))
    expect(error.code).toBe('POLICY_VIOLATION')
    expect(error.message).toContain('no records on Sundays')
  })

  test.each(['CLUSTER_AUTHORIZATION_FAILED'])(
    '%s ends an idempotent producer: everything out and everything to come fails with it',
    async (code) => {
      const cluster = await stage.cluster({ topics: { orders: 2 } })
      const gate = deferred()
      cluster.on('Produce', { partition: 1 }).delay(gate.promise)
      cluster.on('Produce', { partition: 1 }).error(code)
      const producer = stage.producer(cluster, { batchSize: 100 })
      const failures = Array.from({ length: 20 }, (_, index) =>
        failureOf(producer.send({ topic: 'orders', partition: 1, value: `v-${index}`.padEnd(60) })),
      )
      await cluster.untilSeen('Produce')
      gate.resolve()
      for (const failure of await Promise.all(failures)) expect(failure).toMatchObject({ code, fatal: true })
      expect(await failureOf(producer.send({ topic: 'orders', partition: 0, value: 'v' }))).toMatchObject({
        code,
        fatal: true,
        persisted: 'no',
      })
      expect(cluster.count('orders')).toBe(0)
    },
  )
})

describe('sequences that the broker does not expect', () => {
  test('OUT_OF_ORDER_SEQUENCE_NUMBER for the oldest batch: a new epoch, from 0, and every record once', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster, { batchSize: 200 })
    await producer.send({ topic: 'orders', value: 'first' })
    cluster.on('Produce').error('OUT_OF_ORDER_SEQUENCE_NUMBER')
    const values = padded('v', 30)
    await Promise.all(values.map((value) => producer.send({ topic: 'orders', value })))
    expect(cluster.values('orders', 0)).toEqual(['first', ...values])
    const batches = cluster.batches('orders', 0)
    expect(batches[1]).toMatchObject({ producerEpoch: 1, baseSequence: 0 })
    expect(new Set(batches.map((batch) => batch.producerId)).size).toBe(1)
  })

  test('UNKNOWN_PRODUCER_ID: the records arrive once, in order', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster)
    await producer.send({ topic: 'orders', value: 'first' })
    cluster.on('Produce').error('UNKNOWN_PRODUCER_ID')
    await producer.sendMany(['a', 'b', 'c'].map((value) => ({ topic: 'orders', value })))
    expect(cluster.values('orders', 0)).toEqual(['first', 'a', 'b', 'c'])
  })

  test('a leader that forgot the producer id takes what comes next', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster)
    await producer.send({ topic: 'orders', value: 'first' })
    cluster.forgetProducers('orders', 0)
    await producer.sendMany(['a', 'b', 'c'].map((value) => ({ topic: 'orders', value })))
    expect(cluster.values('orders', 0)).toEqual(['first', 'a', 'b', 'c'])
  })

  test('one partition with a new epoch leaves the others in theirs', async () => {
    const cluster = await stage.cluster({ topics: { orders: 2 } })
    const producer = stage.producer(cluster)
    await producer.sendMany([0, 1].map((partition) => ({ topic: 'orders', partition, value: 'first' })))
    cluster.on('Produce', { partition: 0 }).error('OUT_OF_ORDER_SEQUENCE_NUMBER')
    await producer.sendMany([0, 1].map((partition) => ({ topic: 'orders', partition, value: 'second' })))
    expect(cluster.batches('orders', 0).map((batch) => [batch.producerEpoch, batch.baseSequence])).toEqual([
      [0, 0],
      [1, 0],
    ])
    expect(cluster.batches('orders', 1).map((batch) => [batch.producerEpoch, batch.baseSequence])).toEqual([
      [0, 0],
      [0, 1],
    ])
  })

  test('at the last epoch (32767) the producer asks for another id', async () => {
    const cluster = await stage.cluster()
    cluster.on('InitProducerId').edit((response) => ({ ...response, producerEpoch: 32_767 }))
    const producer = stage.producer(cluster)
    await producer.send({ topic: 'orders', value: 'first' })
    cluster.on('Produce').error('OUT_OF_ORDER_SEQUENCE_NUMBER')
    await producer.sendMany(['a', 'b'].map((value) => ({ topic: 'orders', value })))
    expect(cluster.values('orders', 0)).toEqual(['first', 'a', 'b'])
    expect(cluster.seen('InitProducerId')).toHaveLength(2)
    const [first, second] = cluster.batches('orders', 0)
    expect(first).toMatchObject({ producerEpoch: 32_767 })
    expect(second).toMatchObject({ producerEpoch: 0, baseSequence: 0 })
    expect(second!.producerId).not.toBe(first!.producerId)
  })
})
