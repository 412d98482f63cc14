// Kafka in containers through Testcontainers: started, produced to, killed, started again, read back. Once by the project's own helper
// (which is also where the other tests get their Kafka on a machine without Java), once by @testcontainers/kafka as its users have it.

import { KafkaContainer } from '@testcontainers/kafka'
import { Wait } from 'testcontainers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Producer } from '../../src/index.ts'
import { consoleConsume, dumpLog } from '../support/clients/kafka-tools.ts'
import { createTopic } from '../support/kafka/admin.ts'
import { disownContainer, ownContainer } from '../support/kafka/belongings.ts'
import type { KafkaCluster } from '../support/kafka/cluster.ts'
import { dockerAvailability, kafkaImage } from '../support/kafka/docker-image.ts'
import { startKafkaInDocker } from '../support/kafka/start-kafka.ts'
import { RecordingLog } from '../support/recording-log.ts'

const VERSION = '4.3'
const docker = dockerAvailability()
if (!docker.found) console.log(`Kafka in containers: skipped, ${docker.reason}`)

describe.skipIf(!docker.found)(`Kafka ${VERSION} in a container`, () => {
  let kafka: KafkaCluster
  beforeAll(async () => {
    kafka = await startKafkaInDocker({ version: VERSION })
  })
  afterAll(() => kafka?.stopAll())

  test('takes keyed records under a port of this machine, and its log is valid', async () => {
    const topic = await kafka.newTopic(1)
    await using producer = new Producer({ bootstrapServers: kafka.bootstrapServers })
    const sends = ['one', 'two', 'three'].map((value) => producer.send({ topic, key: 'k', value }))
    expect((await Promise.all(sends)).map(({ partition, offset }) => [partition, offset])).toEqual([
      [0, 0],
      [0, 1],
      [0, 2],
    ])
    const records = await consoleConsume(kafka, topic, { partition: 0 })
    expect(records.map(({ key, value }) => [key, value])).toEqual([
      ['k', 'one'],
      ['k', 'two'],
      ['k', 'three'],
    ])
    const batches = await dumpLog(kafka, 1, topic, 0)
    expect(batches.every(({ isValid, magic }) => isValid && magic === 2)).toBe(true)
    expect(batches.reduce((sum, { count }) => sum + count, 0)).toBe(3)
  })

  test('a broker that is killed while records are under way has each of them once and in order when it is back', async () => {
    const topic = await kafka.newTopic(1)
    const logger = new RecordingLog() // what it says about the broker that is gone is no news here
    await using producer = new Producer({ bootstrapServers: kafka.bootstrapServers, logger })
    const numbers = Array.from({ length: 600 }, (_, number) => String(number))
    const send = (value: string) => producer.send({ topic, value })
    await Promise.all(numbers.slice(0, 200).map(send))
    const underWay = numbers.slice(200, 400).map(send)
    await kafka.kill(1)
    const whileDown = numbers.slice(400).map(send)
    await kafka.start(1)
    await Promise.all([...underWay, ...whileDown])
    expect(await kafka.endOffsets(topic)).toEqual([600])
    const records = await consoleConsume(kafka, topic, { partition: 0 })
    expect(records.map(({ value }) => value)).toEqual(numbers)
  })

  test('records that are sent to a paused broker are there when it goes on', async () => {
    const topic = await kafka.newTopic(1)
    await using producer = new Producer({ bootstrapServers: kafka.bootstrapServers })
    await producer.send({ topic, value: 'before' })
    await kafka.pause(1)
    const paused = producer.send({ topic, value: 'while it was paused' })
    await expect(kafka.endOffsets(topic)).rejects.toThrow('no node of the cluster is running')
    await kafka.resume(1)
    expect(await paused).toMatchObject({ partition: 0, offset: 1 })
  })
})

describe.skipIf(!docker.found)(`Kafka ${VERSION} by KafkaContainer of @testcontainers/kafka`, () => {
  test('takes records, and its own console consumer prints them', async () => {
    const container = await new KafkaContainer(await kafkaImage(VERSION, 'confluent'))
      // Without this it is handed out before the broker has started.
      .withWaitStrategy(Wait.forLogMessage(/Kafka Server started/))
      .start()
    ownContainer(container.getId())
    try {
      const address = { host: container.getHost(), port: container.getMappedPort(9093) }
      await createTopic([address], 'orders', 1)
      await using producer = new Producer({ bootstrapServers: `${address.host}:${address.port}` })
      await Promise.all(['one', 'two'].map((value) => producer.send({ topic: 'orders', value })))
      const consume = ['--bootstrap-server', 'localhost:9092', '--topic', 'orders', '--partition', '0']
      const from = ['--offset', 'earliest', '--max-messages', '2', '--timeout-ms', '20000']
      const { exitCode, stdout } = await container.exec(['kafka-console-consumer', ...consume, ...from])
      expect({ exitCode, lines: stdout.trim().split('\n') }).toEqual({ exitCode: 0, lines: ['one', 'two'] })
    } finally {
      await container.stop()
      disownContainer(container.getId())
    }
  })
})
