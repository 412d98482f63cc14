import { describe, expect, test } from 'vitest'
import { isLeaderless, mergeTopic, type TopicMetadata, withLeader, withoutEpochs } from '../../src/net/topics.ts'
import type { MetadataResponseTopic } from '../../src/protocol/messages/metadata.ts'

interface Part {
  readonly leader: number
  readonly epoch?: number
  readonly error?: number
  readonly index?: number
  readonly isr?: readonly number[]
}

const answer = (parts: readonly Part[], id = 0): MetadataResponseTopic => ({
  errorCode: 0,
  name: 'orders',
  topicId: new Uint8Array(16).fill(id),
  isInternal: false,
  partitions: parts.map(({ leader, epoch = -1, error = 0, index, isr = [1, 2] }, place) => ({
    errorCode: error,
    partitionIndex: index ?? place,
    leaderId: leader,
    leaderEpoch: epoch,
    replicaNodes: [1, 2],
    isrNodes: isr,
    offlineReplicas: [],
  })),
  topicAuthorizedOperations: -2_147_483_648,
})

const RELIABLE = { epochsAreReliable: true, isListed: (nodeId: number) => nodeId <= 3 }
const UNRELIABLE = { ...RELIABLE, epochsAreReliable: false }

const merge = (known: TopicMetadata | undefined, parts: readonly Part[], id = 0, context = RELIABLE): TopicMetadata =>
  mergeTopic(known, answer(parts, id), context)
const leaders = (topic: TopicMetadata): number[] => topic.partitions.map(({ leader }) => leader)
const epochs = (topic: TopicMetadata): number[] => topic.partitions.map(({ leaderEpoch }) => leaderEpoch)

describe('mergeTopic', () => {
  test('partitions stand by index, in whatever order they were answered', () => {
    const topic = merge(undefined, [
      { leader: 3, index: 2 },
      { leader: 1, index: 0 },
      { leader: 2, index: 1 },
    ])
    expect(leaders(topic)).toEqual([1, 2, 3])
    expect(topic.partitions.map(({ partition }) => partition)).toEqual([0, 1, 2])
  })

  test('the same answer again is the same object', () => {
    const topic = merge(undefined, [{ leader: 1, epoch: 4 }, { leader: 2 }], 9)
    expect(merge(topic, [{ leader: 1, epoch: 4 }, { leader: 2 }], 9)).toBe(topic)
  })

  test('a change makes a new topic, of which the unchanged partitions are the same objects', () => {
    const before = merge(undefined, [
      { leader: 1, epoch: 4 },
      { leader: 2, epoch: 4 },
    ])
    const after = merge(before, [
      { leader: 1, epoch: 4 },
      { leader: 3, epoch: 5 },
    ])
    expect(after).not.toBe(before)
    expect(after.partitions[0]).toBe(before.partitions[0])
    expect(leaders(before)).toEqual([1, 2])
    expect(leaders(after)).toEqual([1, 3])
  })

  test('an older leader epoch is ignored, the same or a newer one is taken', () => {
    const known = merge(undefined, [{ leader: 1, epoch: 7 }])
    expect(merge(known, [{ leader: 2, epoch: 6 }])).toBe(known)
    expect(leaders(merge(known, [{ leader: 2, epoch: 8 }]))).toEqual([2])
    expect(merge(known, [{ leader: 1, epoch: 7, isr: [1] }]).partitions[0]?.inSyncReplicas).toEqual([1])
  })

  test('an epoch of -1 is no epoch: the leader is taken, and older epochs stay refused', () => {
    const known = merge(undefined, [{ leader: 1, epoch: 7 }])
    const leaderless = merge(known, [{ leader: -1, epoch: -1, error: 5 }])
    expect(leaders(leaderless)).toEqual([-1])
    expect(epochs(leaderless)).toEqual([7])
    expect(leaders(merge(leaderless, [{ leader: 2, epoch: 6 }]))).toEqual([-1])
    expect(leaders(merge(leaderless, [{ leader: 2, epoch: 8 }]))).toEqual([2])
  })

  test('epochs that went back for good are believed at the sixth answer in a row, not before', () => {
    let topic = merge(undefined, [{ leader: 1, epoch: 7 }])
    for (let count = 1; count <= 5; count++) {
      topic = merge(topic, [{ leader: 2, epoch: 3 }])
      expect(leaders(topic)).toEqual([1])
    }
    topic = merge(topic, [{ leader: 2, epoch: 3 }])
    expect([leaders(topic), epochs(topic)]).toEqual([[2], [3]])
  })

  test('one answer that is not older begins the count anew', () => {
    let topic = merge(undefined, [{ leader: 1, epoch: 7 }])
    for (let count = 1; count <= 5; count++) topic = merge(topic, [{ leader: 2, epoch: 3 }])
    topic = merge(topic, [{ leader: 1, epoch: 7 }])
    topic = merge(topic, [{ leader: 2, epoch: 3 }])
    expect(leaders(topic)).toEqual([1])
  })

  test('below version 9 epochs are not to be relied on (KAFKA-9212): every answer is taken', () => {
    const known = merge(undefined, [{ leader: 1, epoch: 7 }], 0, UNRELIABLE)
    expect(epochs(known)).toEqual([-1])
    expect(leaders(merge(known, [{ leader: 2, epoch: 3 }], 0, UNRELIABLE))).toEqual([2])
  })

  test('another topic id is another topic: any epoch is taken, and partitions of the old one are gone', () => {
    const known = merge(undefined, [{ leader: 1, epoch: 7 }, { leader: 1, epoch: 7 }, { leader: 1 }], 9)
    const anew = merge(known, [{ leader: 2, epoch: 0 }], 10)
    expect(leaders(anew)).toEqual([2])
    expect(epochs(anew)).toEqual([0])
    expect(anew.topicId).toEqual(new Uint8Array(16).fill(10))
    expect(anew.hasTopicId).toBe(true)
  })

  test('a broker that knows no topic ids does not make it another topic', () => {
    const known = merge(undefined, [{ leader: 1, epoch: 7 }], 9)
    const after = merge(known, [{ leader: 2, epoch: 6 }], 0)
    expect(after).toBe(known)
    const without = merge(undefined, [{ leader: 1, epoch: 7 }], 0)
    expect(without.hasTopicId).toBe(false)
    expect(leaders(merge(without, [{ leader: 2, epoch: 6 }], 9))).toEqual([1])
    expect(merge(without, [{ leader: 2, epoch: 6 }], 9).hasTopicId).toBe(true)
  })

  test('the topic id is a copy: the bytes of the answer are not held', () => {
    const raw = answer([{ leader: 1 }], 9)
    const topic = mergeTopic(undefined, raw, RELIABLE)
    raw.topicId.fill(0)
    expect(topic.topicId).toEqual(new Uint8Array(16).fill(9))
  })

  test('a partition left out of an answer keeps what was known; left out six times in a row it is gone', () => {
    let topic = merge(undefined, [{ leader: 1 }, { leader: 2 }])
    for (let count = 1; count <= 5; count++) {
      topic = merge(topic, [{ leader: 1 }])
      expect(leaders(topic)).toEqual([1, 2])
    }
    topic = merge(topic, [{ leader: 1 }])
    expect(leaders(topic)).toEqual([1])
  })

  test('being answered once begins that count anew', () => {
    let topic = merge(undefined, [{ leader: 1 }, { leader: 2 }])
    for (let count = 1; count <= 5; count++) topic = merge(topic, [{ leader: 1 }])
    topic = merge(topic, [{ leader: 1 }, { leader: 2 }])
    topic = merge(topic, [{ leader: 1 }])
    expect(leaders(topic)).toEqual([1, 2])
  })

  test('a gap between partitions has no leader', () => {
    const topic = merge(undefined, [
      { leader: 1, index: 0 },
      { leader: 2, index: 2 },
    ])
    expect(leaders(topic)).toEqual([1, -1, 2])
    expect(topic.partitions[1]).toMatchObject({ partition: 1, leaderEpoch: -1, errorCode: 5, replicas: [] })
  })

  test('an impossible index is passed over and nothing is allocated for it', () => {
    const topic = merge(undefined, [
      { leader: 1, index: 0 },
      { leader: 2, index: 2_147_483_647 },
      { leader: 2, index: -1 },
    ])
    expect(leaders(topic)).toEqual([1])
    expect(merge(undefined, [{ leader: 1, index: -5 }]).partitions).toEqual([])
  })

  test('a leader that the answer does not list as a broker is none', () => {
    const topic = merge(undefined, [{ leader: 4, epoch: 2 }, { leader: 3 }])
    expect(leaders(topic)).toEqual([-1, 3])
    expect(topic.partitions[0]?.errorCode).toBe(5)
    expect(isLeaderless(topic)).toBe(true)
  })

  test('a replica that is not available does not take the leader away', () => {
    const topic = merge(undefined, [{ leader: 1, error: 9 }])
    expect(leaders(topic)).toEqual([1])
    expect(topic.partitions[0]?.errorCode).toBe(9)
    expect(isLeaderless(topic)).toBe(false)
  })
})

describe('withLeader', () => {
  const known = merge(undefined, [
    { leader: 1, epoch: 7 },
    { leader: -1, epoch: -1, error: 5 },
  ])

  test('takes a newer epoch only', () => {
    expect(withLeader(known, 0, 2, 7)).toBeUndefined()
    expect(withLeader(known, 0, 2, 6)).toBeUndefined()
    const after = withLeader(known, 0, 2, 8)
    expect(after && [leaders(after), epochs(after)]).toEqual([
      [2, -1],
      [8, -1],
    ])
    expect(leaders(known)).toEqual([1, -1])
  })

  test('clears the error of a partition that had no leader', () => {
    expect(withLeader(known, 1, 2, 0)?.partitions[1]).toMatchObject({ leader: 2, leaderEpoch: 0, errorCode: 0 })
  })

  test('knows no partition beyond the last, and no leader -1', () => {
    expect(withLeader(known, 2, 2, 9)).toBeUndefined()
    expect(withLeader(known, -1, 2, 9)).toBeUndefined()
    expect(withLeader(known, 0, -1, 9)).toBeUndefined()
    expect(withLeader(known, 1, 2, -1)).toBeUndefined()
  })

  test('a metadata answer that is older than the hint changes nothing', () => {
    const after = withLeader(known, 0, 2, 8)!
    expect(
      merge(after, [
        { leader: 1, epoch: 7 },
        { leader: -1, error: 5 },
      ]),
    ).toBe(after)
  })
})

test('withoutEpochs keeps the leaders and believes whatever comes next', () => {
  const known = withoutEpochs(merge(undefined, [{ leader: 1, epoch: 7 }]))
  expect([leaders(known), epochs(known)]).toEqual([[1], [-1]])
  expect(leaders(merge(known, [{ leader: 2, epoch: 0 }]))).toEqual([2])
})
