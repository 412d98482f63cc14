// Latency samples and their percentiles. From: bench/clients, bench/compare and the demo record them. To: the tables and lines they print.

export interface LatencySummary {
  readonly samples: number
  /** Milliseconds; 0 without a sample. */
  readonly p50: number
  readonly p99: number
  readonly p999: number
  readonly max: number
}

/** Keeps every sample, eight bytes each: a caller that settles millions of records samples one in 64 of them. */
export class Latencies {
  #samples = new Float64Array(1 << 14)
  #count = 0

  record(ms: number): void {
    if (this.#count === this.#samples.length) {
      const larger = new Float64Array(this.#count * 2)
      larger.set(this.#samples)
      this.#samples = larger
    }
    this.#samples[this.#count++] = ms
  }

  summary(): LatencySummary {
    return summarize(this.#samples.slice(0, this.#count))
  }

  /** Of the newest samples only: for a line that is printed again and again. */
  recent(atMost = 2_048): LatencySummary {
    return summarize(this.#samples.slice(Math.max(0, this.#count - atMost), this.#count))
  }
}

function summarize(samples: Float64Array): LatencySummary {
  samples.sort()
  const at = (share: number): number => samples[Math.min(samples.length - 1, Math.floor(samples.length * share))] ?? 0
  return { samples: samples.length, p50: at(0.5), p99: at(0.99), p999: at(0.999), max: at(1) }
}
