// Brokers that die, hang and come back under a stream of keyed records. After each fault: every promise has settled, what was acknowledged
// is in the log where it was said to be, nothing is there twice, and each partition is in the order of the sends. librdkafka reads it back.

import { describe, expect, test } from 'vitest'
import { kafkaError } from '../../src/errors.ts'
import type { RecordMetadata } from '../../src/index.ts'
import { pythonAvailability } from '../support/clients/python.ts'
import { numberedValue, pythonConsume, pythonProduce } from '../support/clients/python-client.ts'
import { mutedDial } from '../support/integration/muted-dial.ts'
import { NO_FAULTS, NumberedStream } from '../support/integration/numbered-stream.ts'
import { useStage } from '../support/integration/stage.ts'
import { describeEachKafka } from '../support/kafka/describe-kafka.ts'
import { until } from '../support/kafka/wait.ts'

const python = pythonAvailability()
if (!python.found) console.log(`what was acknowledged is not read back: skipped, ${python.reason}`)

const WAIT = { timeoutMs: 60_000 }

describeEachKafka(
  ['4.4'],
  (kafka) => {
    const stage = useStage(kafka)

    /** Every replica of every partition is in sync, so that one broker may go. */
    const inSync = (topic: string) =>
      until(`${topic} is in sync`, WAIT, async () => {
        const partitions = await kafka.cluster.partitions(topic)
        return (
          partitions.every(({ replicas, inSyncReplicas }) => inSyncReplicas.length === replicas.length) || undefined
        )
      })

    describe.skipIf(!kafka.controlsNodes || !python.found)('of three brokers', () => {
      test('the leader is killed: all that was sent is in the log once and in order', async () => {
        const { cluster } = kafka
        const topic = await cluster.newTopic(6)
        const victim = await cluster.leaderOf(topic, 0)
        const producer = stage.producer()
        const stream = new NumberedStream(producer, topic)
        await stream.untilAcknowledged(300)
        stream.send(5_000) // so that some are on their way to it
        await turn()
        await stream.during(cluster.kill(victim))
        try {
          expect(await stream.during(cluster.leaderOf(topic, 0))).not.toBe(victim)
          await stream.untilAcknowledged(300)
        } finally {
          await stream.during(cluster.start(victim))
        }
        await stream.during(inSync(topic))
        await stream.settled()
        expect(stream.errors).toEqual([])
        expect(producer.metrics().recordRetryTotal).toBeGreaterThan(0)
        expect(await stream.compareWithLog(cluster.bootstrapServers)).toEqual(NO_FAULTS)
      })

      test('the leader hangs for longer than requestTimeoutMs and goes on: all is in the log once and in order', async () => {
        const { cluster } = kafka
        const topic = await cluster.newTopic(6)
        const victim = await cluster.leaderOf(topic, 0)
        const producer = stage.producer({ requestTimeoutMs: 1_500 })
        const stream = new NumberedStream(producer, topic)
        await stream.untilAcknowledged(300)
        await cluster.pause(victim)
        try {
          await stream.during(until('a request times out', WAIT, () => timedOut() > 0 || undefined))
          await stream.during(
            until('another broker leads', WAIT, async () => {
              const [first] = await producer.partitionsFor(topic)
              return first!.leader !== victim || undefined
            }),
          )
          await stream.untilAcknowledged(300)
        } finally {
          await cluster.resume(victim)
        }
        await stream.during(inSync(topic))
        await stream.settled()
        expect(stream.errors).toEqual([])
        expect(await stream.compareWithLog(cluster.bootstrapServers)).toEqual(NO_FAULTS)
      })

      test('all are killed and start again within deliveryTimeoutMs: all is in the log once and in order', async () => {
        const { cluster } = kafka
        const topic = await cluster.newTopic(6)
        const nodeIds = cluster.nodes.map(({ nodeId }) => nodeId)
        const producer = stage.producer()
        const stream = new NumberedStream(producer, topic)
        await stream.untilAcknowledged(300)
        stream.send(5_000)
        await turn()
        await stream.during(Promise.all(nodeIds.map((nodeId) => cluster.kill(nodeId))))
        await stream.during(Promise.all(nodeIds.map((nodeId) => cluster.start(nodeId))))
        await stream.untilAcknowledged(300)
        await stream.during(inSync(topic))
        await stream.settled()
        expect(stream.errors).toEqual([])
        expect(producer.metrics().recordRetryTotal).toBeGreaterThan(0)
        expect(await stream.compareWithLog(cluster.bootstrapServers)).toEqual(NO_FAULTS)
      })

      test('one after the other restarts: all is in the log once and in order, and so it is in the topic made again', async () => {
        const { cluster } = kafka
        const topic = await cluster.newTopic(6)
        const stream = new NumberedStream(stage.producer(), topic)
        await stream.untilAcknowledged(300)
        for (const { nodeId } of cluster.nodes) {
          await stream.during(cluster.stop(nodeId))
          await stream.during(cluster.start(nodeId))
          await stream.during(inSync(topic))
        }
        await stream.settled()
        expect(stream.errors).toEqual([])
        expect(await stream.compareWithLog(cluster.bootstrapServers)).toEqual(NO_FAULTS)

        // Its partitions begin at leader epoch 0 again, while those that the producer knows have been led by several.
        await stream.during(cluster.deleteTopic(topic))
        await stream.during(cluster.createTopic(topic, 6))
        const since = stream.sentCount
        await stream.untilAcknowledged(300)
        await stream.settled()
        expect(stream.errors).toEqual([])
        expect(await stream.compareWithLog(cluster.bootstrapServers, since)).toEqual(NO_FAULTS)
      })

      const timedOut = () =>
        stage.log.lines.filter(({ message, fields }) => /REQUEST_TIMEOUT/.test(message + JSON.stringify(fields))).length
    })
  },
  { brokers: 3 },
)

describeEachKafka(['4.4'], (kafka) => {
  const stage = useStage(kafka)

  test.skipIf(!python.found)(
    'the comparison with the log finds what is lost, doubled, out of order, denied or strange',
    async () => {
      const { cluster } = kafka
      const topic = await cluster.newTopic(1)
      const values = [0, 1, 1, 3, 2, 4].map((number) => numberedValue(number, 40))
      const records = [...values, '5 damaged', 'never sent'].map((value) => ({ value }))
      await pythonProduce(cluster.bootstrapServers, topic, records)
      const offsets = [0, 1, 4, 3, undefined, 6, 7]
      const sayings = offsets.values()
      const send = async (): Promise<RecordMetadata> => {
        const offset = sayings.next().value
        if (offset === undefined) throw kafkaError('CLOSED', 'said not to be in the log', { persisted: 'no' })
        return { topic, partition: 0, offset, timestamp: 0, serializedKeySize: 0, serializedValueSize: 0 }
      }
      const stream = new NumberedStream({ send }, topic)
      stream.send(offsets.length)
      await stream.settled()
      // Lost are 5 and 6: other bytes are where they should be.
      expect(await stream.compareWithLog(cluster.bootstrapServers)).toEqual({
        lost: 2,
        doubled: 1,
        outOfOrder: 1,
        denied: 1,
        strange: 2,
      })
    },
  )

  describe.skipIf(!kafka.controlsNodes || !python.found)('the only broker', () => {
    const nodeId = 1

    test('is killed and starts again: all is in the log once and in order', async () => {
      const { cluster } = kafka
      const topic = await cluster.newTopic(3)
      const producer = stage.producer()
      const stream = new NumberedStream(producer, topic)
      await stream.untilAcknowledged(300)
      stream.send(5_000)
      await turn()
      await stream.during(cluster.kill(nodeId))
      await stream.during(cluster.start(nodeId))
      await stream.untilAcknowledged(300)
      await stream.settled()
      expect(stream.errors).toEqual([])
      expect(producer.metrics().recordRetryTotal).toBeGreaterThan(0)
      expect(await stream.compareWithLog(cluster.bootstrapServers)).toEqual(NO_FAULTS)
    })

    test.each(['stop', 'kill'] as const)(
      'stores five batches, loses their answers, restarts (%s) and remembers the last alone: each is in the log once',
      async (end) => {
        const { cluster } = kafka
        const topic = await cluster.newTopic(1)
        const network = mutedDial()
        const producer = stage.producer({ dial: network.dial, batchSize: 1 })
        await producer.send({ topic, value: 'first' })
        network.isMuted = true
        const values = ['a', 'b', 'c', 'd', 'e']
        const sent = values.map((value) => producer.send({ topic, value }))
        await until('all are stored', WAIT, async () => (await cluster.endOffsets(topic))[0] === 6 || undefined)
        await cluster[end](nodeId)
        network.isMuted = false
        await cluster.start(nodeId)
        // It answers the first four as if they had never come.
        expect((await Promise.all(sent)).map(({ offset }) => offset)).toEqual([-1, -1, -1, -1, 5])
        expect(await producer.send({ topic, value: 'last' })).toMatchObject({ offset: 6 })
        const stored = await pythonConsume(cluster.bootstrapServers, topic)
        expect(stored.map(({ value }) => `${value}`)).toEqual(['first', ...values, 'last'])
      },
    )

    test('hangs for longer than deliveryTimeoutMs: what fails says truly whether it can be in the log', async () => {
      const { cluster } = kafka
      const topic = await cluster.newTopic(3)
      const producer = stage.producer({ requestTimeoutMs: 1_000, deliveryTimeoutMs: 2_000 })
      const stream = new NumberedStream(producer, topic)
      await stream.untilAcknowledged(300)
      stream.send(5_000)
      await turn()
      await cluster.pause(nodeId)
      try {
        await stream.during(until('records expire', WAIT, () => stream.errors.length > 5_300 || undefined))
      } finally {
        await cluster.resume(nodeId)
      }
      await stream.untilAcknowledged(300)
      await stream.settled()
      expect(new Set(stream.errors.map(({ code }) => code))).toEqual(new Set(['DELIVERY_TIMEOUT']))
      expect(new Set(stream.errors.map(({ persisted }) => persisted))).toEqual(new Set(['possibly', 'no']))
      expect(await stream.compareWithLog(cluster.bootstrapServers)).toEqual(NO_FAULTS)
    })

    test.each([
      ['acks 1', { acks: 1 }],
      ['acks all', { acks: 'all' }],
    ] as const)(
      'is killed under a producer with %s that may not retry: what was acknowledged is there, and nothing twice',
      async (_name, acks) => {
        const { cluster } = kafka
        const topic = await cluster.newTopic(3)
        const producer = stage.producer({ ...acks, retries: 0 })
        const stream = new NumberedStream(producer, topic)
        await stream.untilAcknowledged(300)
        stream.send(5_000)
        await turn()
        await stream.during(cluster.kill(nodeId))
        await stream.during(cluster.start(nodeId))
        await stream.untilAcknowledged(300)
        await stream.settled()
        expect(stream.errors.length).toBeGreaterThan(0)
        expect(await stream.compareWithLog(cluster.bootstrapServers)).toEqual(NO_FAULTS)
      },
    )
  })
})

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
