// The adaptive part of the sticky partitioner (KIP-794): what it is told of the queues.
import { describe, expect, test } from 'vitest'
import type { Lane } from '../../src/net/lane.ts'
import { updateLoad } from '../../src/producer/load.ts'
import type { KeylessPartitioner } from '../../src/producer/partitioner.ts'
import { SenderLane } from '../../src/producer/sender-lane.ts'
import type { Topic } from '../../src/producer/topic.ts'
import { AccumulatorRig, batchOf } from './rig.ts'

type Load = readonly { readonly partition: number; readonly queueLength: number }[]

/** What the topic's keyless partitioner is told, with its own code still running behind. */
function loadOf(topic: Topic, availabilityTimeoutMs = 0): Load {
  const told: Load[] = []
  const { keyless } = topic
  const real = keyless.updateLoad.bind(keyless)
  keyless.updateLoad = (...[queueLengths, partitions, count]: Parameters<KeylessPartitioner['updateLoad']>) => {
    told.push(Array.from({ length: count }, (_, i) => ({ partition: partitions[i]!, queueLength: queueLengths![i]! })))
    real(queueLengths, partitions, count)
  }
  updateLoad(topic, { availabilityTimeoutMs })
  expect(told).toHaveLength(1)
  return told[0]!
}

const queue = (topic: Topic, index: number, length: number) => {
  for (let i = 0; i < length; i++) topic.partitions[index]!.ready.push(batchOf())
}

describe('the load of a topic', () => {
  test('is, for each partition with a leader, how many batches wait, the open one included', () => {
    const rig = new AccumulatorRig()
    const topic = rig.describe('orders', 4, [0, 1, -1, 0])
    queue(topic, 1, 3)
    rig.add({ partition: 0 })
    queue(topic, 3, 1)
    rig.add({ partition: 3 })
    expect(loadOf(topic)).toEqual([
      { partition: 0, queueLength: 1 },
      { partition: 1, queueLength: 3 },
      { partition: 3, queueLength: 2 },
    ])
  })

  test('batches that fly do not wait', () => {
    const rig = new AccumulatorRig()
    const topic = rig.describe('orders', 1)
    rig.add({ partition: 0 })
    const partition = topic.partitions[0]!
    rig.accumulator.closeOpen(partition)
    partition.takeOff(partition.ready[0]!)
    expect(loadOf(topic)).toEqual([{ partition: 0, queueLength: 0 }])
  })

  test('a partition that lost its leader is left out, though it still knows its old broker', () => {
    const rig = new AccumulatorRig()
    const topic = rig.describe('orders', 2)
    rig.describe('orders', 2, [0, -1])
    expect(topic.partitions[1]!.lane).not.toBeNull()
    expect(loadOf(topic)).toEqual([{ partition: 0, queueLength: 0 }])
  })

  test('without any leader it is empty', () => {
    expect(loadOf(new AccumulatorRig().describe('orders', 3, [-1, -1, -1]))).toEqual([])
  })

  test('is exact for more partitions than ever before, and for few after many', () => {
    const rig = new AccumulatorRig()
    const many = rig.describe('many', 500)
    for (const index of [0, 250, 499]) queue(many, index, index + 1)
    const load = loadOf(many)
    expect(load.map(({ partition }) => partition)).toEqual(Array.from({ length: 500 }, (_, i) => i))
    expect(load.filter(({ queueLength }) => queueLength > 0)).toEqual([
      { partition: 0, queueLength: 1 },
      { partition: 250, queueLength: 251 },
      { partition: 499, queueLength: 500 },
    ])
    expect(loadOf(rig.describe('few', 2))).toEqual([
      { partition: 0, queueLength: 0 },
      { partition: 1, queueLength: 0 },
    ])
  })

  test('the topic is not looked at again before it is used again', () => {
    const rig = new AccumulatorRig()
    const topic = rig.describe('orders', 2)
    rig.add()
    expect(topic.isKeylessUsed).toBe(true)
    updateLoad(topic, { availabilityTimeoutMs: 0 })
    expect(topic.isKeylessUsed).toBe(false)
    rig.add({ partition: 1 })
    rig.add({ key: 'a key' })
    expect(topic.isKeylessUsed).toBe(false)
    rig.add()
    expect(topic.isKeylessUsed).toBe(true)
  })
})

describe('a broker that takes nothing', () => {
  function stuckTopic(stuckMs: number): Topic {
    const topic = new AccumulatorRig().describe('orders', 2)
    const lane = topic.partitions[1]!.lane!
    lane.drainedAt = 10_000
    lane.readyAt = 10_000 + stuckMs
    return topic
  }

  test('for longer than partitionerAvailabilityTimeoutMs is passed over', () => {
    expect(loadOf(stuckTopic(501), 500).map(({ partition }) => partition)).toEqual([0])
    expect(loadOf(stuckTopic(500), 500).map(({ partition }) => partition)).toEqual([0, 1])
  })

  test('is never passed over with 0', () => {
    expect(loadOf(stuckTopic(1e9), 0).map(({ partition }) => partition)).toEqual([0, 1])
  })

  test('is judged by the broker to which a partition moves, not by the one that it leaves', () => {
    const topic = stuckTopic(1000)
    topic.partitions[1]!.nextLane = new SenderLane({} as Lane)
    expect(loadOf(topic, 500).map(({ partition }) => partition)).toEqual([0, 1])
  })
})

test('records without a key go past a long queue', () => {
  const rig = new AccumulatorRig({ batchSize: 100 })
  const topic = rig.describe('orders', 3)
  queue(topic, 1, 50)
  const counts = [0, 0, 0]
  for (let i = 0; i < 300; i++) {
    // The queues are as they were: what is added here is sent at once.
    updateLoad(topic, { availabilityTimeoutMs: 0 })
    rig.add({ value: Buffer.alloc(100) })
    for (const partition of topic.partitions) {
      const { open } = partition
      if (open === null) continue
      counts[partition.index]!++
      partition.remove(open)
      rig.accumulator.dissolve(open)
    }
  }
  // Weights 51, 1 and 51.
  expect(counts[1]).toBeLessThan(20)
  expect(Math.min(counts[0]!, counts[2]!)).toBeGreaterThan(90)
})
