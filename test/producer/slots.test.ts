import { describe, expect, test } from 'vitest'
import { SLOT_CALLBACK, SLOT_GONE, SLOT_NOBODY, SLOT_PROMISE, Slots, SlotsPool } from '../../src/producer/slots.ts'

/** Slot `at` filled with values that tell which one it is. */
function fill(slots: Slots, at: number): void {
  slots.kinds[at] = at % 2 === 0 ? SLOT_PROMISE : SLOT_CALLBACK
  slots.keyBytes[at] = at - 1
  slots.valueBytes[at] = at * 1000
  slots.timestamps[at] = 1_700_000_000_000 + at
  slots.first[at] = `first ${at}`
  slots.second[at] = `second ${at}`
}

function contents(slots: Slots, at: number): unknown[] {
  return [
    slots.kinds[at],
    slots.keyBytes[at],
    slots.valueBytes[at],
    slots.timestamps[at],
    slots.first[at],
    slots.second[at],
  ]
}

describe('slots', () => {
  test('growing keeps everything and doubles the room', () => {
    const slots = new Slots()
    const before = slots.capacity
    for (let i = 0; i < before; i++) fill(slots, i)
    const kept = Array.from({ length: before }, (_, i) => contents(slots, i))
    slots.grow()
    expect(slots.capacity).toBe(before * 2)
    expect(slots.kinds).toHaveLength(before * 2)
    expect(Array.from({ length: before }, (_, i) => contents(slots, i))).toEqual(kept)
  })

  test('timestamps keep what 32 bits do not hold', () => {
    const slots = new Slots()
    slots.timestamps[0] = 8_640_000_000_000_000
    expect(slots.timestamps[0]).toBe(8_640_000_000_000_000)
  })

  test('a slot whose kind was taken is gone for its batch', () => {
    const slots = new Slots()
    fill(slots, 1)
    expect(slots.isGone(1)).toBe(false)
    expect(slots.takeKind(1)).toBe(SLOT_CALLBACK)
    expect(slots.isGone(1)).toBe(true)
    expect(slots.takeKind(1)).toBe(SLOT_GONE)
  })

  test('moving a slot takes it out of its source, functions included, so that nobody settles it twice', () => {
    const source = new Slots()
    const target = new Slots()
    fill(source, 4)
    const moved = contents(source, 4)
    target.moveFrom(source, 4, 0)
    expect(contents(target, 0)).toEqual(moved)
    expect(source.isGone(4)).toBe(true)
    expect([source.first[4], source.second[4]]).toEqual([undefined, undefined])
  })

  test('moving to a place beyond the capacity grows as often as it takes', () => {
    const source = new Slots()
    const target = new Slots()
    fill(source, 7)
    target.moveFrom(source, 7, 1000)
    expect(target.capacity).toBe(1024)
    expect(target.first[1000]).toBe('first 7')
    expect(target.kinds[1000]).toBe(SLOT_CALLBACK)
  })

  test('a record that nobody waits for is a kind of its own, not a gone one', () => {
    const slots = new Slots()
    slots.kinds[0] = SLOT_NOBODY
    expect(slots.isGone(0)).toBe(false)
  })
})

describe('the pool', () => {
  test('gives what came back last, with the room it has grown to', () => {
    const pool = new SlotsPool()
    const [first, second] = [pool.take(), pool.take()]
    expect(second).not.toBe(first)
    second.grow()
    pool.give(first)
    pool.give(second)
    expect(pool.take()).toBe(second)
    expect(pool.take()).toBe(first)
    expect(pool.take()).not.toBe(first)
  })

  test('keeps 1,048,576 slots in all and no more, however large a burst was', () => {
    const pool = new SlotsPool()
    const large = Array.from({ length: 3 }, () => {
      const slots = new Slots()
      while (slots.capacity < 1 << 19) slots.grow()
      return slots
    })
    for (const slots of large) pool.give(slots)
    const small = new Slots()
    pool.give(small)
    expect([pool.take(), pool.take()]).toEqual([large[1], large[0]])
    const fresh = pool.take()
    expect(large).not.toContain(fresh)
    expect(fresh).not.toBe(small)
    // What was taken makes room again.
    pool.give(large[2]!)
    expect(pool.take()).toBe(large[2])
  })
})
