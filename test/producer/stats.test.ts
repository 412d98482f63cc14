// Counters, spreads and histograms over two windows.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Counter, Histogram, Spread } from '../../src/producer/stats.ts'

describe('Counter', () => {
  test('the total never forgets, the rest covers this window and the one before', () => {
    const counter = new Counter()
    counter.add(3)
    counter.roll(false)
    counter.add(4)
    expect([counter.total, counter.recent]).toEqual([7, 7])
    counter.roll(false)
    expect([counter.total, counter.recent]).toEqual([7, 4])
    counter.roll(false)
    expect([counter.total, counter.recent]).toEqual([7, 0])
  })

  test('after windows in which nobody looked nothing is recent', () => {
    const counter = new Counter()
    counter.add(3)
    counter.roll(true)
    expect([counter.total, counter.recent]).toEqual([3, 0])
  })
})

describe('Spread', () => {
  test('without a sample mean and maximum are 0', () => {
    const spread = new Spread()
    expect([spread.average, spread.max]).toEqual([0, 0])
  })

  test('mean and maximum cover this window and the one before', () => {
    const spread = new Spread()
    spread.add(10)
    spread.roll(false)
    spread.add(2)
    expect([spread.average, spread.max]).toEqual([6, 10])
    spread.roll(false)
    expect([spread.average, spread.max]).toEqual([2, 2])
    spread.roll(true)
    expect([spread.average, spread.max]).toEqual([0, 0])
  })

  test('many samples at once weigh as many', () => {
    const spread = new Spread()
    spread.addMany(300, 3, 180)
    spread.add(20)
    expect([spread.average, spread.max]).toEqual([80, 180])
  })
})

describe('Histogram', () => {
  const at = (histogram: Histogram, share: number): number => histogram.percentiles([share])[0]!

  test('without a sample every percentile is 0', () => {
    expect(new Histogram().percentiles([0.5, 0.999])).toEqual([0, 0])
  })

  test.each([0, 0.001, 0.007, 0.015])('%d ms is exact', (value) => {
    const histogram = new Histogram()
    histogram.add(value)
    expect(at(histogram, 0.5)).toBe(value)
  })

  test('any time up to 71 minutes comes back less than 5 % off, and less than a microsecond', () => {
    fc.assert(
      fc.property(fc.double({ min: 0.016, max: 4_294_967, noNaN: true }), (value) => {
        const histogram = new Histogram()
        histogram.add(value)
        expect(Math.abs(at(histogram, 1) - value)).toBeLessThan(Math.max(0.05 * value, 0.001))
      }),
    )
  })

  test('percentiles of many times are less than 5 % away from those of the sorted list', () => {
    const times = fc.array(fc.double({ min: 0.02, max: 100_000, noNaN: true }), { minLength: 1, maxLength: 500 })
    fc.assert(
      fc.property(times, (values) => {
        const histogram = new Histogram()
        for (const value of values) histogram.add(value)
        const sorted = values.toSorted((a, b) => a - b)
        const shares = [0.5, 0.95, 0.99, 0.999]
        const found = histogram.percentiles(shares)
        for (const [index, share] of shares.entries()) {
          const exact = sorted[Math.ceil(share * sorted.length) - 1]!
          expect(Math.abs(found[index]! - exact)).toBeLessThan(0.05 * exact)
        }
      }),
    )
  })

  test('a batch of a thousand records weighs a thousand times as much as a record', () => {
    const histogram = new Histogram()
    histogram.add(1, 1000)
    histogram.add(100, 1)
    expect(at(histogram, 0.999)).toBeCloseTo(1, 1)
    expect(at(histogram, 1)).toBeGreaterThan(95)
  })

  test('what is longer than 71 minutes counts as that long, what is below 0 as 0', () => {
    const histogram = new Histogram()
    histogram.add(1e12)
    expect(at(histogram, 1)).toBeGreaterThan(4_080_000)
    const past = new Histogram()
    past.add(-5)
    expect(at(past, 1)).toBe(0)
  })

  test('percentiles cover this window and the one before', () => {
    const histogram = new Histogram()
    histogram.add(1000)
    histogram.roll(false)
    histogram.add(0.001, 9)
    expect(histogram.percentiles([0.5, 1])).toEqual([0.001, expect.closeTo(1000, -2)])
    histogram.roll(false)
    expect(histogram.percentiles([0.5, 1])).toEqual([0.001, 0.001])
    histogram.roll(true)
    expect(histogram.percentiles([1])).toEqual([0])
  })

  test('a window that comes back into use starts empty', () => {
    const histogram = new Histogram()
    for (let window = 0; window < 5; window++) {
      histogram.add(window)
      histogram.roll(false)
    }
    // Only what the last full window holds is left.
    expect(at(histogram, 0.01)).toBeCloseTo(4, 0)
    histogram.roll(true)
    histogram.add(0.003)
    expect(histogram.percentiles([0.01, 1])).toEqual([0.003, 0.003])
  })
})
