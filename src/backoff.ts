// Back-off: how long to wait before the next attempt at something that failed. Pure: randomness is passed in.
// From: net/connector.ts, net/cluster.ts, producer/sender.ts. Imports nothing.

const JITTER = 0.2

/**
 * Milliseconds before attempt number `attempt + 1`: `baseMs` doubled `attempt` times, spread by ±20 %, and never above `maxMs`, jitter
 * included. `attempt` counts the failures so far from 0.
 */
export function backoffMs(attempt: number, baseMs: number, maxMs: number, random: () => number): number {
  // 2 ** 1024 is Infinity, and Infinity times a base of 0 is NaN: far below that every base has reached its maximum.
  const doubled = baseMs * 2 ** Math.min(Math.max(0, attempt), 64)
  return Math.min(maxMs, Math.min(maxMs, doubled) * (1 - JITTER + 2 * JITTER * random()))
}
