// Waiting for something outside of this process: asked again and again up to a deadline, never slept for.

import { setTimeout as sleep } from 'node:timers/promises'

export interface WaitOptions {
  readonly timeoutMs: number
  readonly intervalMs?: number
}

/**
 * Asks `probe` until it gives something other than undefined.
 * What it throws counts as "not yet"; the last of it becomes the cause of the error thrown past the deadline.
 */
export async function until<T>(
  what: string,
  options: WaitOptions,
  probe: () => Promise<T | undefined> | T | undefined,
): Promise<T> {
  const deadlineAt = performance.now() + options.timeoutMs
  let cause: unknown
  for (;;) {
    try {
      const found = await probe()
      if (found !== undefined) return found
      cause = undefined
    } catch (error) {
      if (error instanceof GiveUp) throw error
      cause = error
    }
    if (performance.now() >= deadlineAt) throw new Error(`${what}: not after ${options.timeoutMs} ms`, { cause })
    await sleep(options.intervalMs ?? 20)
  }
}

/** Thrown by a probe: waiting longer cannot help. */
export class GiveUp extends Error {}
