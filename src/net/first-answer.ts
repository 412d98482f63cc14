// First answer: those who wait until the cluster has been described for the first time.
// From: cluster.ts, for `connect`.
import type { KafkaError } from '../errors.ts'

interface Waiter {
  resolve(): void
  reject(error: KafkaError): void
}

export class FirstAnswer {
  // Bound: the connect() calls under way.
  readonly #waiters = new Set<Waiter>()

  get isAwaited(): boolean {
    return this.#waiters.size > 0
  }

  /** @param whyAborted What to reject with when the signal is aborted; asked then. */
  async wait(signal: AbortSignal | undefined, whyAborted: () => KafkaError): Promise<void> {
    let onAbort: (() => void) | undefined
    try {
      await new Promise<void>((resolve, reject) => {
        const waiter = { resolve, reject }
        this.#waiters.add(waiter)
        onAbort = () => {
          this.#waiters.delete(waiter)
          reject(whyAborted())
        }
        signal?.addEventListener('abort', onAbort, { once: true })
      })
    } finally {
      if (onAbort !== undefined) signal?.removeEventListener('abort', onAbort)
    }
  }

  came(): void {
    for (const { resolve } of this.#waiters) resolve()
    this.#waiters.clear()
  }

  failed(error: KafkaError): void {
    for (const { reject } of this.#waiters) reject(error)
    this.#waiters.clear()
  }
}
