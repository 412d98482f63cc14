import { describe, expect, test } from 'vitest'
import { TopicBook } from '../../src/net/topic-book.ts'
import type { MetadataResponseTopic } from '../../src/protocol/messages/metadata.ts'

const OPTIONS = { retryBackoffMs: 100, retryBackoffMaxMs: 1_000, metadataMaxIdleMs: 10_000, random: () => 0.5 }
const CONTEXT = { epochsAreReliable: true, isListed: () => true }
const NEVER = Number.POSITIVE_INFINITY

const answer = (name: string | null, leaders: readonly number[], errorCode = 0): MetadataResponseTopic => ({
  errorCode,
  name,
  topicId: new Uint8Array(16),
  isInternal: false,
  partitions: leaders.map((leaderId, partitionIndex) => ({
    errorCode: 0,
    partitionIndex,
    leaderId,
    leaderEpoch: 5,
    replicaNodes: [1],
    isrNodes: [1],
    offlineReplicas: [],
  })),
  topicAuthorizedOperations: 0,
})

const book = (...names: string[]): TopicBook => {
  const made = new TopicBook(OPTIONS)
  for (const name of names) made.track(name, 0)
  return made
}

const take = (topics: TopicBook, answers: readonly MetadataResponseTopic[], now = 0): string[] => [
  ...topics.accept(topics.names(), answers, CONTEXT, now),
]

describe('what must be asked for', () => {
  test('a topic nobody tracked before, now', () => {
    const topics = new TopicBook(OPTIONS)
    expect(topics.nextAskAt()).toBe(NEVER)
    expect(topics.track('a', 7)).toBe(true)
    expect(topics.track('a', 8)).toBe(false)
    expect(topics.nextAskAt()).toBe(7)
    expect(topics.namesDue(6)).toEqual([])
    expect(topics.namesDue(7)).toEqual(['a'])
    expect(topics.size).toBe(1)
  })

  test('a known topic whose partitions all have leaders, not at all', () => {
    const topics = book('a')
    expect(take(topics, [answer('a', [1, 2])])).toEqual(['a'])
    expect(topics.nextAskAt()).toBe(NEVER)
    expect(topics.namesToRefresh()).toEqual(['a'])
  })

  test('one that was left out of the answer, after a back-off', () => {
    const topics = book('a', 'b')
    expect(take(topics, [answer('a', [1]), answer(null, [1])])).toEqual(['a'])
    expect(topics.nextAskAt()).toBe(100)
    expect(topics.namesDue(100)).toEqual(['b'])
    expect(topics.error('b')).toBeUndefined()
  })

  test('not one that was refused, until it is tracked again, and then not before its back-off is over', () => {
    const topics = book('a')
    expect(take(topics, [answer('a', [], 29)])).toEqual(['a'])
    expect([topics.nextAskAt(), topics.namesToRefresh()]).toEqual([NEVER, []])
    expect(topics.track('a', 20)).toBe(true)
    expect(topics.error('a')).toBeUndefined()
    expect([topics.nextAskAt(), topics.namesToRefresh()]).toEqual([100, ['a']])
    take(topics, [answer('a', [], 29)], 100)
    topics.track('a', 110)
    expect(topics.nextAskAt()).toBe(300)
    topics.untrack('a')
    topics.track('a', 120)
    expect(topics.nextAskAt()).toBe(120)
  })

  test('a hint that gives the last leaderless partition its leader ends the asking', () => {
    const topics = book('a')
    take(topics, [answer('a', [1, -1])])
    expect(topics.nextAskAt()).toBe(100)
    expect(topics.acceptLeader('a', 1, 2, 6)).toBe(true)
    expect(topics.nextAskAt()).toBe(NEVER)
    expect(topics.acceptLeader('a', 1, 3, 6)).toBe(false)
    expect(topics.acceptLeader('b', 1, 3, 6)).toBe(false)
  })
})

describe('what changed', () => {
  test('only topics of which something else is to be said now', () => {
    const topics = book('a', 'b', 'c')
    expect(take(topics, [answer('a', [1]), answer('b', [], 3), answer('c', [])])).toEqual(['a', 'b', 'c'])
    expect(take(topics, [answer('a', [1]), answer('b', [], 3), answer('c', [])])).toEqual([])
    expect(take(topics, [answer('a', [1]), answer('b', [], 5), answer('c', [1])])).toEqual(['b', 'c'])
    expect([topics.error('b')?.code, topics.error('c')]).toEqual([5, undefined])
  })

  test('an answer about a topic that nobody asked for, or tracks, is passed over', () => {
    const topics = book('a')
    expect([
      ...topics.accept(['a', 'gone'], [answer('a', [1]), answer('gone', [1]), answer('x', [1])], CONTEXT, 0),
    ]).toEqual(['a'])
    expect(topics.names()).toEqual(['a'])
  })
})

describe('dropIdle', () => {
  test('drops what was known or refused and not used since, never what is still asked for', () => {
    const topics = book('known', 'refused', 'unknown', 'used')
    take(topics, [answer('known', [1]), answer('refused', [], 17), answer('unknown', [], 3), answer('used', [1])])
    topics.touch('used', 5_000)
    topics.touch('nobody', 5_000)
    expect(topics.dropIdle(9_999)).toEqual([])
    expect(topics.dropIdle(10_000)).toEqual(['known', 'refused'])
    expect(topics.names()).toEqual(['unknown', 'used'])
  })

  test('tracking is using', () => {
    const topics = book('known')
    take(topics, [answer('known', [1])])
    topics.track('known', 5_000)
    expect(topics.dropIdle(14_999)).toEqual([])
    expect(topics.dropIdle(15_000)).toEqual(['known'])
  })
})
