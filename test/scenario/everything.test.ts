// Everything at once: faults of every kind, leaders that move, short deadlines, small memory, old brokers, all drawn from a seed. Whatever
// happens, what was acknowledged is in the log once and in order, and what failed with `persisted: 'no'` is not.
import { describe, expect, test } from 'vitest'
import type { FakeCluster } from '../support/fake-cluster/fake-cluster.ts'
import { NO_FAULTS } from '../support/fake-cluster/verify.ts'
import { useStage } from './stage.ts'

const stage = useStage()

const PARTITIONS = [0, 1, 2, 3]
const BROKERS = 3
const ROUNDS = 40
const RECORDS_PER_ROUND = 30

/** From 0 up to but not 1; the constants of Numerical Recipes. */
function randomFrom(seed: number): () => number {
  let state = Math.imul(seed, 7919)
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0
    return (state >>> 8) / 2 ** 24
  }
}

// Only what a broker that was not restarted can do: it never answers OUT_OF_ORDER_SEQUENCE_NUMBER for one of the last five batches it has.
function sow(cluster: FakeCluster, random: () => number): void {
  const chance = (probability: number) => ({ times: Number.POSITIVE_INFINITY, where: () => random() < probability })
  cluster.on('Produce', chance(0.04)).dropBefore()
  cluster.on('Produce', chance(0.04)).appendThenDrop()
  cluster.on('Produce', chance(0.03)).appendThenSwallow()
  cluster.on('Produce', chance(0.02)).swallow()
  cluster.on('Produce', chance(0.04)).error('NOT_ENOUGH_REPLICAS')
  cluster.on('Produce', chance(0.04)).appendThenError('NOT_ENOUGH_REPLICAS_AFTER_APPEND')
  cluster.on('Produce', chance(0.02)).error('INVALID_RECORD')
  cluster.on('Produce', chance(0.02)).recordErrors({ 0: 'bad', 3: 'bad' })
  cluster.on('Produce', chance(0.02)).omitPartition()
  cluster.on('Produce', chance(0.02)).ignorePartition()
  cluster.on('Metadata', chance(0.1)).dropBefore()
  cluster.on('InitProducerId', chance(0.2)).error('COORDINATOR_LOAD_IN_PROGRESS')
}

interface Sent {
  readonly partition: number
  readonly value: string
  readonly settled: Promise<PromiseSettledResult<unknown>[]>
}

describe('with faults of every kind', () => {
  test.each([1, 2, 3, 4, 5, 6, 7, 8])(
    '(seed %i) the log holds what was acknowledged, once and in order',
    async (seed) => {
      const random = randomFrom(seed)
      const odds = (probability: number) => random() < probability
      const cluster = await stage.cluster({
        brokers: BROKERS,
        topics: { orders: { partitions: PARTITIONS.length, maxMessageBytes: odds(0.3) ? 1500 : 1_000_000 } },
        versions: odds(0.3) ? { Produce: 9 } : {},
        seed,
      })
      sow(cluster, random)
      const producer = stage.producer(cluster, {
        batchSize: 2000,
        bufferMemory: odds(0.3) ? 16_384 : 1_000_000,
        requestTimeoutMs: 40,
        deliveryTimeoutMs: odds(0.5) ? 120 : 20_000,
        retryBackoffMs: 2,
        retryBackoffMaxMs: 10,
        maxInFlightRequestsPerConnection: 1 + Math.floor(random() * 5),
      })
      const all: Sent[] = []
      for (let round = 0; round < ROUNDS; round++) {
        if (odds(0.2))
          cluster.setLeader('orders', Math.floor(random() * PARTITIONS.length), 1 + Math.floor(random() * BROKERS))
        for (let index = 0; index < RECORDS_PER_ROUND; index++) {
          const partition = Math.floor(random() * PARTITIONS.length)
          const value = `${round}-${index}`.padEnd(60, '.')
          all.push({
            partition,
            value,
            settled: Promise.allSettled([producer.send({ topic: 'orders', partition, value })]),
          })
        }
        await new Promise((resolve) => setImmediate(resolve))
      }
      const results = await Promise.all(all.map((each) => each.settled))
      expect(producer.metrics().recordsPending).toBe(0)
      await producer.close()
      expect(producer.metrics().bufferAvailableBytes).toBe(producer.metrics().bufferTotalBytes)

      const stored = PARTITIONS.map((partition) => new Set(cluster.values('orders', partition)))
      let acknowledged = 0
      for (const [index, [result]] of results.entries()) {
        const { partition, value } = all[index]!
        const where = `${value} of partition ${partition}\n${cluster.story()}`
        if (result!.status === 'fulfilled') {
          acknowledged++
          expect(stored[partition]!.has(value), `acknowledged and lost: ${where}`).toBe(true)
        } else if (result!.reason.persisted === 'no') {
          expect(stored[partition]!.has(value), `failed with 'no' (${result!.reason.code}) and stored: ${where}`).toBe(
            false,
          )
        }
      }
      expect(acknowledged).toBeGreaterThan(0)
      const inTheLog = PARTITIONS.map((partition) => ({
        topic: 'orders',
        partition,
        values: all
          .filter((each) => each.partition === partition && stored[partition]!.has(each.value))
          .map((each) => each.value),
      }))
      expect(cluster.verify(inTheLog), cluster.story()).toEqual(NO_FAULTS)
    },
  )

  test('and none, fifty thousand records over six partitions of three brokers are in the log once and in order', async () => {
    const cluster = await stage.cluster({ brokers: 3, topics: { orders: 6 } })
    const producer = stage.producer(cluster)
    const sent = Array.from({ length: 6 }, (_, partition) => ({ topic: 'orders', partition, values: [] as string[] }))
    for (let index = 0; index < 50_000; index++) {
      const partition = index % 6
      const value = `value ${index}`.padEnd(100, '.')
      sent[partition]!.values.push(value)
      if (!producer.enqueue({ topic: 'orders', partition, value })) await producer.ready()
    }
    expect(await producer.close()).toEqual({ delivered: 50_000, failed: 0, abandoned: 0 })
    expect(cluster.verify(sent)).toEqual(NO_FAULTS)
  })
})
