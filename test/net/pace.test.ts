import { describe, expect, test } from 'vitest'
import { Pace, type PaceOptions } from '../../src/net/pace.ts'

const OPTIONS: PaceOptions = {
  retryBackoffMs: 100,
  retryBackoffMaxMs: 1_000,
  metadataMaxAgeMs: 300_000,
  metadataRecoveryStrategy: 'rebootstrap',
  metadataRecoveryRebootstrapTriggerMs: 60_000,
  random: () => 0.5,
}
const NEVER = Number.POSITIVE_INFINITY

/** One that got its first full answer at `now`. */
function answered(now: number, options = OPTIONS): Pace {
  const pace = new Pace(options)
  pace.begin(now)
  pace.answered()
  pace.answeredFull(true, undefined, now)
  return pace
}

const nextAt = (pace: Pace, now: number, topicsAt = NEVER): number => pace.nextAskAt(now, topicsAt, false)

describe('when nothing is known yet', () => {
  test('nothing is asked until somebody needs something', () => {
    const pace = new Pace(OPTIONS)
    expect(nextAt(pace, 10)).toBe(NEVER)
    expect(pace.nextAskAt(10, NEVER, true)).toBe(10)
    expect(nextAt(pace, 10, 10)).toBe(10)
    expect(pace.want('a doubt')).toBe(true)
    expect(nextAt(pace, 10)).toBeLessThanOrEqual(10)
  })

  test('the first request is about everything, whatever it was made for', () => {
    expect(new Pace(OPTIONS).begin(10)).toEqual({ isFull: true, reason: undefined })
  })
})

describe('a refresh', () => {
  test('is wanted once: the first reason stays until its request goes out', () => {
    const pace = answered(1_000)
    expect(pace.want('one')).toBe(true)
    expect(pace.want('two')).toBe(false)
    expect(pace.begin(2_000)).toEqual({ isFull: true, reason: 'one' })
    expect(pace.want('three')).toBe(true)
  })

  test('keeps its distance from the full answer before it; topics that cannot wait do not', () => {
    const pace = answered(1_000)
    pace.want('a doubt')
    expect(nextAt(pace, 1_010)).toBe(1_100)
    expect(nextAt(pace, 1_010, 1_010)).toBe(1_010)
    expect(pace.begin(1_010)).toEqual({ isFull: false, reason: undefined })
    expect(pace.begin(1_100)).toEqual({ isFull: true, reason: 'a doubt' })
  })

  test('answers that change nothing spread it, and every fifth of them calls for another broker', () => {
    const pace = answered(0)
    const isGood: boolean[] = []
    const distances: number[] = []
    let now = 100
    for (let count = 0; count < 10; count++) {
      pace.want('no leader')
      pace.begin(now)
      pace.answered()
      isGood.push(pace.answeredFull(false, 'no leader', now))
      pace.want('no leader')
      distances.push(nextAt(pace, now) - now)
      now = nextAt(pace, now)
    }
    expect(distances).toEqual([100, 200, 400, 800, 1_000, 1_000, 1_000, 1_000, 1_000, 1_000])
    expect(isGood.map((good, index) => (good ? 0 : index + 1)).filter((place) => place > 0)).toEqual([5, 10])
  })

  test('because of age is no search for a change: an unchanged answer is what it hopes for', () => {
    const pace = answered(0)
    for (let now = 300_000; now <= 3_000_000; now += 300_000) {
      const { isFull, reason } = pace.begin(now)
      expect(isFull).toBe(true)
      pace.answered()
      expect(pace.answeredFull(false, reason, now)).toBe(true)
    }
  })

  test('comes by itself when the last full answer is metadataMaxAgeMs old', () => {
    expect(nextAt(answered(1_000), 1_000)).toBe(301_000)
  })
})

describe('failures', () => {
  test('hold everything back, by a back-off that the next answer ends', () => {
    const pace = answered(0)
    const waits: number[] = []
    let now = 1_000
    for (let count = 0; count < 6; count++) {
      const { reason } = pace.begin(now)
      pace.failed(reason, true, now)
      waits.push(nextAt(pace, now, now) - now)
      now = nextAt(pace, now, now)
    }
    expect(waits).toEqual([100, 200, 400, 800, 1_000, 1_000])
    expect(pace.failures).toBe(6)
    pace.begin(now)
    pace.answered()
    expect(pace.failures).toBe(0)
    expect(nextAt(pace, now, now)).toBe(now)
  })

  test('a refresh that failed is still wanted as long as anybody needs anything', () => {
    const pace = answered(0)
    pace.want('a doubt')
    const { reason } = pace.begin(1_000)
    pace.failed(reason, true, 1_000)
    expect(nextAt(pace, 1_000)).toBe(1_100)
    expect(pace.begin(1_100).reason).toBe('a doubt')
  })

  test('when nobody does, the next attempt comes after metadataMaxAgeMs', () => {
    const pace = answered(0)
    pace.want('a lost connection')
    const { reason } = pace.begin(1_000)
    pace.failed(reason, false, 1_000)
    expect(nextAt(pace, 1_000)).toBe(301_000)
  })
})

describe('rebootstrapAt', () => {
  const trying = (options = OPTIONS): Pace => {
    const pace = answered(0, options)
    pace.begin(5_000)
    pace.failed(undefined, true, 5_100)
    pace.begin(5_300)
    return pace
  }

  test('counts from the first attempt since the last answer', () => {
    expect(trying().rebootstrapAt).toBe(65_000)
  })

  test('is over with an answer, and counts anew after a rebootstrap', () => {
    const pace = trying()
    pace.rebootstrapped(65_000)
    expect(pace.rebootstrapAt).toBe(125_000)
    pace.answered()
    expect(pace.rebootstrapAt).toBe(NEVER)
  })

  test("never comes with metadataRecoveryStrategy 'none', nor before the first answer", () => {
    expect(trying({ ...OPTIONS, metadataRecoveryStrategy: 'none' }).rebootstrapAt).toBe(NEVER)
    const pace = new Pace(OPTIONS)
    pace.begin(0)
    expect(pace.rebootstrapAt).toBe(NEVER)
  })
})
