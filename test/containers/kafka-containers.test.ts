// Kafka in containers through Testcontainers: started, written to, killed, started again, read back. Once by the project's own helper
// (which is also where the other tests get their Kafka on a machine without Java), once by @testcontainers/kafka as its users have it.

import { KafkaContainer } from '@testcontainers/kafka'
import { Wait } from 'testcontainers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { consoleConsume, dumpLog } from '../support/clients/kafka-tools.ts'
import { createTopic, endOffsets } from '../support/kafka/admin.ts'
import { disownContainer, ownContainer } from '../support/kafka/belongings.ts'
import type { KafkaCluster } from '../support/kafka/cluster.ts'
import { dockerAvailability, kafkaImage } from '../support/kafka/docker-image.ts'
import { startKafkaInDocker } from '../support/kafka/start-kafka.ts'

const VERSION = '4.3'
const docker = dockerAvailability()
if (!docker.found) console.log(`Kafka in containers: skipped, ${docker.reason}`)

describe.skipIf(!docker.found)('a Kafka container', () => {
  let kafka: KafkaCluster
  beforeAll(async () => {
    kafka = await startKafkaInDocker({ version: VERSION })
  })
  afterAll(() => kafka?.stopAll())

  const write = (topic: string, lines: readonly string[]) =>
    kafka.runTool('consoleProducer', ['--bootstrap-server', kafka.toolBootstrapServers, '--topic', topic], {
      input: lines.map((line) => `${line}\n`).join(''),
    })

  test('serves under a port of this machine, and its log reads back intact', async () => {
    const topic = await kafka.newTopic(1)
    await write(topic, ['one', 'two'])
    expect(await kafka.endOffsets(topic)).toEqual([2])
    const records = await consoleConsume(kafka, topic, { partition: 0 })
    expect(records.map(({ value }) => value)).toEqual(['one', 'two'])
    const batches = await dumpLog(kafka, 1, topic, 0)
    expect(batches.map(({ isValid, magic }) => ({ isValid, magic }))).toEqual(
      batches.map(() => ({ isValid: true, magic: 2 })),
    )
    expect(batches.flatMap((batch) => batch.records.map(({ value }) => value))).toEqual(['one', 'two'])
  })

  test('keeps what was acknowledged when it is killed, and comes back under the same address', async () => {
    const topic = await kafka.newTopic(1)
    await write(topic, ['kept'])
    const { bootstrapServers } = kafka
    await kafka.kill(1)
    await kafka.start(1)
    expect(kafka.bootstrapServers).toBe(bootstrapServers)
    expect(await kafka.endOffsets(topic)).toEqual([1])
    const records = await consoleConsume(kafka, topic, { partition: 0 })
    expect(records.map(({ value }) => value)).toEqual(['kept'])
  })

  test('can be paused and goes on where it was', async () => {
    const topic = await kafka.newTopic(1)
    await kafka.pause(1)
    await expect(kafka.endOffsets(topic)).rejects.toThrow('no node of the cluster is running')
    await kafka.resume(1)
    expect(await kafka.endOffsets(topic)).toEqual([0])
  })
})

describe.skipIf(!docker.found)('KafkaContainer of @testcontainers/kafka', () => {
  test('serves, and what is written into it is there', async () => {
    const container = await new KafkaContainer(await kafkaImage(VERSION, 'confluent'))
      .withWaitStrategy(Wait.forLogMessage(/Kafka Server started/))
      .start()
    ownContainer(container.getId())
    try {
      const address = { host: container.getHost(), port: container.getMappedPort(9093) }
      await createTopic([address], 'orders', 3)
      const produce = ['kafka-console-producer', '--bootstrap-server', 'localhost:9092', '--topic', 'orders']
      const written = await container.exec(['sh', '-c', `echo one | ${produce.join(' ')}`])
      expect(written).toMatchObject({ exitCode: 0 })
      expect((await endOffsets([address], 'orders')).reduce((sum, end) => sum + end)).toBe(1)
    } finally {
      await container.stop()
      disownContainer(container.getId())
    }
  })
})
