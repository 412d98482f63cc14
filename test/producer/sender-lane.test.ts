import { describe, expect, test } from 'vitest'
import type { Lane } from '../../src/net/lane.ts'
import type { Batch } from '../../src/producer/batch.ts'
import { Partition } from '../../src/producer/partition.ts'
import { GATHER_BYTES, GATHER_MS, SenderLane } from '../../src/producer/sender-lane.ts'
import type { Topic } from '../../src/producer/topic.ts'
import { FakeLane } from '../support/producer/fake-lane.ts'

const NOW = 5_000

function lane(): { readonly lane: SenderLane; readonly net: FakeLane } {
  const net = new FakeLane(
    1,
    () => NOW,
    () => {},
  )
  net.open()
  return { lane: new SenderLane(net as unknown as Lane), net }
}

const partition = (index: number): Partition => new Partition({} as Topic, index, false)

/** One request flies, sent just now. */
function busy(): { readonly lane: SenderLane; readonly net: FakeLane } {
  const made = lane()
  made.net.flyingCount = 1
  made.lane.isAnswered = false
  made.lane.lastRequestAt = NOW
  return made
}

describe('what may leave now', () => {
  test('gathers up to 256 KiB or 1 ms', () => {
    expect([GATHER_BYTES, GATHER_MS]).toEqual([262_144, 1])
  })

  test('everything while nothing flies', () => {
    const { lane: idle } = lane()
    idle.isAnswered = false
    idle.lastRequestAt = NOW
    expect(idle.window(NOW, 0)).toBe('everything')
  })

  test('nothing while something flies that left just now', () => {
    expect(busy().lane.window(NOW, 0)).toBe('nothing')
    expect(busy().lane.window(NOW + 0.99, 262_143)).toBe('nothing')
  })

  test('full batches from 256 KiB on', () => {
    expect(busy().lane.window(NOW, 262_144)).toBe('full')
  })

  test('everything 1 ms after the last request', () => {
    expect(busy().lane.window(NOW + 1, 0)).toBe('everything')
  })

  test('everything after an answer', () => {
    const { lane: answered } = busy()
    answered.isAnswered = true
    expect(answered.window(NOW, 0)).toBe('everything')
  })
})

describe('the ring of partitions', () => {
  test('has each partition once, in the order in which they came', () => {
    const ring = lane().lane
    const [a, b] = [partition(0), partition(1)]
    for (const each of [a, b, a, b, a]) ring.add(each)
    expect(ring.due).toEqual([a, b])
  })

  test('a partition that left it can come again, at the end', () => {
    const ring = lane().lane
    const [a, b] = [partition(0), partition(1)]
    ring.add(a)
    ring.add(b)
    ring.remove(a)
    expect(ring.due).toEqual([b])
    ring.add(a)
    expect(ring.due).toEqual([b, a])
  })

  test('leaves out those that have nothing any more; they can come again', () => {
    const ring = lane().lane
    const [a, b] = [partition(0), partition(1)]
    ring.add(a)
    ring.add(b)
    b.ready.push({} as Batch)
    ring.dropIdle()
    expect(ring.due).toEqual([b])
    ring.add(a)
    expect(ring.due).toEqual([b, a])
  })

  test('removing one that is not in it changes nothing', () => {
    const ring = lane().lane
    const a = partition(0)
    ring.add(a)
    ring.remove(partition(1))
    expect(ring.due).toEqual([a])
  })
})

test('a lane that may not send, or whose socket still holds much, gets nothing', () => {
  const { lane: made, net } = lane()
  expect(made.canSend(NOW, 5)).toBe(true)
  net.flyingCount = 5
  expect(made.canSend(NOW, 5)).toBe(false)
  net.flyingCount = 0
  net.unsentBytes = 1_048_576
  expect(made.canSend(NOW, 5)).toBe(false)
})
