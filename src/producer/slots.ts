// Who waits for each record of a batch, and what its metadata will say: arrays side by side instead of an object a record.
// From: batch.ts, which fills a slot as it appends and empties it as it settles. Pooled, because a batch needs them for milliseconds
// and thousands of batches pass in a second.

/** How a slot is settled. */
export const SLOT_PROMISE = 0 // first = resolve, second = reject
export const SLOT_CALLBACK = 1 // first = onDelivery, second = context
export const SLOT_GROUP = 2 // first = a SlotGroup, second = the index in it
export const SLOT_NOBODY = 3
/** Settled before its batch was (its caller's signal ended the wait); its record is left out when the batch is recut. */
export const SLOT_GONE = 4

export type SlotKind =
  | typeof SLOT_PROMISE
  | typeof SLOT_CALLBACK
  | typeof SLOT_GROUP
  | typeof SLOT_NOBODY
  | typeof SLOT_GONE

const FIRST_CAPACITY = 64
// A pool larger than this many slots in all would only hold memory for a burst that is over.
const POOLED_SLOTS_MAX = 1 << 20

export class Slots {
  kinds = new Uint8Array(FIRST_CAPACITY)
  keyBytes = new Int32Array(FIRST_CAPACITY)
  valueBytes = new Int32Array(FIRST_CAPACITY)
  timestamps = new Float64Array(FIRST_CAPACITY)
  readonly first: unknown[] = []
  readonly second: unknown[] = []
  capacity = FIRST_CAPACITY

  grow(): void {
    this.capacity *= 2
    this.kinds = widen(this.kinds, new Uint8Array(this.capacity))
    this.keyBytes = widen(this.keyBytes, new Int32Array(this.capacity))
    this.valueBytes = widen(this.valueBytes, new Int32Array(this.capacity))
    this.timestamps = widen(this.timestamps, new Float64Array(this.capacity))
  }

  isGone(index: number): boolean {
    return this.kinds[index] === SLOT_GONE
  }

  /** Whoever asks settles the record from now on; the batch does not. */
  takeKind(index: number): SlotKind {
    const kind = this.kinds[index]! as SlotKind
    this.kinds[index] = SLOT_GONE
    return kind
  }

  /** Copies one slot; the copy's owner settles it from now on. */
  moveFrom(source: Slots, from: number, to: number): void {
    while (to >= this.capacity) this.grow()
    this.kinds[to] = source.kinds[from]!
    this.keyBytes[to] = source.keyBytes[from]!
    this.valueBytes[to] = source.valueBytes[from]!
    this.timestamps[to] = source.timestamps[from]!
    this.first[to] = source.first[from]
    this.second[to] = source.second[from]
    source.kinds[from] = SLOT_GONE
    source.first[from] = undefined
    source.second[from] = undefined
  }
}

function widen<T extends Uint8Array | Int32Array | Float64Array>(from: T, to: T): T {
  to.set(from)
  return to
}

/** Last in, first out. Slots come back empty: whoever settled them has let go of the functions. */
export class SlotsPool {
  readonly #free: Slots[] = []
  #freeCapacity = 0

  take(): Slots {
    const slots = this.#free.pop()
    if (slots === undefined) return new Slots()
    this.#freeCapacity -= slots.capacity
    return slots
  }

  give(slots: Slots): void {
    if (this.#freeCapacity + slots.capacity > POOLED_SLOTS_MAX) return
    this.#freeCapacity += slots.capacity
    this.#free.push(slots)
  }
}
