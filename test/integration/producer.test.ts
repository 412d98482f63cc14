// The producer against every supported release of Kafka: what it writes is read back by Kafka's own tools and by librdkafka, byte for
// byte, and compared with what its promises said.

import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { describe, expect, test } from 'vitest'
import type { ProducerOptions, ProducerRecord, RecordMetadata } from '../../src/index.ts'
import { consoleConsume, type DumpedBatch, dumpLog } from '../support/clients/kafka-tools.ts'
import { pythonAvailability } from '../support/clients/python.ts'
import { pythonConsume, pythonProduce } from '../support/clients/python-client.ts'
import { NO_FAULTS, NumberedStream } from '../support/integration/numbered-stream.ts'
import { recordKinds, type StoredRecord } from '../support/integration/record-kinds.ts'
import { failureOf, numbered, useStage } from '../support/integration/stage.ts'
import { describeEachKafka } from '../support/kafka/describe-kafka.ts'
import { KAFKA_VERSIONS, type KafkaVersion } from '../support/kafka/versions.ts'
import { until } from '../support/kafka/wait.ts'

const python = pythonAvailability()
if (!python.found) console.log(`reading back by confluent-kafka: skipped, ${python.reason}`)

const WAIT = { timeoutMs: 60_000 }

describeEachKafka(KAFKA_VERSIONS, (kafka) => {
  const stage = useStage(kafka)
  const consume = (topic: string) => pythonConsume(kafka.cluster.bootstrapServers, topic)

  /** What the leader has of a partition on disk, all of it sound by Kafka's own judgement. Nothing where its disk is out of reach. */
  async function batchesOf(topic: string, partition: number): Promise<DumpedBatch[]> {
    if (!kafka.controlsNodes) return []
    const batches = await dumpLog(kafka.cluster, await kafka.cluster.leaderOf(topic, partition), topic, partition)
    expect(batches).not.toEqual([])
    for (const batch of batches) {
      const { isTransactional, isControl, isValid, magic, compression } = batch
      expect({ isTransactional, isControl, isValid, magic, compression }).toEqual({
        ...{ isTransactional: false, isControl: false },
        ...{ isValid: true, magic: 2, compression: 'none' },
      })
    }
    return batches
  }

  describe('what is sent is in the log', () => {
    test.skipIf(!python.found)('every kind of record, byte for byte and where the promise says', async () => {
      const topic = await kafka.cluster.newTopic(3, { config: timestampsOfAnyAge(kafka.version) })
      const producer = stage.producer()
      const before = Date.now()
      const together = recordKinds.map(({ record }) => producer.send({ topic, partition: 0, ...record }))
      const alone: RecordMetadata[] = []
      for (const { record } of recordKinds) alone.push(await producer.send({ topic, partition: 1, ...record }))
      const printable = recordKinds.filter(({ isText }) => isText)
      const printed = await producer.sendMany(printable.map(({ record }) => ({ topic, partition: 2, ...record })))
      const metadata = [...(await Promise.all(together)), ...alone, ...printed]
      const after = Date.now()

      const kinds = [...recordKinds, ...recordKinds, ...printable]
      const offsets = [...recordKinds.keys(), ...recordKinds.keys(), ...printable.keys()]
      expect(metadata.map(({ offset }) => offset)).toEqual(offsets)
      for (const [index, { timestamp, ...sizes }] of metadata.entries()) {
        const { what, stored } = kinds[index]!
        expect(sizes, what).toMatchObject({
          serializedKeySize: stored.key?.length ?? -1,
          serializedValueSize: stored.value?.length ?? -1,
        })
        if (stored.timestamp !== undefined) expect(timestamp, what).toBe(stored.timestamp)
        else expect(timestamp >= before && timestamp <= after, what).toBe(true)
      }

      const [consumed, lines, ...dumps] = await Promise.all([
        consume(topic),
        consoleConsume(kafka.cluster, topic, { partition: 2 }),
        batchesOf(topic, 0),
        batchesOf(topic, 1),
      ])
      consumed.sort((a, b) => a.partition - b.partition)
      expect(consumed).toHaveLength(kinds.length)
      for (const [index, record] of consumed.entries()) {
        const { what, stored } = kinds[index]!
        const { partition, offset, timestamp } = metadata[index]!
        const { key, value, headers } = stored
        expect(record, what).toEqual({
          ...{ topic, partition, offset, timestamp, timestampType: 'CreateTime' },
          ...{ key, value, headers },
        })
      }
      expect(lines).toEqual(printable.map(({ stored }, index) => asPrinted(stored, printed[index]!)))

      for (const batches of dumps) expectSequences(batches)
    })

    const modes: Readonly<Record<string, Partial<ProducerOptions>>> = {
      'the defaults': {},
      'acks 1': { acks: 1 },
      'acks 0': { acks: 0 },
      'no idempotence': { acks: -1, enableIdempotence: false },
      'no retries': { retries: 0 },
      'one request in flight': { maxInFlightRequestsPerConnection: 1 },
      'a batch for each record': { batchSize: 1 },
      'small batches': { batchSize: 512 },
      'a linger': { lingerMs: 20 },
      'little memory': { bufferMemory: 8_192, batchSize: 1_024 },
    }

    test.skipIf(!python.found)('with every acks, with idempotence and without, with any batches', async () => {
      const names = Object.keys(modes)
      const topic = await kafka.cluster.newTopic(names.length)
      const values = numbered('value', 200)
      const answers = await Promise.all(
        names.map(async (name, partition) => {
          const producer = stage.producer(modes[name])
          const results = await Promise.all(values.map((value) => producer.send({ topic, partition, value })))
          return results.map(({ offset }) => offset)
        }),
      )
      // Nobody said that these have arrived.
      await until('the records with acks 0 arrive', WAIT, async () => {
        const ends = await kafka.cluster.endOffsets(topic)
        return ends.every((end) => end >= values.length) || undefined
      })
      const [consumed, small, unnumbered] = await Promise.all([
        consume(topic),
        batchesOf(topic, names.indexOf('small batches')),
        batchesOf(topic, names.indexOf('no idempotence')),
      ])
      for (const [partition, name] of names.entries()) {
        const stored = consumed.filter((record) => record.partition === partition).map(({ value }) => `${value}`)
        expect(stored, name).toEqual(values)
        expect(answers[partition], name).toEqual(name === 'acks 0' ? values.map(() => -1) : [...values.keys()])
      }
      expectSequences(small)
      for (const { size } of small) expect(size).toBeLessThanOrEqual(512)
      for (const batch of unnumbered) {
        expect(batch).toMatchObject({ producerId: -1, producerEpoch: -1, baseSequence: -1 })
      }
    })

    test("with the broker's time where the topic asks for LogAppendTime", async () => {
      const topic = await kafka.cluster.newTopic(1, { config: { 'message.timestamp.type': 'LogAppendTime' } })
      const producer = stage.producer()
      const before = Date.now()
      const sent = await producer.sendMany(
        [0, 981_173_106_789, undefined].map((timestamp) => ({ topic, value: `${timestamp}`, timestamp })),
      )
      for (const { timestamp } of sent) expect(timestamp).toBeGreaterThanOrEqual(before)
      const lines = await consoleConsume(kafka.cluster, topic, { partition: 0 })
      expect(lines.map(({ timestampType, timestamp }) => [timestampType, timestamp])).toEqual(
        sent.map(({ timestamp }) => ['LogAppendTime', timestamp]),
      )
    })

    test('but for the one record that the broker refuses for its timestamp; the rest of its batch is there in order', async () => {
      const topic = await kafka.cluster.newTopic(1, { config: timestampsOfThisHour(kafka.version) })
      const producer = stage.producer()
      const day = 86_400_000
      const sent = numbered('value', 10).map((value, index) =>
        producer.send({ topic, value, ...(index === 4 ? { timestamp: Date.now() + day } : {}) }),
      )
      const refused = await failureOf(sent.splice(4, 1)[0]!)
      expect(refused).toMatchObject({ code: 'INVALID_TIMESTAMP', persisted: 'no', topic, partition: 0 })
      expect((await Promise.all(sent)).map(({ offset }) => offset)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8])
      expect(await kafka.cluster.endOffsets(topic)).toEqual([9])
      expectSequences(await batchesOf(topic, 0))
    })
  })

  describe('the partition', () => {
    // Beyond ASCII, and of every length modulo 4, which is how murmur2 reads them.
    const keys = [
      ...numbered('key', 40),
      ...numbered('schlüssel', 20),
      'a',
      'ab',
      'abc',
      '値',
      '🙂'.repeat(9),
      'x'.repeat(999),
    ]

    /** Keyed records in two lots: the first is taken before the topic is known, the second after. */
    async function placesOf(topic: string, options: Partial<ProducerOptions>): Promise<Map<string, number>> {
      const producer = stage.producer(options)
      const records = keys.map((key) => ({ topic, key, value: key }))
      const [first, second] = [await producer.sendMany(records), await producer.sendMany(records)]
      const places = first.map(({ partition }) => partition)
      expect(second.map(({ partition }) => partition)).toEqual(places)
      return new Map(keys.map((key, index) => [key, places[index]!]))
    }

    test.skipIf(!python.found)(
      "of a key is that of Java's producer, and with 'consistentRandom' that of librdkafka",
      async () => {
        const { cluster } = kafka
        const { toolBootstrapServers, toolRelease } = cluster
        const [java, librdkafka] = [await cluster.newTopic(7), await cluster.newTopic(7)]
        const where = ['--bootstrap-server', toolBootstrapServers, '--topic', java]
        const records = keys.map((key) => ({ key, value: 'librdkafka' }))
        await Promise.all([
          cluster.runTool('consoleProducer', [...where, toolRelease.toolOptions.reader, 'parse.key=true'], {
            input: keys.map((key) => `${key}\tJava\n`).join(''),
          }),
          pythonProduce(cluster.bootstrapServers, librdkafka, records),
        ])
        for (const [topic, options] of [
          [java, {}],
          [librdkafka, { partitioner: 'consistentRandom' }],
        ] as const) {
          const ours = await placesOf(topic, options)
          const stored = await consume(topic)
          expect(stored).toHaveLength(keys.length * 3)
          for (const { key, value, partition } of stored) expect(partition, `${value} ${key}`).toBe(ours.get(`${key}`))
        }
      },
    )

    test('of a record without a key is as the partitioner says', async () => {
      const topic = await kafka.cluster.newTopic(4)
      const tally = [0, 0, 0, 0]
      const place = async (options: Partial<ProducerOptions>, count: number, record: Partial<ProducerRecord> = {}) => {
        const records = numbered('value', count).map((value) => ({ topic, value, ...record }))
        const results = await stage.producer(options).sendMany(records)
        for (const { partition, offset } of results) expect(offset).toBe(tally[partition]!++)
        return results.map(({ partition }) => partition)
      }
      const inTurn = await place({ partitioner: 'roundRobin' }, 12)
      for (const [index, partition] of inTurn.entries()) expect(partition).toBe((inTurn[0]! + index) % 4)
      expect(new Set(await place({ partitioner: 'random' }, 200, { key: 'same' })).size).toBe(4)
      expect(new Set(await place({ partitioner: 'consistentRandom' }, 200)).size).toBe(4)
      expect(
        new Set(await place({ partitionerIgnoreKeys: true, batchSize: 256 }, 200, { key: 'same' })).size,
      ).toBeGreaterThan(1)
      // One partition for as many bytes as a batch holds.
      expect(new Set(await place({}, 10)).size).toBe(1)
      const asked: unknown[] = []
      const byFunction = await place(
        {
          partitioner: (name, keyBytes, record, partitions) => {
            asked.push([name, `${keyBytes}`, (record as ProducerRecord).value, partitions.length])
            return partitions.at(-1)!.partition
          },
        },
        2,
        { key: 'k' },
      )
      expect(byFunction).toEqual([3, 3])
      expect(asked).toEqual([
        [topic, 'k', 'value-0', 4],
        [topic, 'k', 'value-1', 4],
      ])
      expect(await kafka.cluster.endOffsets(topic)).toEqual(tally)
    })
  })

  describe('every member', () => {
    test('connect, partitionsFor and health know the cluster', async () => {
      const topic = await kafka.cluster.newTopic(3)
      const producer = stage.producer()
      expect(producer.health()).toMatchObject({ state: 'open', brokersKnown: 0, lastSuccessAt: null })
      await producer.connect()
      const { length } = kafka.cluster.nodes
      expect(producer.health()).toMatchObject({ brokersKnown: length, brokersReachable: length, lastError: null })
      const known = await kafka.cluster.partitions(topic)
      expect(await producer.partitionsFor(topic)).toEqual(
        known.map((partition) => ({ topic, ...partition, offlineReplicas: [] })),
      )
    })

    test('send, sendMany, enqueue, writable, flush and close bring records into the log; metrics count them', async () => {
      const topic = await kafka.cluster.newTopic(1)
      const before = Date.now()
      const producer = stage.producer({ lingerMs: 60_000, deliveryTimeoutMs: 120_000 })
      const sent = producer.send({ topic, value: 'send' })
      const delivered = new Promise((resolve, reject) => {
        const onDelivery = (error: Error | null, metadata: RecordMetadata | null, context: string) =>
          error === null ? resolve([metadata!.offset, context]) : reject(error)
        expect(producer.enqueue({ topic, value: 'enqueue' }, onDelivery, 'context')).toBe(true)
      })
      const many = producer.sendMany(['sendMany 0', 'sendMany 1'].map((value) => ({ topic, value })))
      await producer.ready()
      // Nothing of it has left yet: flush does not wait for the linger.
      expect(await producer.flush()).toEqual({ delivered: 4, failed: 0 })
      expect(await sent).toMatchObject({ topic, partition: 0, offset: 0 })
      expect(await delivered).toEqual([1, 'context'])
      expect((await many).map(({ offset }) => offset)).toEqual([2, 3])

      const impatient = stage.producer()
      await pipeline(Readable.from(['writable 0', 'writable 1']), impatient.writable({ topic }))
      await pipeline(Readable.from([{ topic, value: 'writable 2' }]), impatient.writable())
      const last = producer.send({ topic, value: 'close' })
      expect(await producer.close()).toEqual({ delivered: 1, failed: 0, abandoned: 0 })
      expect(await last).toMatchObject({ offset: 7 })
      expect(await failureOf(producer.send({ topic, value: 'too late' }))).toMatchObject({
        code: 'CLOSED',
        persisted: 'no',
      })

      const lines = await consoleConsume(kafka.cluster, topic, { partition: 0 })
      expect(lines.map(({ value }) => value)).toEqual([
        ...['send', 'enqueue', 'sendMany 0', 'sendMany 1'],
        ...['writable 0', 'writable 1', 'writable 2', 'close'],
      ])
      const health = producer.health()
      expect(health).toMatchObject({ state: 'closed', fatalError: null, bufferUsed: 0, oldestUnsettledMs: 0 })
      expect(health.lastSuccessAt).toBeGreaterThanOrEqual(before)
      const metrics = producer.metrics()
      expect(metrics).toMatchObject({
        recordSendTotal: 5,
        recordDeliveredTotal: 5,
        recordErrorTotal: 1, // the one that came too late
        recordsPending: 0,
      })
      expect(metrics.topics[topic]).toMatchObject({ recordSendTotal: 5, recordDeliveredTotal: 5 })
      expect(metrics.requestLatencyAvg).toBeGreaterThan(0)
      expect(metrics.deliveryTime.p99).toBeGreaterThan(0)
      const [broker] = Object.entries(metrics.brokers).filter(([nodeId]) => nodeId !== 'bootstrap')
      expect(broker![1].responseTotal).toBe(2)
    })
  })

  describe('a topic', () => {
    test('that does not exist is named, with one that may have been meant; made between two sends it is used', async () => {
      const near = await kafka.cluster.newTopic(1)
      const topic = `${near}x`
      const producer = stage.producer({ maxBlockMs: 1_000, allowAutoTopicCreation: kafka.controlsNodes })
      await producer.connect()
      const error = await failureOf(producer.send({ topic, value: 'v' }))
      expect(error).toMatchObject({ code: 'UNKNOWN_TOPIC_OR_PARTITION', topic, persisted: 'no' })
      expect(error.hint).toBe(`Did you mean ${near}?`)
      await kafka.cluster.createTopic(topic, 1)
      expect(await producer.send({ topic, value: 'v' })).toMatchObject({ topic, offset: 0 })
    })

    test('that is made while records wait for it gets them', async () => {
      const topic = `${await kafka.cluster.newTopic(1)}-later`
      const producer = stage.producer({ allowAutoTopicCreation: kafka.controlsNodes })
      const waiting = numbered('value', 10).map((value) => producer.send({ topic, partition: 1, value }))
      await kafka.cluster.createTopic(topic, 2)
      expect((await Promise.all(waiting)).map(({ offset }) => offset)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
      expect(await kafka.cluster.endOffsets(topic)).toEqual([0, 10])
    })

    test('that takes less than a record fails this one, and says what to raise', async () => {
      const topic = await kafka.cluster.newTopic(1, { config: { 'max.message.bytes': '10000' } })
      const error = await failureOf(stage.producer().send({ topic, value: Buffer.alloc(20_000) }))
      expect(error).toMatchObject({ code: 'MESSAGE_TOO_LARGE', topic, partition: 0, persisted: 'no', retriable: false })
      expect(error.hint).toMatch(/takes 200\d\d bytes .* raise max\.message\.bytes of topic test-/)
      expect(await kafka.cluster.endOffsets(topic)).toEqual([0])
    })

    test('that takes less than a batch gets it in pieces, in order, without the one record that alone is too large', async () => {
      const topic = await kafka.cluster.newTopic(1, { config: { 'max.message.bytes': '10000' } })
      const producer = stage.producer()
      const values = numbered('value', 150).map((value) => value.padEnd(1_000, '.'))
      const sent = values.map((value, index) =>
        producer.send({ topic, value: index === 70 ? value.repeat(20) : value }),
      )
      expect(await failureOf(sent[70]!)).toMatchObject({ code: 'MESSAGE_TOO_LARGE', persisted: 'no' })
      const stored = values.toSpliced(70, 1)
      const offsets = (await Promise.all(sent.toSpliced(70, 1))).map(({ offset }) => offset)
      expect(offsets).toEqual([...stored.keys()])
      expect(producer.metrics().batchSplitTotal).toBeGreaterThan(0)
      const [lines, batches] = await Promise.all([
        consoleConsume(kafka.cluster, topic, { partition: 0 }),
        batchesOf(topic, 0),
      ])
      expect(lines.map(({ value }) => value)).toEqual(stored)
      expectSequences(batches)
    })

    test.skipIf(!python.found)('that grows under a stream loses nothing, and its new partitions are used', async () => {
      const topic = await kafka.cluster.newTopic(2)
      const producer = stage.producer({ metadataMaxAgeMs: 200 })
      const stream = new NumberedStream(producer, topic)
      await stream.untilAcknowledged(200)
      await stream.during(kafka.cluster.addPartitions(topic, 5))
      await stream.during(until('all five are used', WAIT, () => stream.partitionsSince(0).size === 5 || undefined))
      await stream.settled()
      expect(stream.errors).toEqual([])
      expect(await stream.compareWithLog(kafka.cluster.bootstrapServers)).toEqual(NO_FAULTS)
    })

    test('that lacks a partition keeps the records for it until it is there, or for maxBlockMs', async () => {
      const topic = await kafka.cluster.newTopic(1)
      const patient = stage.producer().send({ topic, partition: 2, value: 'v' })
      const impatient = stage.producer({ maxBlockMs: 1_000 })
      await impatient.partitionsFor(topic)
      const error = await failureOf(impatient.send({ topic, partition: 3, value: 'v' }))
      expect(error).toMatchObject({ code: 'INVALID_PARTITION', topic, partition: 3, persisted: 'no' })
      await kafka.cluster.addPartitions(topic, 3)
      expect(await patient).toMatchObject({ partition: 2, offset: 0 })
    })

    test.skipIf(!python.found).each([
      ['fewer', 4, 2],
      ['more', 2, 4],
    ])('that is deleted and made again with %s partitions under a stream goes on', async (_name, before, after) => {
      const { cluster } = kafka
      const topic = await cluster.newTopic(before)
      const producer = stage.producer({ maxBlockMs: 3_000, metadataMaxAgeMs: 500 })
      const stream = new NumberedStream(producer, topic)
      await stream.untilAcknowledged(200)
      await stream.during(cluster.deleteTopic(topic))
      await stream.during(
        until(`${topic} is made again`, WAIT, async () => {
          // With ZooKeeper a topic that nobody sees any more may still be on its way out.
          await cluster.createTopic(topic, after).catch((cause) => Promise.reject(new Error('not yet', { cause })))
          return true
        }),
      )
      const since = stream.sentCount
      await stream.untilAcknowledged(300)
      await stream.during(until('all are used', WAIT, () => stream.partitionsSince(since).size === after || undefined))
      await stream.settled()
      // What was for a partition that is gone waited for it in vain; all else waited for the topic to come back.
      const codes = new Set(stream.errors.map(({ code }) => code))
      expect([...codes]).toEqual(after < before ? ['INVALID_PARTITION'] : [])
      expect(await stream.compareWithLog(cluster.bootstrapServers, since)).toEqual(NO_FAULTS)
    })
  })
})

/** One producer id, and sequences without a gap: each epoch begins at 0, and the next one comes only where a record was refused. */
function expectSequences(batches: readonly DumpedBatch[]): void {
  let expected = { producerId: batches[0]?.producerId, producerEpoch: 0, baseSequence: 0 }
  for (const { producerId, producerEpoch, baseSequence, lastSequence, count } of batches) {
    if (producerEpoch > expected.producerEpoch) {
      expected = { producerId, producerEpoch: expected.producerEpoch + 1, baseSequence: 0 }
    }
    expect({ producerId, producerEpoch, baseSequence }).toEqual(expected)
    expect(producerId).toBeGreaterThanOrEqual(0)
    expect(lastSequence - baseSequence).toBe(count - 1)
    expected = { producerId, producerEpoch, baseSequence: lastSequence + 1 }
  }
}

function asPrinted({ key, value, headers }: StoredRecord, { partition, offset, timestamp }: RecordMetadata) {
  const pairs = headers.map(([name, content]) => `${name}:${content ?? '\u2400'}`)
  return {
    ...{ timestampType: 'CreateTime', timestamp, partition, offset },
    headers: pairs.length === 0 ? 'NO_HEADERS' : pairs.join(','),
    key: key?.toString() ?? null,
    value: value?.toString() ?? null,
  }
}

/** From 4.0 on a timestamp may be an hour ahead unless the topic says otherwise; and old ones are deleted when the topic keeps nothing. */
function timestampsOfAnyAge(version: KafkaVersion | undefined): Record<string, string> {
  const keepAll = { 'retention.ms': '-1' }
  return version === '2.8' ? keepAll : { ...keepAll, 'message.timestamp.after.max.ms': '9223372036854775807' }
}

function timestampsOfThisHour(version: KafkaVersion | undefined): Record<string, string> {
  return { [version === '2.8' ? 'message.timestamp.difference.max.ms' : 'message.timestamp.after.max.ms']: '3600000' }
}
