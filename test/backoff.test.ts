import { describe, expect, test } from 'vitest'
import { backoffMs } from '../src/backoff.ts'

const middle = (): number => 0.5

describe('backoffMs', () => {
  test('doubles with every failure up to the maximum', () => {
    const delays = [0, 1, 2, 3, 4, 5, 6].map((attempt) => backoffMs(attempt, 50, 1_000, middle))
    expect(delays).toEqual([50, 100, 200, 400, 800, 1_000, 1_000])
  })

  test('spreads by 20 % to either side', () => {
    expect(backoffMs(0, 100, 1_000, () => 0)).toBe(80)
    expect(backoffMs(0, 100, 1_000, () => 1)).toBeCloseTo(120)
    expect(backoffMs(2, 100, 1_000, () => 0)).toBe(320)
  })

  test('stays at or below the maximum, jitter included', () => {
    expect(backoffMs(9, 100, 1_000, () => 0.999)).toBe(1_000)
    expect(backoffMs(9, 100, 1_000, () => 0)).toBe(800)
  })

  test('a base above the maximum gives the maximum', () => {
    expect(backoffMs(0, 5_000, 1_000, middle)).toBe(1_000)
  })

  test('after ever so many failures it is a number still, with a base of 0 too', () => {
    expect(backoffMs(1e9, 100, 1_000, middle)).toBe(1_000)
    expect(backoffMs(1e9, 0, 1_000, middle)).toBe(0)
  })
})
