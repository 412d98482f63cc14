import { describe, expect, test } from 'vitest'
import { HOLD_LEADER } from '../../src/producer/partition.ts'
import { partitionInfos, Topic } from '../../src/producer/topic.ts'
import { AccumulatorRig, batchOf, metadataOf } from './rig.ts'

/** A topic that nobody has described. */
const newTopic = () => new AccumulatorRig().accumulator.topic('orders')

describe('the outbox of an explicit partition', () => {
  test('is the one that the metadata has, if it has it', () => {
    const topic = new AccumulatorRig().describe('orders', 3)
    expect(topic.partitionFor(1, 5, true)).toBe(topic.partitions[1])
    expect(topic.missing.size).toBe(0)
  })

  test('is made once where the metadata lacks it, without a leader, and waits since then', () => {
    const topic = newTopic()
    const partition = topic.partitionFor(7, 1234, true)
    expect(topic.partitionFor(7, 9999, true)).toBe(partition)
    expect(partition).toMatchObject({ index: 7, missingSince: 1234, hold: HOLD_LEADER, lane: null })
    expect(partition.topic).toBe(topic)
    expect([...topic.missing.keys()]).toEqual([7])
  })

  test('has to prove itself to its leader only with idempotence', () => {
    const topic = newTopic()
    expect(topic.partitionFor(0, 0, true).sequences.isProven).toBe(false)
    expect(topic.partitionFor(1, 0, false).sequences.isProven).toBe(true)
  })
})

describe('all outboxes', () => {
  test('are those of the metadata, then those that it lacks', () => {
    const rig = new AccumulatorRig()
    const topic = rig.describe('orders', 2)
    topic.partitionFor(9, 0, true)
    topic.partitionFor(4, 0, true)
    expect([...topic.all()].map(({ index }) => index)).toEqual([0, 1, 9, 4])
  })
})

describe('a topic is idle', () => {
  test('when it is new, and when it is known and nothing waits', () => {
    expect(newTopic().isIdle).toBe(true)
    expect(new AccumulatorRig().describe('orders', 3).isIdle).toBe(true)
  })

  test('not while records are staged', () => {
    const rig = new AccumulatorRig()
    rig.add()
    expect(rig.accumulator.topic('orders').isIdle).toBe(false)
  })

  test('not while a batch is open, waits or flies, in any partition, a missing one included', () => {
    const rig = new AccumulatorRig()
    const topic = rig.describe('orders', 2)
    rig.add({ partition: 1 })
    const partition = topic.partitions[1]!
    expect(topic.isIdle).toBe(false)
    rig.accumulator.closeOpen(partition)
    expect(topic.isIdle).toBe(false)
    partition.takeOff(partition.ready[0]!)
    expect([partition.hasSomething, topic.isIdle]).toEqual([false, false])
    partition.land(partition.flying[0]!)
    expect(topic.isIdle).toBe(true)
    topic.partitionFor(5, 0, true).ready.push(batchOf())
    expect(topic.isIdle).toBe(false)
  })
})

describe('partitions as users see them', () => {
  test('are plain objects by partition, made once for each metadata', () => {
    const topic = new AccumulatorRig().describe('orders', 2, [7, -1])
    const infos = partitionInfos(topic)
    expect(infos).toEqual([
      { topic: 'orders', partition: 0, leader: 7, replicas: [0], inSyncReplicas: [0], offlineReplicas: [] },
      { topic: 'orders', partition: 1, leader: -1, replicas: [1], inSyncReplicas: [1], offlineReplicas: [] },
    ])
    expect(partitionInfos(topic)).toBe(infos)
  })

  test('follow new metadata', () => {
    const rig = new AccumulatorRig()
    const topic = rig.describe('orders', 1)
    expect(partitionInfos(topic)).toHaveLength(1)
    rig.describe('orders', 3)
    expect(partitionInfos(topic).map(({ partition }) => partition)).toEqual([0, 1, 2])
  })

  test('are none while the topic is unknown', () => {
    expect(partitionInfos(newTopic())).toEqual([])
  })
})

test('a new topic has the batch size of the producer, and nothing asked or kept yet', () => {
  const rig = new AccumulatorRig({ batchSize: 5000 })
  const topic = rig.accumulator.topic('orders')
  expect(topic).toBeInstanceOf(Topic)
  expect(topic).toMatchObject({
    name: 'orders',
    metadata: null,
    batchBytesMax: 5000,
    staged: [],
    partitions: [],
    nearNames: [],
    hasAskedForNearNames: false,
    isKeylessUsed: false,
  })
  topic.metadata = metadataOf('orders', 1)
  expect(topic.isIdle).toBe(true)
})
