// Log: what the producer has to say, said once. Stands between our code and the user's logger: repeats are counted instead of
// said, and a logger that throws hurts nobody.
// From: net/, producer/. To: the user's logger, or console.warn.
import type { Clock, Timer } from './clock.ts'

/** Called as pino is: the fields first. Payloads and secrets never appear in the fields. */
export interface Log {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

export type LogLevel = keyof Log

/** A `Log` that counts repeats; see `rateLimited`. */
export interface RateLimitedLog extends Log {
  /** Says what is counted and not said yet, and leaves no timer behind. Later messages are passed on as they come. */
  close(): void
}

/** Warnings and errors go to `console.warn`, the rest nowhere. */
export const consoleLog: Log = {
  debug() {},
  info() {},
  warn: (fields, message) => print(fields, message),
  error: (fields, message) => print(fields, message),
}

function print(fields: object, message: string): void {
  // biome-ignore lint/suspicious/noConsole: where the user gave no logger a warning must still be seen; this is the one place.
  console.warn(`kafka-wire: ${message}`, fields)
}

const WINDOW_MS = 10_000
/** At this many different messages in one window the oldest is said and forgotten. */
const MESSAGES_AT_MOST = 200

interface Repeats {
  readonly level: LogLevel
  readonly message: string
  readonly endsAt: number
  count: number
  fields: object
}

/**
 * Passes a message on and then, for ten seconds, only counts those of the same level and text; at the end the last of them is said with
 * `(repeated 41 times in 10 s)` behind it. So a text should not contain what changes with every call: that belongs into the fields.
 * A storm of one message costs one line every ten seconds.
 *
 * `log` may throw, or answer a promise that rejects: the first such fault is said on `console.warn`, and nothing else comes of it.
 */
export function rateLimited(log: Log, clock: Clock): RateLimitedLog {
  // In the order in which their windows end, since all windows are equally long and a new one goes to the end.
  const repeating = new Map<string, Repeats>()
  const write = guarded(log)
  let timer: Timer | undefined
  let closed = false

  const arm = (): void => {
    const first = repeating.values().next().value
    if (first !== undefined) timer ??= clock.setTimer(first.endsAt - clock.now(), look, false)
  }
  const open = (level: LogLevel, fields: object, message: string): void => {
    repeating.set(level + message, { level, message, endsAt: clock.now() + WINDOW_MS, count: 0, fields })
  }
  const end = (repeats: Repeats): void => {
    repeating.delete(repeats.level + repeats.message)
    if (repeats.count === 0) return
    const times = repeats.count === 1 ? 'once more' : `${repeats.count} times`
    write(repeats.level, repeats.fields, `${repeats.message} (repeated ${times} in ${WINDOW_MS / 1000} s)`)
  }
  const look = (): void => {
    timer = undefined
    const now = clock.now()
    const ended = [...repeating.values()].filter((repeats) => repeats.endsAt <= now)
    for (const repeats of ended) {
      end(repeats)
      // It went on through the whole window: the next one begins without a word.
      if (repeats.count > 0) open(repeats.level, repeats.fields, repeats.message)
    }
    arm()
  }
  const say = (level: LogLevel, fields: object, message: string): void => {
    const repeats = repeating.get(level + message)
    if (repeats !== undefined) {
      repeats.count++
      repeats.fields = fields
      return
    }
    write(level, fields, message)
    if (closed) return
    if (repeating.size >= MESSAGES_AT_MOST) end(repeating.values().next().value!)
    open(level, fields, message)
    arm()
  }
  return {
    debug: (fields, message) => say('debug', fields, message),
    info: (fields, message) => say('info', fields, message),
    warn: (fields, message) => say('warn', fields, message),
    error: (fields, message) => say('error', fields, message),
    close() {
      closed = true
      timer?.cancel()
      timer = undefined
      for (const repeats of repeating.values()) end(repeats)
    },
  }
}

type Write = (level: LogLevel, fields: object, message: string) => void

function guarded(log: Log): Write {
  let told = false
  const fault = (error: unknown): void => {
    if (told) return
    told = true
    print({ error }, 'the logger itself failed; this is said once')
  }
  return (level, fields, message) => {
    try {
      // Typed as void, but a logger may well be an async function, and a rejection nobody handles ends the process.
      const answer: unknown = log[level](fields, message)
      if (answer instanceof Promise) answer.catch(fault)
    } catch (error) {
      fault(error)
    }
  }
}
