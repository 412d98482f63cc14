// Fifo: a queue whose both ends cost O(1), on a ring that doubles when it is full.
//
//   slots   [ c  d  .  .  a  b ]      length 4: #head points at a; d stands at (#head + 3) modulo the ring's size, a power of two
//                         ^ #head
//
// From, to: in-flight.ts, which keeps requests in the order of their answers.

/** Unbounded by itself: who pushes states the bound. */
export class Fifo<T> {
  #slots: (T | undefined)[] = new Array(8)
  #head = 0
  #length = 0

  get length(): number {
    return this.#length
  }

  push(item: T): void {
    if (this.#length === this.#slots.length) this.#grow()
    this.#slots[(this.#head + this.#length) & (this.#slots.length - 1)] = item
    this.#length++
  }

  /** The oldest, which stays. */
  peek(): T | undefined {
    return this.#slots[this.#head]
  }

  /** The oldest, which goes. */
  shift(): T | undefined {
    const item = this.#slots[this.#head]
    if (item === undefined) return undefined
    this.#slots[this.#head] = undefined
    this.#head = (this.#head + 1) & (this.#slots.length - 1)
    this.#length--
    return item
  }

  /** Oldest first. The queue must not change meanwhile. */
  forEach(each: (item: T) => void): void {
    for (let index = 0; index < this.#length; index++)
      each(this.#slots[(this.#head + index) & (this.#slots.length - 1)]!)
  }

  clear(): void {
    this.#slots = new Array(8)
    this.#head = 0
    this.#length = 0
  }

  #grow(): void {
    const old = this.#slots
    this.#slots = old.slice(this.#head).concat(old.slice(0, this.#head), new Array(old.length))
    this.#head = 0
  }
}
