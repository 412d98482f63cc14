// Brokers that answer what no broker answers, and things that are no brokers: a clear error where nothing else helps, and otherwise the
// connection ends, the cause is the same for all who wait on it, and the records arrive once.
import { describe, expect, test } from 'vitest'
import type { KafkaError } from '../../src/index.ts'
import type { FakeCluster } from '../support/fake-cluster/fake-cluster.ts'
import type { FaultBuilder } from '../support/fake-cluster/faults.ts'
import {
  firstHalf,
  garbage,
  httpAnswer,
  hugeLength,
  negativeLength,
  oneByteTooMany,
  otherCorrelationId,
  tlsAlert,
} from '../support/fake-cluster/wrong-answers.ts'
import { failureOf, numbered, useStage } from './stage.ts'

const stage = useStage()

const always = { times: Number.POSITIVE_INFINITY }

/** An error with all that caused it, as one text. */
function wholeStory(error: unknown): string {
  const { code, message, cause, errors } = error as KafkaError & { errors?: readonly unknown[] }
  const below = [...(cause === undefined ? [] : [cause]), ...(errors ?? [])].map(wholeStory)
  return [code, message, ...below].join('\n')
}

describe('what connect says of something that', () => {
  const connectTo = async (fault: (cluster: FakeCluster) => void) => {
    const cluster = await stage.cluster()
    fault(cluster)
    const producer = stage.producer(cluster, {
      maxBlockMs: 300,
      requestTimeoutMs: 100,
      socketConnectionSetupTimeoutMs: 100,
    })
    const error = await failureOf(producer.connect())
    expect(error.name).toBe('ConnectionError')
    const story = wholeStory(error)
    expect(story).toContain(cluster.address(1))
    return story
  }

  test('speaks HTTP: NOT_KAFKA', async () => {
    const story = await connectTo((cluster) => cluster.on('ApiVersions', always).reply(httpAnswer, { thenClose: true }))
    expect(story).toContain('NOT_KAFKA')
    expect(story).toContain('HTTP')
  })

  test('expects TLS: TLS_EXPECTED', async () => {
    const story = await connectTo((cluster) => cluster.on('ApiVersions', always).reply(tlsAlert, { thenClose: true }))
    expect(story).toContain('TLS_EXPECTED')
  })

  test('answers garbage: PROTOCOL_ERROR', async () => {
    expect(await connectTo((cluster) => cluster.on('ApiVersions', always).reply(garbage))).toContain('PROTOCOL_ERROR')
  })

  test('answers a huge length: PROTOCOL_ERROR with the number, and no memory is taken for it', async () => {
    const before = process.memoryUsage().arrayBuffers
    const story = await connectTo((cluster) => cluster.on('ApiVersions', always).reply(hugeLength))
    expect(story).toContain('PROTOCOL_ERROR')
    expect(story).toMatch(/2,?147,?483,?647/)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(500_000_000)
  })

  test('answers a negative length: PROTOCOL_ERROR', async () => {
    expect(await connectTo((cluster) => cluster.on('ApiVersions', always).reply(negativeLength))).toContain(
      'PROTOCOL_ERROR',
    )
  })

  test('answers half a frame and then nothing: the time for setting up runs out', async () => {
    expect(await connectTo((cluster) => cluster.on('ApiVersions', always).rewrite(firstHalf))).toMatch(
      /CONNECTION_FAILED|REQUEST_TIMEOUT|CONNECT_TIMEOUT/,
    )
  })

  test('closes at once: CONNECTION_CLOSED or CONNECTION_FAILED', async () => {
    expect(await connectTo((cluster) => cluster.on('ApiVersions', always).dropBefore())).toMatch(
      /CONNECTION_(CLOSED|FAILED)/,
    )
  })

  test('refuses ApiVersions: the name of its error', async () => {
    expect(
      await connectTo((cluster) => cluster.on('ApiVersions', always).error('CLUSTER_AUTHORIZATION_FAILED')),
    ).toContain('CLUSTER_AUTHORIZATION_FAILED')
  })
})

describe('an answer to Produce that', () => {
  const wrong: [string, (fault: FaultBuilder<'Produce'>) => unknown][] = [
    ['is garbage', (fault) => fault.reply(garbage)],
    ['has a huge length', (fault) => fault.reply(hugeLength)],
    ['has a negative length', (fault) => fault.reply(negativeLength)],
    ['is HTTP', (fault) => fault.reply(httpAnswer)],
    ['belongs to another correlation id', (fault) => fault.rewrite(otherCorrelationId)],
    ['is half a frame, and then the connection ends', (fault) => fault.rewrite(firstHalf, { thenClose: true })],
    ['has a byte too many', (fault) => fault.rewrite(oneByteTooMany)],
    ['claims two billion topics', (fault) => fault.rewrite(twoBillionTopics)],
    ['is nothing but the end of the connection', (fault) => fault.reply(new Uint8Array(0), { thenClose: true })],
  ]

  test.each(wrong)('%s ends the connection; every record arrives once and in order', async (_name, apply) => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster, { batchSize: 300 })
    await producer.send({ topic: 'orders', value: 'first' })
    apply(cluster.on('Produce'))
    const values = numbered('v', 60)
    await Promise.all(values.map((value) => producer.send({ topic: 'orders', value })))
    expect(cluster.values('orders', 0)).toEqual(['first', ...values])
    expect(new Set(cluster.seen('Produce').map((request) => request.connection)).size).toBe(2)
  })

  test('is wrong gives the same cause to everyone who waited on that connection', async () => {
    const cluster = await stage.cluster({ topics: { orders: 3 } })
    const producer = stage.producer(cluster, { retries: 0, lingerMs: 0 })
    await Promise.all([0, 1, 2].map((partition) => producer.send({ topic: 'orders', partition, value: 'first' })))
    cluster.on('Produce').reply(garbage)
    const failures = await Promise.all(
      [0, 1, 2].map((partition) => failureOf(producer.send({ topic: 'orders', partition, value: 'v' }))),
    )
    const causes = failures.map((failure) => wholeStory(failure))
    for (const story of causes) expect(story).toContain('PROTOCOL_ERROR')
    for (const failure of failures) expect(failure.persisted).toBe('possibly')
  })

  test('comes after its request timed out, with more traffic behind it, does no harm', async () => {
    const cluster = await stage.cluster()
    let release: () => void = () => undefined
    const late = new Promise<void>((resolve) => {
      release = resolve
    })
    const producer = stage.producer(cluster, { requestTimeoutMs: 60, deliveryTimeoutMs: 20_000 })
    await producer.send({ topic: 'orders', value: 'first' })
    cluster.on('Produce').delayAnswer(late)
    const sent = producer.send({ topic: 'orders', value: 'second' })
    await cluster.untilSeen('Produce', 3)
    release()
    expect(await sent).toMatchObject({ offset: 1 })
    await producer.send({ topic: 'orders', value: 'third' })
    expect(cluster.values('orders', 0)).toEqual(['first', 'second', 'third'])
  })
})

describe('an answer to a control request that is wrong', () => {
  test.each<[string, Uint8Array]>([
    ['garbage', garbage],
    ['a huge length', hugeLength],
    ['HTTP', httpAnswer],
  ])('%s for Metadata: asked again on a new connection', async (_name, bytes) => {
    const cluster = await stage.cluster()
    cluster.on('Metadata').reply(bytes)
    await stage.producer(cluster).send({ topic: 'orders', value: 'v' })
    expect(cluster.values('orders', 0)).toEqual(['v'])
  })

  test('a Metadata answer without brokers is no answer', async () => {
    const cluster = await stage.cluster()
    cluster.on('Metadata').edit((response) => ({ ...response, brokers: [] }))
    await stage.producer(cluster).send({ topic: 'orders', value: 'v' })
    expect(cluster.values('orders', 0)).toEqual(['v'])
  })

  test('a Metadata answer without partitions is not taken for a topic that can be sent to', async () => {
    const cluster = await stage.cluster()
    cluster.on('Metadata', { topic: 'orders' }).edit((response) => ({
      ...response,
      topics: response.topics.map((topic) => ({ ...topic, partitions: [] })),
    }))
    await stage.producer(cluster).send({ topic: 'orders', value: 'v' })
    expect(cluster.values('orders', 0)).toEqual(['v'])
  })

  test('garbage for InitProducerId: asked again', async () => {
    const cluster = await stage.cluster()
    cluster.on('InitProducerId').reply(garbage)
    await stage.producer(cluster).send({ topic: 'orders', value: 'v' })
    expect(cluster.values('orders', 0)).toEqual(['v'])
  })
})

describe('a Produce answer in which', () => {
  test('a partition is missing: its batch is sent again', async () => {
    const cluster = await stage.cluster({ topics: { orders: 2 } })
    const producer = stage.producer(cluster)
    await Promise.all([0, 1].map((partition) => producer.send({ topic: 'orders', partition, value: 'first' })))
    cluster.on('Produce', { partition: 1 }).omitPartition()
    const results = await Promise.all(
      [0, 1].map((partition) => producer.send({ topic: 'orders', partition, value: 'v' })),
    )
    expect(results.map((result) => result.offset)).toEqual([1, 1])
    expect(cluster.values('orders', 0)).toEqual(['first', 'v'])
    expect(cluster.values('orders', 1)).toEqual(['first', 'v'])
  })

  test('a partition is missing and was not stored either: its batch is sent again', async () => {
    const cluster = await stage.cluster()
    cluster.on('Produce').ignorePartition()
    await stage.producer(cluster).send({ topic: 'orders', value: 'v' })
    expect(cluster.values('orders', 0)).toEqual(['v'])
    expect(cluster.seen('Produce')).toHaveLength(2)
  })

  test('partitions and topics that nobody asked about are passed over', async () => {
    const cluster = await stage.cluster({ topics: { orders: 2 }, versions: { Produce: 12 } })
    cluster.on('Produce').edit((response) => ({
      ...response,
      responses: [
        { ...response.responses[0]!, name: 'nobody' },
        ...response.responses.map((topic) => ({
          ...topic,
          partitionResponses: [
            { ...topic.partitionResponses[0]!, index: 77 },
            ...topic.partitionResponses,
            { ...topic.partitionResponses[0]!, errorCode: 10 },
          ],
        })),
      ],
    }))
    const producer = stage.producer(cluster)
    expect(await producer.send({ topic: 'orders', partition: 0, value: 'v' })).toMatchObject({ offset: 0 })
    await producer.send({ topic: 'orders', partition: 0, value: 'w' })
    expect(cluster.values('orders', 0)).toEqual(['v', 'w'])
  })

  test('an error code that is unknown fails the record as UNKNOWN_SERVER_ERROR and names the number', async () => {
    const cluster = await stage.cluster()
    cluster.on('Produce').edit((response) => ({
      ...response,
      responses: response.responses.map((topic) => ({
        ...topic,
        partitionResponses: topic.partitionResponses.map((partition) => ({ ...partition, errorCode: 999 })),
      })),
    }))
    const error = await failureOf(stage.producer(cluster).send({ topic: 'orders', value: 'v' }))
    expect(error.code).toBe('UNKNOWN_SERVER_ERROR')
    expect(error.message).toContain('999')
  })
})

// The compact count of topics (behind size, correlation id and header tags) becomes the largest there is.
function twoBillionTopics(frame: Buffer): Uint8Array {
  const body = Buffer.concat([frame.subarray(4, 9), Buffer.from('ffffffff07', 'hex'), frame.subarray(10)])
  const size = Buffer.alloc(4)
  size.writeInt32BE(body.length)
  return Buffer.concat([size, body])
}
