import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Arena, type Region } from '../../src/producer/arena.ts'

const KIB = 1024

/** An arena whose memory is as large as its bound, and how often it told of room. */
function arenaOf(bufferMemory: number, batchBytes: number, memoryBytes = bufferMemory) {
  const memory = Buffer.alloc(memoryBytes)
  const freed = { count: 0 }
  const arena = new Arena(memory, bufferMemory, batchBytes, () => {
    freed.count++
  })
  return { arena, memory, freed }
}

/** Takes regions of this size until the next one would pass the bound. */
function takeAll(arena: Arena, bytes: number): Region[] {
  const regions: Region[] = []
  while (arena.hasRoomFor(bytes)) regions.push(arena.take(bytes))
  return regions
}

describe('sizes', () => {
  test.each([
    { batchBytes: 65_536, sizes: [4096, 16_384, 65_536] },
    { batchBytes: 1_048_576, sizes: [65_536, 262_144, 1_048_576] },
    { batchBytes: 16_384, sizes: [4096, 16_384] },
    { batchBytes: 8192, sizes: [4096, 8192] },
    { batchBytes: 4096, sizes: [4096] },
    { batchBytes: 1, sizes: [4096] },
  ])('a batch of $batchBytes bytes has regions of $sizes', ({ batchBytes, sizes }) => {
    expect(arenaOf(8 * 1_048_576, batchBytes).arena.sizes).toEqual(sizes)
  })

  test('every size is a multiple of 64, and four quarters fit into a whole, whatever batchSize is', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3_000_000 }), (batchBytes) => {
        const { sizes } = arenaOf(0, batchBytes).arena
        expect(sizes.every((size) => size % 64 === 0 && size >= 4096)).toBe(true)
        expect(sizes).toEqual([...new Set(sizes)].sort((a, b) => a - b))
        const whole = sizes.at(-1)!
        expect(whole).toBeGreaterThanOrEqual(batchBytes)
        expect(whole - Math.max(batchBytes, 4096)).toBeLessThan(64)
        const quarter = sizes.at(-2)
        if (quarter !== undefined && quarter > 4096) expect(quarter * 4).toBeLessThanOrEqual(whole)
      }),
    )
  })

  test('a request gets the smallest size that holds it, and exactly its own size above the largest', () => {
    const { arena } = arenaOf(1_048_576, 65_536)
    const asked = [1, 4096, 4097, 16_384, 16_385, 65_536, 65_537]
    expect(asked.map((bytes) => arena.capacityFor(bytes))).toEqual([4096, 4096, 16_384, 16_384, 65_536, 65_536, 65_537])
    expect(asked.map((bytes) => arena.take(bytes).capacity)).toEqual([
      4096, 4096, 16_384, 16_384, 65_536, 65_536, 65_537,
    ])
  })

  test('regions in the fixed memory begin at a multiple of 64, for the CRC kernel', () => {
    for (const batchBytes of [20_000, 65_536, 100_000]) {
      const { arena, memory } = arenaOf(1_048_576, batchBytes)
      const regions = takeAll(arena, 1).filter(({ buffer }) => buffer === memory)
      expect(regions.length).toBeGreaterThan(80)
      expect(regions.filter(({ start }) => start % 64 !== 0)).toEqual([])
    }
  })
})

describe('the bound', () => {
  test('used is the capacity of what is out, not what was asked for', () => {
    const { arena } = arenaOf(1_048_576, 65_536)
    const small = arena.take(10)
    const large = arena.take(100_000)
    expect(arena.used).toBe(4096 + 100_000)
    arena.release(small)
    expect(arena.used).toBe(100_000)
    arena.release(large)
    expect(arena.used).toBe(0)
  })

  test('room for a region up to the last byte of bufferMemory, and none for one byte more', () => {
    const { arena } = arenaOf(65_536 + 5000, 65_536)
    arena.take(65_536)
    expect(arena.hasRoomFor(4096)).toBe(true)
    expect(arena.hasRoomFor(4097)).toBe(false)
    const { arena: other } = arenaOf(200_000, 65_536)
    expect(other.hasRoomFor(200_000)).toBe(true)
    expect(other.hasRoomFor(200_001)).toBe(false)
  })

  test('take itself never fails: recut may pass the bound', () => {
    const { arena } = arenaOf(65_536, 65_536)
    const regions = [arena.take(65_536), arena.take(65_536), arena.take(1)]
    expect(arena.used).toBe(65_536 * 2 + 4096)
    expect(arena.hasRoomFor(1)).toBe(false)
    for (const region of regions) arena.release(region)
    expect(arena.used).toBe(0)
  })

  test('memory that the system refused is taken from the heap, and counts as well', () => {
    const { arena, memory } = arenaOf(1_048_576, 65_536, 0)
    const region = arena.take(65_536)
    expect(region.buffer).not.toBe(memory)
    expect(region).toMatchObject({ start: 0, capacity: 65_536 })
    expect(region.buffer.length).toBe(65_536)
    expect(arena.used).toBe(65_536)
    arena.release(region)
    expect(arena.used).toBe(0)
  })
})

describe('readers', () => {
  test('a region that is released while a reader is on it stays out until the reader is gone', () => {
    const { arena, freed } = arenaOf(65_536, 65_536)
    const region = arena.take(65_536)
    region.pins = 2
    arena.release(region)
    arena.unpin(region)
    expect(arena.used).toBe(65_536)
    expect(freed.count).toBe(0)
    arena.unpin(region)
    expect(arena.used).toBe(0)
    expect(freed.count).toBe(1)
  })

  test('a reader that goes first returns nothing: its batch still has the region', () => {
    const { arena, freed } = arenaOf(65_536, 65_536)
    const region = arena.take(1)
    region.pins++
    arena.unpin(region)
    expect(arena.used).toBe(4096)
    expect(freed.count).toBe(0)
    arena.release(region)
    expect(freed.count).toBe(1)
  })

  test('releasing twice returns a region once, so that no two batches get it', () => {
    const { arena, freed } = arenaOf(65_536, 65_536)
    const region = arena.take(1)
    arena.release(region)
    arena.release(region)
    expect(freed.count).toBe(1)
    expect(arena.used).toBe(0)
    expect(arena.take(1).start).not.toBe(arena.take(1).start)
  })

  test('who waits for room hears of each region that comes back, after it counts no more', () => {
    const usedWhenTold: number[] = []
    const arena: Arena = new Arena(Buffer.alloc(65_536), 65_536, 65_536, () => usedWhenTold.push(arena.used))
    const regions = [arena.take(4096), arena.take(16_384)]
    for (const region of regions) arena.release(region)
    expect(usedWhenTold).toEqual([16_384, 0])
  })
})

describe('cutting and putting together', () => {
  test('what came back last is given out first: its bytes are still in the cache', () => {
    const { arena } = arenaOf(1_048_576, 65_536)
    const [first, second] = [arena.take(1), arena.take(1)]
    arena.release(first)
    arena.release(second)
    expect(arena.take(1).start).toBe(second.start)
    expect(arena.take(1).start).toBe(first.start)
  })

  test('small pieces that all came back make whole blocks again, so nothing goes to the heap', () => {
    const { arena, memory } = arenaOf(4 * 65_536, 65_536)
    const small = takeAll(arena, 4096)
    expect(small).toHaveLength(64)
    for (const region of small) arena.release(region)
    const whole = takeAll(arena, 65_536)
    expect(whole).toHaveLength(4)
    expect(whole.every(({ buffer }) => buffer === memory)).toBe(true)
    expect(whole.map(({ start }) => start).sort((a, b) => a - b)).toEqual([0, 65_536, 131_072, 196_608])
  })

  test('a block is not put together while one sixteenth of it is out', () => {
    const { arena, memory } = arenaOf(2 * 65_536, 65_536)
    const small = takeAll(arena, 4096)
    const kept = small[5]!
    for (const region of small) if (region !== kept) arena.release(region)
    const whole = arena.take(65_536)
    expect(whole.buffer).toBe(memory)
    const isInWhole = kept.start >= whole.start && kept.start < whole.start + 65_536
    expect(isInWhole).toBe(false)
  })

  test('what fragmentation denies lives on the heap, and the bound holds all the same', () => {
    const { arena, memory } = arenaOf(2 * 65_536, 65_536)
    const small = takeAll(arena, 4096)
    // One sixteenth of each block stays out: no block is whole, though nearly all bytes are free.
    for (const region of small) if (region.start % 65_536 !== 0) arena.release(region)
    expect(arena.used).toBe(2 * 4096)
    const whole = arena.take(65_536)
    expect(whole.buffer).not.toBe(memory)
    expect(arena.used).toBe(2 * 4096 + 65_536)
    expect(arena.hasRoomFor(65_536)).toBe(false)
  })

  test('a region on the heap is not given out again', () => {
    const { arena } = arenaOf(1_048_576, 65_536)
    const large = arena.takeFromHeap(10_000)
    arena.release(large)
    const next = arena.takeFromHeap(10_000)
    expect(next.buffer).not.toBe(large.buffer)
    expect(arena.used).toBe(10_000)
  })
})

// ── Against a model: whatever is done, no two regions that are out share a byte ─────────────────────────────────────────

type Step =
  | { readonly kind: 'take'; readonly bytes: number; readonly isForced: boolean }
  | { readonly kind: 'fill'; readonly bytes: number }
  | { readonly kind: 'heap'; readonly bytes: number }
  | { readonly kind: 'release' | 'pin' | 'unpin' | 'releaseNearlyAll'; readonly at: number }

const place = fc.nat({ max: 1_000_000 })
const anyBytes = (batchBytes: number) =>
  fc.oneof(
    fc.integer({ min: 1, max: batchBytes }),
    fc.constantFrom(1, Math.floor(batchBytes / 16), Math.floor(batchBytes / 5), batchBytes, batchBytes + 1),
  )
const anyStep = (batchBytes: number): fc.Arbitrary<Step> =>
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant('take' as const),
        bytes: anyBytes(batchBytes),
        isForced: fc.boolean(),
      }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('fill' as const), bytes: anyBytes(batchBytes) }) },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant('heap' as const), bytes: fc.integer({ min: 1, max: 9000 }) }),
    },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('release' as const), at: place }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('pin' as const), at: place }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('unpin' as const), at: place }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('releaseNearlyAll' as const), at: place }) },
  )

// Sizes that a quarter divides, and sizes that it does not.
const anyBatchBytes = fc.constantFrom(4096, 5000, 16_384, 20_000, 33_000, 65_536, 70_001, 100_000)
const anyWorkload = anyBatchBytes.chain((batchBytes) =>
  fc.record({
    batchBytes: fc.constant(batchBytes),
    blocks: fc.integer({ min: 1, max: 5 }),
    steps: fc.array(anyStep(batchBytes), { minLength: 20, maxLength: 200 }),
  }),
)

test('regions that are out never overlap, used is their exact sum, and each that came back was told of once', () => {
  fc.assert(
    fc.property(anyWorkload, ({ batchBytes, blocks, steps }) => {
      const bufferMemory = blocks * (batchBytes + 100)
      const { arena, memory, freed } = arenaOf(bufferMemory, batchBytes)
      // Out: in the hands of a batch, or released and still read. The model, with its own idea of what is pinned.
      const owned: Region[] = []
      const out = new Map<Region, { pins: number; isReleased: boolean }>()
      let returned = 0

      const settle = (region: Region) => {
        const state = out.get(region)!
        if (state.pins > 0 || !state.isReleased) return
        out.delete(region)
        returned++
      }
      const add = (region: Region) => {
        owned.push(region)
        out.set(region, { pins: 0, isReleased: false })
      }
      const release = (at: number) => {
        const region = owned.splice(at % owned.length, 1)[0]!
        out.get(region)!.isReleased = true
        settle(region)
        arena.release(region)
      }

      for (const step of steps) {
        if (step.kind === 'take') {
          const used = arena.used
          const hasRoom = arena.hasRoomFor(step.bytes)
          expect(hasRoom).toBe(used + arena.capacityFor(step.bytes) <= bufferMemory)
          if (!hasRoom && !step.isForced) continue
          const region = arena.take(step.bytes)
          expect(region.capacity).toBe(arena.capacityFor(step.bytes))
          expect(region.capacity).toBeGreaterThanOrEqual(step.bytes)
          add(region)
        } else if (step.kind === 'heap') {
          add(arena.takeFromHeap(step.bytes))
        } else if (step.kind === 'fill') {
          for (const region of takeAll(arena, step.bytes)) add(region)
        } else if (step.kind === 'release') {
          if (owned.length > 0) release(step.at)
        } else if (step.kind === 'releaseNearlyAll') {
          while (owned.length > step.at % 3) release(step.at)
        } else if (step.kind === 'pin') {
          if (owned.length === 0) continue
          const region = owned[step.at % owned.length]!
          region.pins++
          out.get(region)!.pins++
        } else {
          const pinned = [...out].filter(([, { pins }]) => pins > 0)
          if (pinned.length === 0) continue
          const [region, state] = pinned[step.at % pinned.length]!
          state.pins--
          settle(region)
          arena.unpin(region)
        }

        expect(arena.used).toBe([...out.keys()].reduce((sum, { capacity }) => sum + capacity, 0))
        expect(freed.count).toBe(returned)
        const inMemory = [...out.keys()].filter(({ buffer }) => buffer === memory).sort((a, b) => a.start - b.start)
        const overlaps = inMemory.filter(
          ({ start, capacity }, i) => start + capacity > (inMemory[i + 1]?.start ?? memory.length),
        )
        expect(overlaps).toEqual([])
      }
    }),
    { numRuns: 150 },
  )
})

test('bytes written into a region stay while others come and go around it', () => {
  fc.assert(
    fc.property(anyWorkload, ({ batchBytes, blocks, steps }) => {
      const { arena } = arenaOf(blocks * batchBytes, batchBytes)
      const owned: { region: Region; mark: number }[] = []
      let mark = 0
      for (const step of steps) {
        if (step.kind === 'take' && arena.hasRoomFor(step.bytes)) {
          const region = arena.take(step.bytes)
          mark = (mark + 1) & 0xff
          region.buffer.fill(mark, region.start, region.start + region.capacity)
          owned.push({ region, mark })
        } else if (step.kind === 'release' && owned.length > 0) {
          arena.release(owned.splice(step.at % owned.length, 1)[0]!.region)
        } else if (step.kind === 'releaseNearlyAll') {
          for (const { region } of owned.splice(step.at % 3)) arena.release(region)
        }
      }
      for (const { region, mark: written } of owned) {
        const bytes = region.buffer.subarray(region.start, region.start + region.capacity)
        expect(bytes.every((byte) => byte === written)).toBe(true)
      }
    }),
    { numRuns: 60 },
  )
})

test('a region that quarters and sixteenths were cut from is whole again only where it was', () => {
  // 100,000 / 4 and / 16 are no multiples of 64, so the pieces do not fill their parent to the last byte.
  const { arena, memory } = arenaOf(4 * 100_032, 100_000)
  for (const bytes of [1, 20_000, 100_000, 1, 20_000]) {
    const regions = takeAll(arena, bytes).sort((a, b) => a.start - b.start)
    const inMemory = regions.filter(({ buffer }) => buffer === memory)
    const overlaps = inMemory.filter(
      ({ start, capacity }, i) => start + capacity > (inMemory[i + 1]?.start ?? Infinity),
    )
    expect(overlaps).toEqual([])
    for (const region of regions) arena.release(region)
  }
})

test('however small and whole regions alternate, everything that came back can be given out whole from the fixed memory', () => {
  fc.assert(
    fc.property(anyBatchBytes, fc.array(fc.nat({ max: 3 }), { minLength: 5, maxLength: 40 }), (batchBytes, kinds) => {
      const { arena, memory } = arenaOf(4 * (batchBytes + 64), batchBytes)
      for (const kind of kinds) {
        const bytes = [1, Math.floor(batchBytes / 16) - 64, Math.floor(batchBytes / 4) - 64, batchBytes][kind]!
        for (const region of takeAll(arena, Math.max(1, bytes))) arena.release(region)
        const some = takeAll(arena, Math.max(1, bytes))
        for (const region of some.reverse()) arena.release(region)
      }
      const whole = [arena.take(batchBytes), arena.take(batchBytes), arena.take(batchBytes), arena.take(batchBytes)]
      expect(whole.every(({ buffer }) => buffer === memory)).toBe(true)
      expect(new Set(whole.map(({ start }) => start)).size).toBe(4)
    }),
    { numRuns: 60 },
  )
})

test('a batch of 64 KiB wastes nothing: bufferMemory is full to the last byte in each size', () => {
  for (const bytes of [4096, 16_384, 65_536]) {
    const { arena, memory } = arenaOf(1024 * KIB, 65_536)
    const regions = takeAll(arena, bytes)
    expect(regions).toHaveLength((1024 * KIB) / bytes)
    expect(regions.every(({ buffer }) => buffer === memory)).toBe(true)
  }
})
