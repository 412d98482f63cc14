import { describe, expect, test } from 'vitest'
import { Choice } from '../../src/producer/choice.ts'
import { Partition } from '../../src/producer/partition.ts'
import type { Partitioner } from '../../src/producer/partitioner.ts'
import { Topic } from '../../src/producer/topic.ts'
import { batchOf, metadataOf, seeded } from './rig.ts'

/** A topic that the cluster has described, with its outboxes. */
function described(choice: Choice, partitionCount: number): Topic {
  const topic = new Topic('orders', choice.newKeyless(65_536, seeded(1)), 65_536)
  topic.metadata = metadataOf('orders', partitionCount)
  for (let index = 0; index < partitionCount; index++) topic.partitions.push(new Partition(topic, index, true))
  topic.keyless.setPartitions(partitionCount, () => true)
  return topic
}

const choiceOf = (partitioner: Partitioner, partitionerIgnoreKeys = false): Choice =>
  new Choice({ partitioner, partitionerIgnoreKeys })

/** Where a key lies in a batch's buffer, with other bytes around it. */
function encodedKey(key: string | null) {
  const bytes = Buffer.from(`..${key ?? ''}..`)
  const keyStart = key === null ? -1 : 2
  return { bytes, view: { index: 0, restStart: 0, end: bytes.length, keyStart, keyEnd: bytes.length - 2 } }
}

describe('a key', () => {
  // Java's numbers: murmur2 of the key, its sign masked off, modulo 3 (key-0 to key-4 are 1, 0, 2, 2, 0).
  const ofJava = [
    ['key-0', 1],
    ['key-1', 0],
    ['key-2', 2],
    ['key-3', 2],
    ['key-4', 0],
  ] as const

  test.each(ofJava)('%s goes to partition %i of 3, as a string, as bytes, and encoded already', (key, partition) => {
    const choice = choiceOf('java')
    const topic = described(choice, 3)
    const { bytes, view } = encodedKey(key)
    expect(choice.keyed(topic, key, null)).toBe(partition)
    expect(choice.keyed(topic, Buffer.from(key), null)).toBe(partition)
    expect(choice.encoded(topic, bytes, view, null)).toBe(partition)
  })

  test('that is not ASCII is hashed as its UTF-8 bytes', () => {
    const choice = choiceOf('java')
    const topic = described(choice, 1000)
    const { bytes, view } = encodedKey('Käse')
    expect(choice.keyed(topic, 'Käse', null)).toBe(choice.keyed(topic, Buffer.from('Käse'), null))
    expect(choice.encoded(topic, bytes, view, null)).toBe(choice.keyed(topic, 'Käse', null))
  })

  test('that is empty decides for Java, and says nothing to librdkafka', () => {
    const { bytes, view } = encodedKey('')
    const java = choiceOf('java')
    // murmur2 of nothing is 275646681.
    expect(java.keyed(described(java, 1000), '', null)).toBe(681)
    expect(java.encoded(described(java, 1000), bytes, view, null)).toBe(681)
    const librdkafka = choiceOf('consistentRandom')
    expect(librdkafka.keyed(described(librdkafka, 1000), '', null)).toBe(-1)
    expect(librdkafka.encoded(described(librdkafka, 1000), bytes, view, null)).toBe(-1)
  })

  test("goes where librdkafka's CRC-32 says, with 'consistentRandom'", () => {
    const choice = choiceOf('consistentRandom')
    const { bytes, view } = encodedKey('23456')
    // 0xb1b451d7 % 17
    expect(choice.keyed(described(choice, 17), '23456', null)).toBe(0xb1b451d7 % 17)
    expect(choice.encoded(described(choice, 17), bytes, view, null)).toBe(0xb1b451d7 % 17)
  })

  test.each(['random', 'roundRobin'] as const)("says nothing to '%s'", (partitioner) => {
    const choice = choiceOf(partitioner)
    const { bytes, view } = encodedKey('key-1')
    expect(choice.keyed(described(choice, 3), 'key-1', null)).toBe(-1)
    expect(choice.encoded(described(choice, 3), bytes, view, null)).toBe(-1)
  })

  test('says nothing with partitionerIgnoreKeys', () => {
    const choice = choiceOf('java', true)
    const { bytes, view } = encodedKey('key-1')
    expect(choice.keyed(described(choice, 3), 'key-1', null)).toBe(-1)
    expect(choice.encoded(described(choice, 3), bytes, view, null)).toBe(-1)
  })

  test('that is null says nothing', () => {
    const { bytes, view } = encodedKey(null)
    for (const partitioner of ['java', 'consistentRandom'] as const) {
      const choice = choiceOf(partitioner)
      expect(choice.keyed(described(choice, 3), null, null)).toBe(-1)
      expect(choice.encoded(described(choice, 3), bytes, view, null)).toBe(-1)
    }
  })
})

describe("a partitioner of the user's own", () => {
  test('gets the topic, a copy of the key, the record and the partitions', () => {
    const calls: unknown[][] = []
    const choice = choiceOf((...args) => {
      calls.push(args)
      return 2
    })
    const topic = described(choice, 3)
    const key = Buffer.from('key')
    const record = { topic: 'orders', value: 'v' }
    expect(choice.wantsRecord).toBe(true)
    expect(choice.keyed(topic, key, record)).toBe(2)
    key.fill(0)
    expect(calls).toHaveLength(1)
    expect(Buffer.from(calls[0]![1] as Uint8Array).toString()).toBe('key')
    expect(calls[0]![0]).toBe('orders')
    expect(calls[0]![2]).toBe(record)
    expect(calls[0]![3]).toMatchObject([
      { topic: 'orders', partition: 0, leader: 0 },
      { partition: 1, leader: 1 },
      { partition: 2, leader: 2 },
    ])
  })

  test('is asked about records without a key too, and its answer is checked', () => {
    const choice = choiceOf(() => 3)
    expect(() => choice.keyed(described(choice, 3), null, {})).toThrow(/answered 3/)
    const { bytes, view } = encodedKey(null)
    expect(() => choice.encoded(described(choice, 3), bytes, view, {})).toThrow(/answered 3/)
  })

  test('that is a name does not want the record', () => {
    expect(choiceOf('java').wantsRecord).toBe(false)
  })
})

describe('a record whose key says nothing', () => {
  test('stays with the partition whose batch is open, and moves on when there is none and enough went there', () => {
    const choice = choiceOf('java')
    const topic = described(choice, 100)
    const first = choice.keyless(topic)
    expect(topic.isKeylessUsed).toBe(true)
    topic.partitions[first]!.open = batchOf()
    topic.keyless.onAppended(65_536, false)
    expect(choice.keyless(topic)).toBe(first)
    topic.partitions[first]!.open = null
    expect(choice.keyless(topic)).not.toBe(first)
  })
})
