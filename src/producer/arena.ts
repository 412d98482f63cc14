// Where the bytes of records live: one fixed piece of memory of `bufferMemory`, cut into regions of three sizes.
// From: accumulator.ts and recut.ts, which ask for a region for a batch. To: batch.ts, which writes into it, and the socket, which
// reads it. A region comes back here when its batch is done with it and nobody reads it any more (`pins` is 0), whichever is later.
//
//   a block:  [             whole (batchSize)             ]      used as it is, or cut into
//             [ quarter  | quarter  | quarter  | quarter  ]      quarters, each used as it is, or cut into
//             [..|..|..|..]                                      sixteenths
//
// Blocks are cut on demand and put together again when a larger piece is wanted and none is left. A record larger than a block, a
// batch made by `recut`, and a piece that fragmentation denies live in buffers of their own on the heap. All of them count in `used`.

/** Bytes of one batch. Written only while `pins` is 0: a pin is a reader (a socket or a codec) that may still look at them. */
export interface Region {
  readonly buffer: Buffer
  readonly start: number
  readonly capacity: number
  pins: number
  /** Its batch has no more use for it. */
  isReleased: boolean
  /** Which free list it belongs to; -1: the heap. */
  readonly sizeClass: number
}

const SMALLEST_REGION = 4096
// A block must keep every region aligned for the CRC kernel's vectors.
const ALIGNMENT = 64

export class Arena {
  /** Capacity of all regions that are out, including those that are only waiting for a reader. */
  used = 0
  /** Smallest first; at least 4 KiB each, so there may be fewer than three. */
  readonly sizes: readonly number[]
  readonly #memory: Buffer
  readonly #limit: number
  readonly #blockBytes: number
  // Start offsets; last in, first out, so that what was just read by the socket is still in the cache.
  readonly #free: number[][]
  #untouchedAt = 0
  // Free bytes that the last merge has not seen.
  #freedSinceMerge = 0
  readonly #onFreed: () => void

  /**
   * @param memory fixed memory for regions; may be shorter than `bufferMemory` when the system refused it
   * @param onFreed a region came back: whoever waits for room may look again
   */
  constructor(memory: Buffer, bufferMemory: number, batchBytes: number, onFreed: () => void) {
    this.#memory = memory
    this.#limit = bufferMemory
    this.#onFreed = onFreed
    const whole = Math.max(SMALLEST_REGION, align(batchBytes))
    // Down to the alignment: up, four quarters would not fit into a whole.
    const sizes = [alignDown(whole / 16), alignDown(whole / 4), whole].map((bytes) => Math.max(SMALLEST_REGION, bytes))
    this.sizes = [...new Set(sizes)]
    this.#blockBytes = whole
    this.#free = this.sizes.map(() => [])
  }

  get limit(): number {
    return this.#limit
  }

  /** Whether a region for `bytes` may be taken: `used` never passes `bufferMemory` through admission. `extra` bytes past it are for recut. */
  hasRoomFor(bytes: number, extra = 0): boolean {
    return this.used + this.capacityFor(bytes) <= this.#limit + extra
  }

  /** The capacity of the region that `take(bytes)` gives. */
  capacityFor(bytes: number): number {
    for (const size of this.sizes) if (bytes <= size) return size
    return bytes
  }

  /** Never fails: who must respect the bound asks `hasRoomFor` first. `recut` is the one that may pass it. */
  take(bytes: number): Region {
    const sizeClass = this.sizes.findIndex((size) => bytes <= size)
    if (sizeClass === -1) return this.takeFromHeap(bytes)
    const start = this.#takeStart(sizeClass)
    if (start === -1) return this.takeFromHeap(this.sizes[sizeClass]!)
    const capacity = this.sizes[sizeClass]!
    this.used += capacity
    return { buffer: this.#memory, start, capacity, pins: 0, isReleased: false, sizeClass }
  }

  takeFromHeap(bytes: number): Region {
    this.used += bytes
    return {
      buffer: Buffer.allocUnsafeSlow(bytes),
      start: 0,
      capacity: bytes,
      pins: 0,
      isReleased: false,
      sizeClass: -1,
    }
  }

  /** The batch is done with it. Its bytes are free once no reader is left. */
  release(region: Region): void {
    if (region.isReleased) return
    region.isReleased = true
    if (region.pins === 0) this.#reclaim(region)
  }

  unpin(region: Region): void {
    region.pins--
    if (region.pins === 0 && region.isReleased) this.#reclaim(region)
  }

  #reclaim(region: Region): void {
    this.used -= region.capacity
    if (region.sizeClass !== -1) {
      this.#free[region.sizeClass]!.push(region.start)
      this.#freedSinceMerge += region.capacity
    }
    this.#onFreed()
  }

  #takeStart(sizeClass: number): number {
    const start = this.#takeOrCut(sizeClass)
    if (start !== -1 || this.#freedSinceMerge < this.sizes[sizeClass]!) return start
    // Enough bytes may be free in smaller pieces. One pass over all of them (0.4 ms for 8,000) puts them together; it is repeated only
    // after as many bytes came back as are wanted.
    this.#merge()
    return this.#takeOrCut(sizeClass)
  }

  #takeOrCut(sizeClass: number): number {
    const ready = this.#free[sizeClass]!.pop()
    if (ready !== undefined) return ready
    if (sizeClass === this.sizes.length - 1) {
      if (this.#untouchedAt + this.#blockBytes > this.#memory.length) return -1
      const start = this.#untouchedAt
      this.#untouchedAt += this.#blockBytes
      return start
    }
    const larger = this.#takeOrCut(sizeClass + 1)
    if (larger === -1) return -1
    // Counted from the parent's start, so that `#parentOf` finds it again. What is left at its end is nobody's.
    const size = this.sizes[sizeClass]!
    const pieces = Math.floor(this.sizes[sizeClass + 1]! / size)
    for (let piece = pieces - 1; piece > 0; piece--) this.#free[sizeClass]!.push(larger + piece * size)
    return larger
  }

  #merge(): void {
    this.#freedSinceMerge = 0
    for (let sizeClass = 0; sizeClass < this.sizes.length - 1; sizeClass++) {
      const size = this.sizes[sizeClass]!
      const parentSize = this.sizes[sizeClass + 1]!
      const piecesInParent = Math.floor(parentSize / size)
      const countByParent = new Map<number, number>()
      for (const start of this.#free[sizeClass]!) {
        const parent = this.#parentOf(start, sizeClass)
        countByParent.set(parent, (countByParent.get(parent) ?? 0) + 1)
      }
      const isWhole = (start: number): boolean => countByParent.get(this.#parentOf(start, sizeClass)) === piecesInParent
      const kept = this.#free[sizeClass]!.filter((start) => !isWhole(start))
      this.#free[sizeClass] = kept
      for (const [parent, count] of countByParent) if (count === piecesInParent) this.#free[sizeClass + 1]!.push(parent)
    }
  }

  #parentOf(start: number, sizeClass: number): number {
    const block = start - (start % this.#blockBytes)
    const parentSize = this.sizes[sizeClass + 1]!
    const inBlock = start - block
    return block + inBlock - (inBlock % parentSize)
  }
}

function align(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT
}

function alignDown(bytes: number): number {
  return Math.floor(bytes / ALIGNMENT) * ALIGNMENT
}
