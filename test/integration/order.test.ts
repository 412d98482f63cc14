// Order with five requests in flight to one partition: every offset is known beforehand, also when the network breaks in the middle of
// requests and answers. librdkafka reads back what is in the log.

import { expect, test } from 'vitest'
import type { KafkaError, Producer, RecordMetadata } from '../../src/index.ts'
import { intact, numberedValue, pythonVerify } from '../support/clients/python-client.ts'
import { cuttingDial } from '../support/integration/cutting-dial.ts'
import { useStage } from '../support/integration/stage.ts'
import { describeEachKafka } from '../support/kafka/describe-kafka.ts'

const RECORDS = 50_000
const VALUE_SIZE = 30
const SMALL_BATCHES = { batchSize: 1_024, maxInFlightRequestsPerConnection: 5 }

describeEachKafka(['4.4'], (kafka) => {
  const stage = useStage(kafka)

  test('offsets are the order of the sends, with five requests in flight', async () => {
    const { cluster } = kafka
    const topic = await cluster.newTopic(1)
    const producer = stage.producer(SMALL_BATCHES)
    const run = await sendNumbered(producer, topic)
    expect(run).toMatchObject({ delivered: RECORDS, firstError: undefined, wrongOffsets: 0 })
    expect(run.mostInFlight, 'requests in flight at once').toBe(5)
    expect(producer.metrics().requestTotal, 'requests').toBeGreaterThan(RECORDS / 40)
    const found = await pythonVerify(cluster.bootstrapServers, topic, { count: RECORDS, valueSize: VALUE_SIZE })
    expect(found).toMatchObject(intact(RECORDS))
  })

  test.each([1, 2])(
    'offsets are the order of the sends when connections are cut inside frames again and again (seed %i)',
    async (seed) => {
      const { cluster } = kafka
      const topic = await cluster.newTopic(1)
      const { dial, cuts } = cuttingDial({ seed, requestBytes: 30_000, answerBytes: 1_500 })
      const producer = stage.producer({
        ...SMALL_BATCHES,
        dial,
        retryBackoffMs: 2,
        retryBackoffMaxMs: 10,
        reconnectBackoffMs: 2,
        reconnectBackoffMaxMs: 10,
      })
      const run = await sendNumbered(producer, topic)
      expect(run).toMatchObject({ delivered: RECORDS, firstError: undefined, wrongOffsets: 0 })
      expect(cuts.inRequests, 'cuts inside a request').toBeGreaterThan(20)
      expect(cuts.inAnswers, 'cuts inside an answer').toBeGreaterThan(20)
      expect(run.mostInFlight, 'requests in flight at once').toBe(5)
      const found = await pythonVerify(cluster.bootstrapServers, topic, { count: RECORDS, valueSize: VALUE_SIZE })
      expect(found).toMatchObject(intact(RECORDS))
    },
  )
})

interface Run {
  delivered: number
  firstError: KafkaError | undefined
  /** Records whose offset is not their number. */
  wrongOffsets: number
  mostInFlight: number
}

async function sendNumbered(producer: Producer, topic: string): Promise<Run> {
  const run: Run = { delivered: 0, firstError: undefined, wrongOffsets: 0, mostInFlight: 0 }
  const onDelivery = (error: KafkaError | null, metadata: RecordMetadata | null, number: number): void => {
    if (error !== null) {
      run.firstError ??= error
      return
    }
    run.delivered++
    if (metadata!.offset !== number) run.wrongOffsets++
    if (number % 100 === 0) run.mostInFlight = Math.max(run.mostInFlight, producer.metrics().requestsInFlight)
  }
  for (let number = 0; number < RECORDS; number++) {
    const room = producer.enqueue({ topic, value: numberedValue(number, VALUE_SIZE) }, onDelivery, number)
    if (!room) await producer.ready()
  }
  await producer.flush({ timeoutMs: 60_000 })
  return run
}
