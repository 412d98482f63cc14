// Who leads a partition, and when it follows. The producer is whole but for its network.
import { afterEach, describe, expect, test } from 'vitest'
import { HOLD_LEADER } from '../../src/producer/partition.ts'
import type { FakeLane } from '../support/producer/fake-lane.ts'
import { describeBatch, expectNothingLeft, OnePartition } from '../support/producer/stage.ts'

afterEach(expectNothingLeft)

const NOT_LEADER = 6
const BACKOFF_MS = 100

async function proven(options?: ConstructorParameters<typeof OnePartition>[0]): Promise<OnePartition> {
  const stage = new OnePartition(options)
  await stage.prove()
  return stage
}

function openLane(stage: OnePartition, nodeId: number): FakeLane {
  const lane = stage.lane(nodeId)
  lane.open()
  return lane
}

const wireOf = (lane: FakeLane): string[] => lane.requests.flatMap(({ batches }) => batches.map(describeBatch))

describe('another leader', () => {
  test('gets nothing before every request to the old one has landed', async () => {
    const stage = await proven()
    const lane2 = openLane(stage, 2)
    const [a, b] = await stage.fly('a', 'b')
    stage.describe('topic', [{ leader: 2, epoch: 1 }])
    const c = stage.send({ value: 'c' })
    await stage.pass(10)
    a!.request.answer([{ baseOffset: 1 }])
    await stage.pass(10)
    expect(lane2.requests).toEqual([])
    b!.request.answer([{ baseOffset: 2 }])
    await stage.settle()
    expect(wireOf(lane2)).toEqual(['epoch 0 sequence 3: c'])
    lane2.newest.answer([{ baseOffset: 3 }])
    expect(c.outcome).toBe('offset 3')
    stage.expectEmpty()
  })

  test('gets what the old one refused, first and with the same sequences', async () => {
    const stage = await proven()
    const lane2 = openLane(stage, 2)
    const [a, b] = await stage.fly('a', 'b')
    stage.describe('topic', [{ leader: 2, epoch: 1 }])
    stage.send({ value: 'c' })
    a!.request.refuse(NOT_LEADER)
    b!.request.refuse(NOT_LEADER)
    await stage.pass(BACKOFF_MS)
    expect(wireOf(lane2)).toEqual(['epoch 0 sequence 1: a'])
    lane2.newest.answer()
    await stage.pass(10)
    expect(wireOf(lane2)).toEqual(['epoch 0 sequence 1: a', 'epoch 0 sequence 2: b', 'epoch 0 sequence 3: c'])
  })

  test('gets one batch at a time until it has accepted one: what the old one accepts proves nothing', async () => {
    const stage = await proven()
    const lane2 = openLane(stage, 2)
    const [a] = await stage.fly('a')
    stage.describe('topic', [{ leader: 2, epoch: 1 }])
    a!.request.answer()
    stage.send({ value: 'b' })
    await stage.pass(10)
    stage.send({ value: 'c' })
    await stage.pass(10)
    expect(wireOf(lane2)).toEqual(['epoch 0 sequence 2: b'])
    lane2.newest.answer()
    await stage.pass(10)
    stage.send({ value: 'd' })
    await stage.pass(10)
    expect(lane2.flyingCount).toBe(2)
  })

  test('gets what was lost with the connection to the old one, unclear, with the same sequences', async () => {
    const stage = await proven()
    const lane2 = openLane(stage, 2)
    await stage.fly('a')
    stage.lane1.drop()
    stage.describe('topic', [{ leader: 2, epoch: 1 }])
    await stage.settle()
    // A new leader is not waited for.
    expect(wireOf(lane2)).toEqual(['epoch 0 sequence 1: a'])
  })

  test('that is the old one again before anything has landed changes nothing', async () => {
    const stage = await proven()
    const lane2 = openLane(stage, 2)
    const [a] = await stage.fly('a')
    stage.describe('topic', [{ leader: 2, epoch: 1 }])
    stage.describe('topic', [{ leader: 1, epoch: 2 }])
    await stage.fly('b')
    a!.request.answer()
    stage.lane1.newest.answer()
    await stage.pass(10)
    expect(lane2.requests).toEqual([])
    stage.expectEmpty()
  })

  test('is dialled as soon as the partition belongs to it', async () => {
    const stage = await proven()
    stage.describe('topic', [{ leader: 2, epoch: 1 }])
    const sent = stage.send({})
    await stage.settle()
    const lane2 = stage.lane(2)
    expect(lane2.state.kind).toBe('connecting')
    lane2.open()
    await stage.settle()
    lane2.newest.answer([{ baseOffset: 1 }])
    expect(sent.outcome).toBe('offset 1')
  })

  test('ends the back-off that a refusal of the old one began', async () => {
    const stage = await proven()
    const lane2 = openLane(stage, 2)
    const [a] = await stage.fly('a')
    a!.request.refuse(NOT_LEADER)
    await stage.settle()
    expect(lane2.requests).toEqual([])
    stage.describe('topic', [{ leader: 2, epoch: 1 }])
    await stage.settle()
    expect(wireOf(lane2)).toEqual(['epoch 0 sequence 1: a'])
  })

  test('a newer epoch of the same leader ends the back-off too: it has not refused us', async () => {
    const stage = await proven()
    const [a] = await stage.fly('a')
    a!.request.refuse(NOT_LEADER)
    await stage.settle()
    expect(stage.flying).toEqual([])
    stage.describe('topic', [{ leader: 1, epoch: 1 }])
    await stage.settle()
    expect(stage.wire(2)).toEqual(['epoch 0 sequence 1: a'])
  })

  test('other partitions of the topic do not wait with the one that moves', async () => {
    const stage = new OnePartition()
    stage.describe('topic', [1, 1])
    stage.send({ partition: 0, value: 'a' })
    await stage.settle()
    const [flying] = stage.lane1.requests
    stage.describe('topic', [{ leader: 2, epoch: 1 }, 1])
    stage.send({ partition: 0, value: 'b' })
    stage.send({ partition: 1, value: 'other' })
    await stage.pass(1)
    expect(wireOf(stage.lane1)).toEqual(['epoch 0 sequence 0: a', 'epoch 0 sequence 0: other'])
    expect(flying!.isOver).toBe(false)
  })
})

describe("a broker's hint (KIP-951)", () => {
  test('is followed at once: there is no back-off before a leader that has not refused us', async () => {
    const stage = await proven()
    const lane2 = openLane(stage, 2)
    const [a] = await stage.fly('a')
    a!.request.refuse(NOT_LEADER, { currentLeader: { leaderId: 2, leaderEpoch: 1 } })
    await stage.settle()
    expect(wireOf(lane2)).toEqual(['epoch 0 sequence 1: a'])
  })

  test('is followed when the last of five has landed', async () => {
    const stage = await proven()
    const lane2 = openLane(stage, 2)
    const flown = await stage.fly('a', 'b', 'c')
    for (const { request } of flown) {
      expect(lane2.requests).toEqual([])
      request.refuse(NOT_LEADER, { currentLeader: { leaderId: 2, leaderEpoch: 1 } })
      await stage.settle()
    }
    expect(wireOf(lane2)).toEqual(['epoch 0 sequence 1: a'])
  })

  test('of an epoch that is known already changes nothing: the back-off is kept', async () => {
    const stage = await proven()
    const lane2 = openLane(stage, 2)
    const [a] = await stage.fly('a')
    a!.request.refuse(NOT_LEADER, { currentLeader: { leaderId: 2, leaderEpoch: 0 } })
    await stage.pass(BACKOFF_MS - 1)
    expect(lane2.requests).toEqual([])
    expect(stage.lane1.flyingCount).toBe(0)
    await stage.pass(1)
    expect(stage.lane1.flyingCount).toBe(1)
  })

  test.each([
    { leaderId: -1, leaderEpoch: 3 },
    { leaderId: 2, leaderEpoch: -1 },
  ])('%o says nothing', async (currentLeader) => {
    const stage = await proven()
    const lane2 = openLane(stage, 2)
    const [a] = await stage.fly('a')
    a!.request.refuse(NOT_LEADER, { currentLeader })
    await stage.pass(BACKOFF_MS)
    expect(lane2.requests).toEqual([])
    expect(stage.lane1.flyingCount).toBe(1)
  })

  test('beside a success is not looked at', async () => {
    const stage = await proven()
    openLane(stage, 2)
    const [a] = await stage.fly('a')
    a!.request.answer([{ currentLeader: { leaderId: 2, leaderEpoch: 1 } }])
    await stage.fly('b')
    expect(stage.lane1.newest.isOver).toBe(false)
  })
})

describe('no leader', () => {
  test('holds the partition, and nobody else, until there is one again', async () => {
    const stage = new OnePartition()
    stage.describe('topic', [1, { leader: -1 }])
    stage.send({ partition: 1, value: 'waits' })
    stage.send({ partition: 0, value: 'goes' })
    await stage.settle()
    expect(wireOf(stage.lane1)).toEqual(['epoch 0 sequence 0: goes'])
    expect(stage.partition('topic', 1).hold).toBe(HOLD_LEADER)
    stage.describe('topic', [1, { leader: 1, epoch: 1 }])
    await stage.pass(1)
    expect(wireOf(stage.lane1)).toEqual(['epoch 0 sequence 0: goes', 'epoch 0 sequence 0: waits'])
  })

  test('lost and found again on the same node: what waited goes on where it was', async () => {
    const stage = await proven()
    const [a] = await stage.fly('a')
    stage.describe('topic', [{ leader: -1, epoch: 1 }])
    a!.request.answer()
    stage.send({ value: 'b' })
    await stage.pass(10)
    const before = stage.lane1.requests.length
    stage.describe('topic', [{ leader: 1, epoch: 2 }])
    await stage.settle()
    expect(stage.wire(before)).toEqual(['epoch 0 sequence 2: b'])
  })

  test('a refused batch waits for the leader, not for its back-off alone', async () => {
    const stage = await proven()
    const [a] = await stage.fly('a')
    stage.describe('topic', [{ leader: -1, epoch: 1 }])
    a!.request.refuse(NOT_LEADER)
    const before = stage.lane1.requests.length
    await stage.pass(10 * BACKOFF_MS)
    expect(stage.wire(before)).toEqual([])
    stage.describe('topic', [{ leader: 1, epoch: 2 }])
    await stage.settle()
    expect(stage.wire(before)).toEqual(['epoch 0 sequence 1: a'])
  })

  test('of a partition that was about to move: it still moves', async () => {
    const stage = await proven()
    const lane3 = openLane(stage, 3)
    const [a] = await stage.fly('a')
    stage.describe('topic', [{ leader: 2, epoch: 1 }])
    stage.describe('topic', [{ leader: -1, epoch: 2 }])
    stage.describe('topic', [{ leader: 3, epoch: 3 }])
    stage.send({ value: 'b' })
    a!.request.answer()
    await stage.settle()
    expect(wireOf(lane3)).toEqual(['epoch 0 sequence 2: b'])
  })
})

describe('partitions come and go', () => {
  test('a partition that is gone from the metadata keeps its records and its sequences until it is back', async () => {
    const stage = new OnePartition()
    stage.describe('topic', [1, 1])
    stage.send({ partition: 1, value: 'a' })
    await stage.settle()
    stage.lane1.newest.answer()
    stage.describe('topic', [1])
    const waiting = stage.send({ partition: 1, value: 'b' })
    await stage.pass(100)
    expect(waiting.outcome).toBe('out')
    stage.describe('topic', [1, { leader: 1, epoch: 1 }])
    await stage.settle()
    expect(wireOf(stage.lane1)).toEqual(['epoch 0 sequence 0: a', 'epoch 0 sequence 1: b'])
    stage.lane1.newest.answer([{ index: 1, baseOffset: 1 }])
    expect(waiting.outcome).toBe('offset 1')
    stage.expectEmpty()
  })

  test('a record for a partition that is not there yet leaves when it is', async () => {
    const stage = new OnePartition()
    const early = stage.send({ partition: 3, value: 'early' })
    await stage.pass(100)
    expect(stage.refreshes).toContain('a partition is missing')
    stage.describe('topic', [1, 1, 1, 1])
    await stage.settle()
    expect(wireOf(stage.lane1)).toEqual(['epoch 0 sequence 0: early'])
    stage.lane1.newest.answer()
    expect(early.metadata).toMatchObject({ partition: 3, offset: 0 })
    stage.expectEmpty()
  })

  test('a topic made anew has none of our state: one batch at a time until its leader has accepted us', async () => {
    const id = (byte: number): Uint8Array => new Uint8Array(16).fill(byte)
    const stage = new OnePartition()
    stage.describe('topic', [1], id(1))
    await stage.prove()
    stage.describe('topic', [{ leader: 1, epoch: 0 }], id(2))
    stage.send({ value: 'a' })
    await stage.pass(10)
    stage.send({ value: 'b' })
    await stage.pass(10)
    expect(stage.lane1.flyingCount).toBe(1)
    expect(stage.lane1.newest.request.topicData[0]!.topicId).toEqual(id(2))
    stage.lane1.newest.answer()
    await stage.settle()
    expect(stage.lane1.flyingCount).toBe(1)
    stage.send({ value: 'c' })
    await stage.pass(10)
    expect(stage.lane1.flyingCount).toBe(2)
  })

  test('metadata that says nothing new changes nothing', async () => {
    const stage = await proven()
    await stage.fly('a')
    stage.describe('topic', [1])
    await stage.fly('b')
    expect(stage.lane1.flyingCount).toBe(2)
  })
})
