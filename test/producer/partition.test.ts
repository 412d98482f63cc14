import { describe, expect, test } from 'vitest'
import type { Batch } from '../../src/producer/batch.ts'
import { HOLD_BACKOFF, HOLD_LEADER, HOLD_MOVING, Partition } from '../../src/producer/partition.ts'
import type { Topic } from '../../src/producer/topic.ts'

/** What a partition touches of a batch. */
interface SomeBatch {
  readonly name: string
  state: Batch['state']
  order: number
  isUnclear: boolean
  readonly byteLength: number
}

function batch(name: string, order: number, changes: Partial<SomeBatch> = {}): Batch {
  const some: SomeBatch = { name, state: 'ready', order, isUnclear: false, byteLength: 100, ...changes }
  return some as unknown as Batch
}

const namesOf = (batches: readonly Batch[]): string[] => batches.map((each) => (each as unknown as SomeBatch).name)

/** Drainable, with these batches waiting. */
function partition(isIdempotent: boolean, ...ready: Batch[]): Partition {
  const made = new Partition({} as Topic, 0, isIdempotent)
  made.hold = 0
  made.ready = ready
  return made
}

describe('what may leave next', () => {
  test('the oldest batch that waits', () => {
    const a = batch('a', 1)
    expect(partition(false, a, batch('b', 2)).nextReady()).toBe(a)
    expect(partition(false).nextReady()).toBeNull()
  })

  test('nothing, for whatever reason it is held', () => {
    for (const hold of [HOLD_LEADER, HOLD_BACKOFF, HOLD_MOVING, HOLD_BACKOFF | HOLD_MOVING]) {
      const held = partition(false, batch('a', 1))
      held.hold = hold
      expect(held.nextReady()).toBeNull()
    }
  })

  test('a new partition is held until it has a leader', () => {
    expect(new Partition({} as Topic, 0, true).hold).toBe(HOLD_LEADER)
  })

  test('one batch until the leader has accepted one; then more', () => {
    const unproven = partition(true, batch('a', 1), batch('b', 2))
    unproven.takeOff(unproven.nextReady()!)
    expect(unproven.nextReady()).toBeNull()
    unproven.sequences.isProven = true
    expect(namesOf([unproven.nextReady()!])).toEqual(['b'])
  })

  test('during a rebase the unclear batches alone, oldest first', () => {
    const rebasing = partition(
      true,
      batch('a', 1),
      batch('b', 2, { isUnclear: true }),
      batch('c', 3, { isUnclear: true }),
      batch('d', 4),
    )
    rebasing.sequences.startRebase()
    expect(namesOf([rebasing.nextReady()!])).toEqual(['b'])
    rebasing.takeOff(rebasing.nextReady()!)
    // One at a time.
    expect(rebasing.nextReady()).toBeNull()
    rebasing.land(rebasing.flying[0]!)
    expect(namesOf([rebasing.nextReady()!])).toEqual(['c'])
    rebasing.remove(rebasing.nextReady()!)
    expect(rebasing.nextReady()).toBeNull()
  })
})

describe('the way through the partition', () => {
  test('an open batch that is closed waits behind the others, and leaves its size for the next region', () => {
    const closing = partition(false, batch('a', 1))
    const open = batch('b', 2, { state: 'open', byteLength: 777 })
    closing.open = open
    expect(closing.queueLength).toBe(2)
    closing.closeOpen()
    expect(namesOf(closing.ready)).toEqual(['a', 'b'])
    expect(open.state).toBe('ready')
    expect(closing).toMatchObject({ open: null, sizeHint: 777, queueLength: 2 })
    closing.closeOpen()
    expect(namesOf(closing.ready)).toEqual(['a', 'b'])
  })

  test('a batch that takes off flies behind those that fly', () => {
    const flying = partition(false, batch('a', 1), batch('b', 2), batch('c', 3))
    flying.takeOff(flying.ready[0]!)
    flying.takeOff(flying.ready[0]!)
    expect([namesOf(flying.flying), namesOf(flying.ready)]).toEqual([['a', 'b'], ['c']])
    expect(flying.flying.map(({ state }) => state)).toEqual(['flying', 'flying'])
  })

  test('what comes back takes its place, in whatever order it comes', () => {
    const a = batch('a', 1)
    const b = batch('b', 2)
    const c = batch('c', 3)
    for (const back of [
      [a, b, c],
      [c, b, a],
      [b, c, a],
      [c, a, b],
    ]) {
      const landing = partition(false, batch('new', 4))
      for (const each of back) landing.putBack(each)
      expect(namesOf(landing.ready)).toEqual(['a', 'b', 'c', 'new'])
    }
  })

  test('the children of a batch take its place, in their order', () => {
    const splitting = partition(false, batch('a', 1), batch('c', 3))
    splitting.replace([batch('b1', 2), batch('b2', 2.5)], 2)
    expect(namesOf(splitting.ready)).toEqual(['a', 'b1', 'b2', 'c'])
    splitting.replace([], 4)
    expect(namesOf(splitting.ready)).toEqual(['a', 'b1', 'b2', 'c'])
  })

  test('a batch is removed from wherever it waits; one that flies stays in flight', () => {
    const a = batch('a', 1)
    const b = batch('b', 2)
    const c = batch('c', 3)
    const removing = partition(false, a, b)
    removing.open = c
    removing.takeOff(a)
    removing.remove(b)
    removing.remove(c)
    removing.remove(a)
    expect(removing).toMatchObject({ open: null, ready: [] })
    expect(namesOf(removing.flying)).toEqual(['a'])
    expect(removing.hasSomething).toBe(false)
  })

  test('landing a batch that does not fly changes nothing', () => {
    const landing = partition(false, batch('a', 1))
    landing.land(batch('b', 2))
    expect(namesOf(landing.ready)).toEqual(['a'])
  })
})
