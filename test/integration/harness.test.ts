// The test brokers themselves: started, written to and read back by clients that this project did not write, killed and started again.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { connect } from 'node:net'
import { describe, expect, test } from 'vitest'
import { consoleConsume, dumpLog } from '../support/clients/kafka-tools.ts'
import { pythonAvailability } from '../support/clients/python.ts'
import { numberedValue, pythonConsume, pythonProduce, pythonVerify } from '../support/clients/python-client.ts'
import { kafkaAvailability } from '../support/kafka/availability.ts'
import { describeEachKafka } from '../support/kafka/describe-kafka.ts'
import { KAFKA_VERSIONS } from '../support/kafka/versions.ts'
import { until } from '../support/kafka/wait.ts'

const python = pythonAvailability()
if (!python.found) console.log(`reading back by confluent-kafka: skipped, ${python.reason}`)

describeEachKafka(KAFKA_VERSIONS, (kafka) => {
  test('a topic has its partitions, a leader for each, and grows', async () => {
    const topic = await kafka.cluster.newTopic(3)
    expect(await kafka.cluster.endOffsets(topic)).toEqual([0, 0, 0])
    await kafka.cluster.addPartitions(topic, 5)
    const partitions = await kafka.cluster.partitions(topic)
    expect(partitions.map(({ partition }) => partition)).toEqual([0, 1, 2, 3, 4])
    expect(await kafka.cluster.leaderOf(topic, 4)).toBe(partitions[4]!.leader)
    await kafka.cluster.deleteTopic(topic)
  })

  test("what Kafka's console producer wrote is printed by the console consumer and found in the log", async () => {
    const topic = await kafka.cluster.newTopic(1)
    const { toolBootstrapServers, toolRelease } = kafka.cluster
    const produce = [
      '--bootstrap-server',
      toolBootstrapServers,
      '--topic',
      topic,
      toolRelease.toolOptions.reader,
      'parse.key=true',
    ]
    await kafka.cluster.runTool('consoleProducer', produce, { input: 'k1\tone\nk2\ttwo payload: 2\nk3\tüñí\n' })
    const printed = await consoleConsume(kafka.cluster, topic, { partition: 0 })
    expect(printed.map(({ offset, key, value, headers }) => ({ offset, key, value, headers }))).toEqual([
      { offset: 0, key: 'k1', value: 'one', headers: 'NO_HEADERS' },
      { offset: 1, key: 'k2', value: 'two payload: 2', headers: 'NO_HEADERS' },
      { offset: 2, key: 'k3', value: 'üñí', headers: 'NO_HEADERS' },
    ])
    if (!kafka.controlsNodes) return
    const batches = await dumpLog(kafka.cluster, 1, topic, 0)
    expect(batches.every(({ isValid, magic }) => isValid && magic === 2)).toBe(true)
    expect(batches.reduce((sum, { count }) => sum + count, 0)).toBe(3)
    expect(batches.flatMap(({ records }) => records.map(({ key, value }) => [key, value]))).toEqual([
      ['k1', 'one'],
      ['k2', 'two payload: 2'],
      ['k3', 'üñí'],
    ])
  })

  test.skipIf(!python.found)('nulls, headers and bytes survive confluent-kafka in both directions', async () => {
    const topic = await kafka.cluster.newTopic(2)
    const { bootstrapServers } = kafka.cluster
    await pythonProduce(bootstrapServers, topic, [
      {
        partition: 1,
        key: 'k',
        value: Uint8Array.of(0, 255, 10),
        headers: [
          ['h', null],
          ['h', 'two'],
        ],
      },
      { partition: 1, key: 'k', value: null },
      { partition: 0, value: '' },
    ])
    const records = await pythonConsume(bootstrapServers, topic)
    const plain = records.map(({ partition, offset, key, value, headers }) => ({
      partition,
      offset,
      key,
      value,
      headers,
    }))
    expect(plain.sort((a, b) => a.partition - b.partition)).toEqual([
      { partition: 0, offset: 0, key: null, value: Buffer.alloc(0), headers: [] },
      {
        partition: 1,
        offset: 0,
        key: Buffer.from('k'),
        value: Buffer.of(0, 255, 10),
        headers: [
          ['h', null],
          ['h', Buffer.from('two')],
        ],
      },
      { partition: 1, offset: 1, key: Buffer.from('k'), value: null, headers: [] },
    ])
    expect(await kafka.cluster.endOffsets(topic)).toEqual([1, 2])
  })

  test.skipIf(!python.found)(
    'numbered records are counted once each; one that is missing or twice there is found',
    async () => {
      const topic = await kafka.cluster.newTopic(2)
      const { bootstrapServers } = kafka.cluster
      const numbers = [0, 1, 3, 4, 4, 6, 5]
      const records = numbers.map((number) => ({ partition: 0, value: numberedValue(number, 20) }))
      await pythonProduce(bootstrapServers, topic, records)
      const options = { count: 8, valueSize: 20 }
      const found = await pythonVerify(bootstrapServers, topic, options)
      expect(found).toMatchObject({ records: 7, missing: 2, duplicates: 1, outOfOrder: 1, damaged: 0, gaps: 0 })
      expect(found.partitions).toEqual({ 0: 7 })
      await pythonProduce(bootstrapServers, topic, [
        { partition: 1, value: '2 damaged' },
        { partition: 1, value: 'what' },
      ])
      expect(await pythonVerify(bootstrapServers, topic, options)).toMatchObject({
        missing: 1,
        damaged: 1,
        strangers: 1,
      })
    },
  )

  test.skipIf(!kafka.controlsNodes)(
    'a broker that was killed comes back under its address with what it had',
    async () => {
      const topic = await kafka.cluster.newTopic(1)
      const { bootstrapServers } = kafka.cluster
      const produce = ['--bootstrap-server', kafka.cluster.toolBootstrapServers, '--topic', topic]
      await kafka.cluster.runTool('consoleProducer', produce, { input: 'kept\n' })
      await kafka.cluster.kill(1)
      await expect(kafka.cluster.endOffsets(topic)).rejects.toThrow('no node of the cluster is running')
      await kafka.cluster.start(1)
      expect(kafka.cluster.bootstrapServers).toBe(bootstrapServers)
      expect(await kafka.cluster.leaderOf(topic, 0)).toBe(1)
      expect(await kafka.cluster.endOffsets(topic)).toEqual([1])
      await kafka.cluster.pause(1)
      await kafka.cluster.resume(1)
      expect(await kafka.cluster.endOffsets(topic)).toEqual([1])
    },
  )
})

describeEachKafka(
  ['4.4'],
  (kafka) => {
    test.skipIf(!kafka.controlsNodes)(
      'another broker leads when the leader is killed, and nothing is lost',
      async () => {
        const topic = await kafka.cluster.newTopic(1)
        const produce = ['--bootstrap-server', kafka.cluster.toolBootstrapServers, '--topic', topic]
        await kafka.cluster.runTool('consoleProducer', produce, { input: 'kept\n' })
        const leader = await kafka.cluster.leaderOf(topic, 0)
        await kafka.cluster.kill(leader)
        expect(await kafka.cluster.leaderOf(topic, 0)).not.toBe(leader)
        expect(await kafka.cluster.endOffsets(topic)).toEqual([1])
      },
    )
  },
  { brokers: 3 },
)

const { kind } = kafkaAvailability(['4.4'])
if (kind !== 'jars') console.log('what a killed test process leaves behind: skipped, brokers do not run from jars here')

describe.skipIf(kind !== 'jars')('a test process that is killed while its broker runs', () => {
  test.each(['SIGKILL', 'SIGTERM'] as const)('leaves neither broker nor data behind: %s', async (signal) => {
    const program = `
      import { startKafka } from '${new URL('../support/kafka/start-kafka.ts', import.meta.url).href}'
      const kafka = await startKafka()
      console.log(kafka.logDir(1), kafka.nodes[0].port)
      setInterval(() => {}, 1000)`
    const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [line] = (await once(child.stdout, 'data')) as [Buffer]
    const [logDir, port] = line.toString().trim().split(' ') as [string, string]
    expect(existsSync(logDir)).toBe(true)
    child.kill(signal)
    await until('broker and data are gone', { timeoutMs: 30_000 }, async () => {
      return !existsSync(logDir) && (await refuses(Number(port))) ? true : undefined
    })
  })
})

function refuses(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port }, () => {
      socket.destroy()
      resolve(false)
    })
    socket.once('error', () => resolve(true))
  })
}
