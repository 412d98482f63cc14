// Lines that stay and one that is written over, on a terminal; plain lines everywhere else. For the benchmarks and the demo.

const ERASE_LINE = '\r\x1b[2K'

export class Screen {
  readonly isTerminal: boolean
  readonly #out: NodeJS.WriteStream
  #live = false

  constructor(out: NodeJS.WriteStream = process.stdout) {
    this.#out = out
    this.isTerminal = out.isTTY === true
  }

  /** A line that stays. */
  line(text = ''): void {
    this.#out.write(`${this.#live ? ERASE_LINE : ''}${text}\n`)
    this.#live = false
  }

  /** A line that the next one replaces, cut to the terminal's width; does nothing where there is no terminal. */
  live(text: string): void {
    if (!this.isTerminal) return
    this.#out.write(`${ERASE_LINE}${text.slice(0, (this.#out.columns ?? 80) - 1)}`)
    this.#live = true
  }

  /** Before somebody else writes to the same terminal. */
  clear(): void {
    if (this.#live) this.#out.write(ERASE_LINE)
    this.#live = false
  }
}
