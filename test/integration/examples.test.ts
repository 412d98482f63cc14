// The programs in examples/, each run as a user runs it, as a process of its own. What they wrote is read back by librdkafka.

import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, test } from 'vitest'
import { type ConsumedRecord, pythonConsume } from '../support/clients/python-client.ts'
import { describeEachKafka } from '../support/kafka/describe-kafka.ts'
import { runToEnd } from '../support/kafka/run.ts'

const TOPICS = { 'my-topic': 1, 'example-topic': 3, 'web-clicks': 3, payments: 3, 'log-lines': 1 }

describeEachKafka(['4.4'], (kafka) => {
  const read = (topic: string): Promise<ConsumedRecord[]> => pythonConsume(kafka.cluster.bootstrapServers, topic)

  /** What the example prints; it must end by itself, with 0. */
  async function run(file: string, input?: string): Promise<string[]> {
    const path = fileURLToPath(new URL(`../../examples/${file}`, import.meta.url))
    const output = await runToEnd(process.execPath, ['--conditions=kafka-wire-source', path], {
      what: `examples/${file}`,
      env: { ...process.env, KAFKA_BOOTSTRAP_SERVERS: kafka.cluster.bootstrapServers },
      ...(input === undefined ? {} : { input }),
    })
    return output.split('\n').filter((line) => line !== '')
  }

  // The topics are the examples' own: on a cluster that somebody else started they may hold somebody else's records.
  describe.skipIf(!kafka.controlsNodes)('examples', () => {
    beforeAll(async () => {
      for (const [topic, partitions] of Object.entries(TOPICS)) await kafka.cluster.createTopic(topic, partitions)
    })

    test('flush.ts: a hundred sends to my-topic are in the log when flush has resolved', async () => {
      const before = await read('my-topic')
      expect(await run('flush.ts')).toEqual(['100 delivered, 0 failed'])
      const records = (await read('my-topic')).slice(before.length)
      expect(records.map(text)).toEqual(Array(100).fill([null, 'some_message_bytes']))
    })

    test('callbacks.ts: the success callback names the place where the record is', async () => {
      const [line, ...rest] = await run('callbacks.ts')
      expect(rest).toEqual([])
      const [, partition, offset] = /^Message sent to my-topic partition (\d+) offset (\d+)$/.exec(line!) ?? []
      const found = (await read('my-topic')).find((record) => at(record) === `${partition}:${offset}`)
      expect(found === undefined ? found : text(found)).toEqual([null, 'some_message_bytes'])
    })

    test('keyed-json.ts: five keyed JSON records, one line each that names where the record is', async () => {
      const lines = await run('keyed-json.ts')
      // murmur2 of key-0 … key-4 over three partitions, as Java's producer places them.
      expect(lines.toSorted()).toEqual([
        'Sent to example-topic partition 0 offset 0',
        'Sent to example-topic partition 0 offset 1',
        'Sent to example-topic partition 1 offset 0',
        'Sent to example-topic partition 2 offset 0',
        'Sent to example-topic partition 2 offset 1',
      ])
      const records = await read('example-topic')
      expect(Object.fromEntries(records.map((record) => [at(record), text(record)]))).toEqual({
        '0:0': ['key-1', '{"count":1}'],
        '0:1': ['key-4', '{"count":4}'],
        '1:0': ['key-0', '{"count":0}'],
        '2:0': ['key-2', '{"count":2}'],
        '2:1': ['key-3', '{"count":3}'],
      })
    })

    test('web-clicks.ts: a loop that waits for ready loses no click, and visitors keep their partition', async () => {
      const [line] = await run('web-clicks.ts')
      expect(line).toMatch(/^100000 clicks delivered, 0 failed \(0 of them dropped for newer ones\), p99 [\d.]+ ms$/)
      const partitionOf = new Map<string, number>()
      const records = await read('web-clicks')
      expect(records).toHaveLength(100_000)
      for (const { key, partition } of records) {
        const visitor = key!.toString()
        expect(partitionOf.get(visitor) ?? partition).toBe(partition)
        partitionOf.set(visitor, partition)
      }
      expect(partitionOf.size).toBe(1_000)
    })

    test('payments.ts: a thousand payments are booked once each, with their headers, in order by account', async () => {
      expect(await run('payments.ts')).toEqual(['1000 of 1000 payments booked'])
      const records = await read('payments')
      const numbers = new Map<string, number[]>()
      for (const { key, value, headers } of records) {
        const { id, account } = JSON.parse(value!.toString())
        expect([key!.toString(), ...headers.map(([name, content]) => [name, content!.toString()])]).toEqual([
          account,
          ['payment-id', id],
          ['content-type', 'application/json'],
        ])
        numbers.set(account, [...(numbers.get(account) ?? []), Number(id.slice('payment-'.length))])
      }
      expect(numbers.size).toBe(25)
      for (const [account, sent] of numbers) {
        const first = Number(account.slice('account-'.length))
        expect(sent).toEqual(Array.from({ length: 40 }, (_, i) => first + 25 * i))
      }
    })

    test('stream.ts: every line of standard input becomes a record, in order', async () => {
      const lines = Array.from({ length: 20_000 }, (_, i) => `GET /page/${i} ${'ü'.repeat(i % 50)}`)
      expect(await run('stream.ts', `${lines.join('\n')}\n`)).toEqual(['20000 lines delivered'])
      expect((await read('log-lines')).map(({ value }) => value!.toString())).toEqual(lines)
    })
  })
})

const at = ({ partition, offset }: ConsumedRecord): string => `${partition}:${offset}`

const text = ({ key, value }: ConsumedRecord) => [key?.toString() ?? null, value?.toString() ?? null]
