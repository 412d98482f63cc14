// The async context in which the producer was made, and in which all of it runs that nobody waits for: connections, timers, callbacks.
// From: core.ts, which gives the clock below to everybody instead of the one it got. To: Node's async hooks.
//
// Whoever sends first would otherwise have sockets and timers made in the context of its own request, and would keep that request (with
// all that an AsyncLocalStorage holds for it) for as long as they live.

import { AsyncResource } from 'node:async_hooks'
import type { Clock } from '../clock.ts'

export class OwnContext {
  readonly #resource = new AsyncResource('kafka-wire')

  /** Does it here, whoever asks for it. */
  run<T>(work: () => T): T {
    return this.#resource.runInAsyncScope(work)
  }

  /** The same time; what is set on it is called back here. */
  clock(clock: Clock): Clock {
    const resource = this.#resource
    return {
      now: () => clock.now(),
      wallTimeMs: () => clock.wallTimeMs(),
      setTimer: (delayMs, callback, keepAlive) =>
        resource.runInAsyncScope(clock.setTimer, clock, delayMs, callback, keepAlive),
      soon: (callback) => resource.runInAsyncScope(clock.soon, clock, callback),
    }
  }
}
