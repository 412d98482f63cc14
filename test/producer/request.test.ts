import { describe, expect, test } from 'vitest'
import type { Lane } from '../../src/net/lane.ts'
import type { TopicMetadata } from '../../src/net/topics.ts'
import type { Batch } from '../../src/producer/batch.ts'
import { HOLD_BACKOFF, Partition } from '../../src/producer/partition.ts'
import {
  type Flight,
  fullBytes,
  groupByTopic,
  needsNames,
  pickBatches,
  produceMessage,
} from '../../src/producer/request.ts'
import { SenderLane, type SendWindow } from '../../src/producer/sender-lane.ts'
import type { Topic } from '../../src/producer/topic.ts'

/** What the choice of batches looks at. */
function batch(bytes: number, order = 0): Batch {
  const content = Buffer.alloc(bytes, order)
  return { state: 'ready', order, isUnclear: false, byteLength: bytes, bytes: () => content } as unknown as Batch
}

function topic(name: string, id?: number): Topic {
  const topicId = new Uint8Array(16).fill(id ?? 0)
  return { name, metadata: { topicId, hasTopicId: id !== undefined } as TopicMetadata } as Topic
}

const TOPIC = topic('t')

/** Drainable, with closed batches of so many bytes, and perhaps an open one. */
function partition(index: number, ready: readonly number[], open?: number, of = TOPIC): Partition {
  const made = new Partition(of, index, false)
  made.hold = 0
  made.ready = ready.map((bytes, i) => batch(bytes, i))
  if (open !== undefined) made.open = batch(open, 99)
  return made
}

function laneOf(...partitions: Partition[]): SenderLane {
  const lane = new SenderLane({} as Lane)
  for (const each of partitions) lane.add(each)
  return lane
}

interface PickOptions {
  readonly window?: SendWindow
  readonly maxRequestSize?: number
  readonly isOpenDue?: (batch: Batch) => boolean
  readonly mayLeave?: (partition: Partition) => boolean
}

/** `'partition:bytes'` of each batch that leaves. */
function pick(lane: SenderLane, options: PickOptions = {}): string[] {
  const { window = 'everything', maxRequestSize = 1_000_000, isOpenDue = () => true, mayLeave = () => true } = options
  const flights = pickBatches(lane, window, maxRequestSize, isOpenDue, mayLeave)
  return flights.map(({ partition: of, batch: picked }) => `${of.index}:${picked.byteLength}`)
}

const due = (lane: SenderLane): number[] => lane.due.map(({ index }) => index)

describe('which batches leave together', () => {
  test('the oldest of every partition, and no second one', () => {
    const lane = laneOf(partition(0, [10, 11]), partition(1, [20]), partition(2, []))
    expect(pick(lane)).toEqual(['0:10', '1:20'])
    expect(due(lane)).toEqual([0])
    expect(pick(lane)).toEqual(['0:11'])
    expect(due(lane)).toEqual([])
  })

  test('an open batch that is due is closed and leaves', () => {
    const open = partition(0, [], 10)
    const lane = laneOf(open)
    expect(pick(lane)).toEqual(['0:10'])
    expect(open.open).toBeNull()
    expect(due(lane)).toEqual([])
  })

  test('an open batch that is not due stays open, and its partition in the ring', () => {
    const open = partition(0, [], 10)
    const lane = laneOf(open)
    expect(pick(lane, { isOpenDue: () => false })).toEqual([])
    expect(open.open).not.toBeNull()
    expect(due(lane)).toEqual([0])
  })

  test('an open batch never leaves before closed ones of its partition', () => {
    const lane = laneOf(partition(0, [5], 10))
    expect(pick(lane)).toEqual(['0:5'])
    expect(pick(lane)).toEqual(['0:10'])
  })

  test('when only full batches may leave, open ones are not even asked', () => {
    const lane = laneOf(partition(0, [], 10), partition(1, [20]))
    const isOpenDue = (): boolean => {
      throw new Error('asked')
    }
    expect(pick(lane, { window: 'full', isOpenDue })).toEqual(['1:20'])
    expect(due(lane)).toEqual([0])
  })

  test('during a rebase an open batch stays', () => {
    const rebasing = partition(0, [], 10)
    rebasing.sequences.isRebasing = true
    const lane = laneOf(rebasing)
    expect(pick(lane)).toEqual([])
    expect(rebasing.open).not.toBeNull()
  })
})

describe('the size of a request', () => {
  test('is at most maxRequestSize; who was left out comes first the next time, who was served last', () => {
    const lane = laneOf(partition(0, [400, 401]), partition(1, [400]), partition(2, [400]))
    expect(pick(lane, { maxRequestSize: 1_000 })).toEqual(['0:400', '1:400'])
    expect(due(lane)).toEqual([2, 0])
    expect(pick(lane, { maxRequestSize: 1_000 })).toEqual(['2:400', '0:401'])
  })

  test('exactly maxRequestSize fits', () => {
    expect(pick(laneOf(partition(0, [600]), partition(1, [400])), { maxRequestSize: 1_000 })).toEqual([
      '0:600',
      '1:400',
    ])
  })

  test('a batch that is larger than that leaves alone', () => {
    const lane = laneOf(partition(0, [5_000]), partition(1, [10]))
    expect(pick(lane, { maxRequestSize: 1_000 })).toEqual(['0:5000'])
    expect(pick(lane, { maxRequestSize: 1_000 })).toEqual(['1:10'])
  })

  test('behind a batch that does not fit nobody else is served: large ones do not starve', () => {
    const lane = laneOf(partition(0, [100]), partition(1, [950]), partition(2, [10]))
    expect(pick(lane, { maxRequestSize: 1_000 })).toEqual(['0:100'])
    expect(due(lane)).toEqual([1, 2])
  })
})

describe('partitions that may not send', () => {
  test('are passed over, and leave the ring until they may', () => {
    const held = partition(0, [10])
    held.hold = HOLD_BACKOFF
    const lane = laneOf(held, partition(1, [20]))
    expect(pick(lane)).toEqual(['1:20'])
    expect(due(lane)).toEqual([])
    expect(held.isDue).toBe(false)
    held.hold = 0
    lane.add(held)
    expect(pick(lane)).toEqual(['0:10'])
  })

  test('one that lacks an identity stays in the ring', () => {
    const lane = laneOf(partition(0, [10]), partition(1, [20]))
    expect(pick(lane, { mayLeave: ({ index }) => index === 1 })).toEqual(['1:20'])
    expect(due(lane)).toEqual([0])
  })

  test('one whose only batch flies, unproven, leaves the ring', () => {
    const unproven = new Partition(TOPIC, 0, true)
    unproven.hold = 0
    unproven.ready = [batch(10, 0), batch(11, 1)]
    const lane = laneOf(unproven)
    expect(pick(lane)).toEqual(['0:10'])
    expect(pick(lane)).toEqual([])
    expect(due(lane)).toEqual([])
  })
})

test('full bytes are those of the batch of each partition that would leave', () => {
  const held = partition(2, [1_000])
  held.hold = HOLD_BACKOFF
  expect(fullBytes(laneOf(partition(0, [10, 11]), partition(1, [], 500), held, partition(3, [20])))).toBe(30)
})

describe('the message', () => {
  const flight = (of: Partition): Flight => ({ partition: of, batch: of.ready[0]!, isAnswered: false })

  test('has each topic once, with its partitions in their order', () => {
    const a = topic('a')
    const b = topic('b')
    const flights = [
      partition(3, [10], undefined, a),
      partition(0, [20], undefined, b),
      partition(1, [30], undefined, a),
    ]
    const groups = groupByTopic(flights.map(flight))
    const message = produceMessage(groups, -1, 30_000)
    expect(message).toMatchObject({ transactionalId: null, acks: -1, timeoutMs: 30_000 })
    expect(message.topicData.map(({ name, partitionData }) => [name, partitionData.map(({ index }) => index)])).toEqual(
      [
        ['a', [3, 1]],
        ['b', [0]],
      ],
    )
  })

  test("links the batches' own bytes", () => {
    const one = partition(0, [10])
    const message = produceMessage(groupByTopic([flight(one)]), 1, 1)
    expect(message.topicData[0]!.partitionData[0]!.records![0]).toBe(one.ready[0]!.bytes())
  })

  test('needs names as soon as one topic has no id', () => {
    const withId = groupByTopic([flight(partition(0, [1], undefined, topic('a', 1)))])
    const without = groupByTopic([flight(partition(0, [1], undefined, topic('b')))])
    expect(needsNames(withId)).toBe(false)
    expect(needsNames(without)).toBe(true)
    expect(needsNames([...withId, ...without])).toBe(true)
    expect(withId[0]!.topicId).toEqual(new Uint8Array(16).fill(1))
  })

  test('of a topic that nothing is known of has a name and an id of zeros', () => {
    const unknown = { name: 'x', metadata: null } as Topic
    const groups = groupByTopic([flight(partition(0, [1], undefined, unknown))])
    expect(needsNames(groups)).toBe(true)
    expect(groups[0]!.topicId).toEqual(new Uint8Array(16))
  })
})
