// A million records through everything: in the log once each, in order within each partition, also when a leader dies on the way.
// librdkafka reads them back and looks at every byte.

import { expect, test } from 'vitest'
import { type KafkaError, Producer, type RecordMetadata } from '../../src/index.ts'
import { intact, numberedValue, pythonVerify } from '../support/clients/python-client.ts'
import type { KafkaCluster } from '../support/kafka/cluster.ts'
import { describeEachKafka } from '../support/kafka/describe-kafka.ts'

const RECORDS = 1_000_000
const VALUE_SIZE = 100
const PARTITIONS = 6

describeEachKafka(['4.4'], (kafka) => {
  test.each(['with', 'without'] as const)(
    'a million records %s keys are in the log once each and in order per partition',
    async (keys) => {
      const topic = await kafka.cluster.newTopic(PARTITIONS)
      const outcome = await sendMillion(kafka.cluster, topic, keys)
      expect(outcome).toMatchObject({ delivered: RECORDS, firstError: undefined, wrongPlaces: 0 })
      const found = await pythonVerify(kafka.cluster.bootstrapServers, topic, { count: RECORDS, valueSize: VALUE_SIZE })
      expect(found).toMatchObject(intact(RECORDS))
    },
  )
})

describeEachKafka(
  ['4.4'],
  (kafka) => {
    test.skipIf(!kafka.controlsNodes)(
      'a million records are in the log once each and in order per partition when a leader is killed in the middle',
      async () => {
        const { cluster } = kafka
        const topic = await cluster.newTopic(PARTITIONS)
        const victim = await cluster.leaderOf(topic, 0)
        const outcome = await sendMillion(cluster, topic, 'with', {
          // Under full load, with requests in flight to every broker.
          async onThirdSettled() {
            await cluster.kill(victim)
          },
          // While records go on to the leaders that took over.
          async onTwoThirdsSent() {
            expect(await cluster.leaderOf(topic, 0)).not.toBe(victim)
            await cluster.start(victim)
          },
        })
        expect(outcome).toMatchObject({ delivered: RECORDS, firstError: undefined, wrongPlaces: 0 })
        expect(outcome.retried, 'records on the wire to the broker when it died').toBeGreaterThan(0)
        const found = await pythonVerify(cluster.bootstrapServers, topic, { count: RECORDS, valueSize: VALUE_SIZE })
        expect(found).toMatchObject(intact(RECORDS))
      },
    )
  },
  { brokers: 3 },
)

interface Faults {
  /** Not waited for until two thirds are handed over: sending goes on. */
  onThirdSettled(): Promise<void>
  /** Not waited for until all but a tenth is handed over. */
  onTwoThirdsSent(): Promise<void>
}

interface Outcome {
  delivered: number
  firstError: KafkaError | undefined
  /** Acknowledged offsets that do not continue their partition without a gap. */
  wrongPlaces: number
  retried: number
}

/** Numbered values through one producer with its defaults: acks all, idempotent, five requests in flight. */
async function sendMillion(
  cluster: KafkaCluster,
  topic: string,
  keys: 'with' | 'without',
  faults?: Faults,
): Promise<Outcome> {
  const outcome: Outcome = { delivered: 0, firstError: undefined, wrongPlaces: 0, retried: 0 }
  const nextOffset = new Array<number>(PARTITIONS).fill(0)
  let settled = 0
  let onThird = (): void => {}
  const aThirdSettled = new Promise<void>((resolve) => {
    onThird = resolve
  })
  const onDelivery = (error: KafkaError | null, metadata: RecordMetadata | null): void => {
    if (++settled === Math.floor(RECORDS / 3)) onThird()
    if (error !== null) {
      outcome.firstError ??= error
      return
    }
    outcome.delivered++
    const { partition, offset } = metadata!
    if (offset !== nextOffset[partition]!++) outcome.wrongPlaces++
  }

  const producer = new Producer({ bootstrapServers: cluster.bootstrapServers, logger: quiet })
  const first = faults && aThirdSettled.then(() => faults.onThirdSettled())
  let second: Promise<void> | undefined
  for (let i = 0; i < RECORDS; i++) {
    if (i === Math.floor((RECORDS * 2) / 3)) {
      await first
      second = faults?.onTwoThirdsSent()
    }
    if (i === Math.floor(RECORDS * 0.9)) await second
    // Keys spread them evenly, so that some are always on their way to the broker that dies.
    const key = keys === 'with' ? `key-${i % 997}` : null
    const room = producer.enqueue({ topic, key, value: numberedValue(i, VALUE_SIZE) }, onDelivery)
    if (!room) await producer.ready()
  }
  await producer.close({ timeoutMs: 60_000 })
  outcome.retried = producer.metrics().recordRetryTotal
  return outcome
}

// A broker that dies is worth warnings; here they are expected.
const quiet = { debug() {}, info() {}, warn() {}, error() {} }
