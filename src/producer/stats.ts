// Stats: what a number of samples becomes in the metrics: a count, a mean and a maximum, percentiles. Each looks back over the present
// window and the one before it, as Java's two samples of 30 s do; totals count from the start.
// From: metrics.ts, which knows what is counted and when a window ends. No clock here.

/** How often something happened, or how much of it. */
export class Counter {
  total = 0
  #present = 0
  #before = 0

  add(amount: number): void {
    this.total += amount
    this.#present += amount
  }

  /** A window has ended; `idle`: more than one, so that the present one is no longer the one before. */
  roll(idle: boolean): void {
    this.#before = idle ? 0 : this.#present
    this.#present = 0
  }

  /** In both windows. */
  get recent(): number {
    return this.#present + this.#before
  }
}

/** Mean and maximum of what was measured in both windows; 0 without a sample. */
export class Spread {
  #sum = 0
  #count = 0
  #max = 0
  #sumBefore = 0
  #countBefore = 0
  #maxBefore = 0

  add(value: number): void {
    this.addMany(value, 1, value)
  }

  /** `count` samples at once, of which only their sum and the largest are known. */
  addMany(sum: number, count: number, largest: number): void {
    this.#sum += sum
    this.#count += count
    if (largest > this.#max) this.#max = largest
  }

  roll(idle: boolean): void {
    this.#sumBefore = idle ? 0 : this.#sum
    this.#countBefore = idle ? 0 : this.#count
    this.#maxBefore = idle ? 0 : this.#max
    this.#sum = 0
    this.#count = 0
    this.#max = 0
  }

  get average(): number {
    const count = this.#count + this.#countBefore
    return count === 0 ? 0 : (this.#sum + this.#sumBefore) / count
  }

  get max(): number {
    return Math.max(this.#max, this.#maxBefore)
  }
}

// A histogram's buckets, in microseconds: 0 to 15 have one each; from there each power of two is cut into 16 equal ones.
//
//   16 17 18 … 31 | 32–33 34–35 … 62–63 | 64–67 … | …                  a bucket is at most a sixteenth of its lower end wide,
//                                                                     so its middle is at most 1/32 = 3.2 % away from any value in it
const STEPS = 16
const STEP_BITS = 4
// Up to 2^32 microseconds, which is 71 minutes; what is longer counts in the last one.
const BUCKETS = (32 - STEP_BITS + 1) * STEPS
const LONGEST_MICROSECONDS = 4_294_967_295

/** Percentiles of times, in 7 KiB and without keeping samples: off by less than 5 % (3.2 % by the buckets above), exact below 16 µs. */
export class Histogram {
  #present = new Float64Array(BUCKETS)
  #before = new Float64Array(BUCKETS)

  /** `count` samples of the same time. */
  add(valueMs: number, count = 1): void {
    this.#present[bucketOf(valueMs)]! += count
  }

  roll(idle: boolean): void {
    const free = this.#before.fill(0)
    this.#before = idle ? free : this.#present
    this.#present = idle ? this.#present.fill(0) : free
  }

  /**
   * The times that these shares of all samples do not exceed, in milliseconds.
   * @param shares ascending, above 0 and up to 1
   */
  percentiles(shares: readonly number[]): number[] {
    const present = this.#present
    const before = this.#before
    let all = 0
    for (let bucket = 0; bucket < BUCKETS; bucket++) all += present[bucket]! + before[bucket]!
    if (all === 0) return shares.map(() => 0)

    let bucket = -1
    let counted = 0
    return shares.map((share) => {
      const rank = Math.ceil(share * all)
      while (counted < rank) {
        bucket++
        counted += present[bucket]! + before[bucket]!
      }
      return middleOf(bucket) / 1000
    })
  }
}

function bucketOf(valueMs: number): number {
  // Anything below zero is a clock's doing and counts as no time at all.
  const microseconds = Math.min(Math.max(0, Math.round(valueMs * 1000)), LONGEST_MICROSECONDS)
  if (microseconds < STEPS) return microseconds
  const power = 31 - Math.clz32(microseconds)
  return (power - STEP_BITS + 1) * STEPS + ((microseconds >>> (power - STEP_BITS)) & (STEPS - 1))
}

function middleOf(bucket: number): number {
  if (bucket < STEPS) return bucket
  const power = Math.floor(bucket / STEPS) + STEP_BITS - 1
  const width = 2 ** (power - STEP_BITS)
  return 2 ** power + (bucket % STEPS) * width + (width - 1) / 2
}
