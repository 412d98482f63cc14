// The one routine that moves records which are encoded already: out of staged batches once their topic is known, out of a batch that
// the broker found too large, and out of one in which single records are wrong.
// From: accumulator.ts and sender.ts. To: new batches, through `place`, which says for each record where it goes.
//
// It reads what writeRecord wrote, so it trusts the bytes. It never moves a batch that may be in the log: that one must keep its
// sequence and its number of records.

import { RECORDS_AT } from '../protocol/record-batch.ts'
import type { Batch } from './batch.ts'
import { SLOT_GONE } from './slots.ts'

/** Where the parts of one encoded record lie in the source batch's buffer. `keyStart` is -1 for a null key. */
export interface RecordView {
  index: number
  restStart: number
  end: number
  keyStart: number
  keyEnd: number
}

let varintEnd = 0

function readVarint(buffer: Buffer, at: number): number {
  let shift = 0
  let value = 0
  let byte: number
  do {
    byte = buffer[at++]!
    value |= (byte & 127) << shift
    shift += 7
  } while (byte > 127)
  varintEnd = at
  return (value >>> 1) ^ -(value & 1)
}

function skipVarint(buffer: Buffer, at: number): number {
  while (buffer[at]! > 127) at++
  return at + 1
}

/**
 * Walks the records of `source` in order and hands each that still has an owner to `place`. The view is the same object each time. `place`
 * calls `target.appendEncoded(source, view.index, view.restStart, view.end)` for a target of its choice.
 */
export function recut(source: Batch, place: (view: RecordView) => void): void {
  const region = source.region!
  const buffer = region.buffer
  const view: RecordView = { index: 0, restStart: 0, end: 0, keyStart: -1, keyEnd: -1 }
  let at = region.start + RECORDS_AT
  for (let index = 0; index < source.count; index++) {
    const bodyBytes = readVarint(buffer, at)
    const bodyAt = varintEnd
    const restStart = skipVarint(buffer, skipVarint(buffer, bodyAt + 1))
    at = bodyAt + bodyBytes
    if (source.slots.kinds[index] === SLOT_GONE) continue
    const keyBytes = readVarint(buffer, restStart)
    view.index = index
    view.restStart = restStart
    view.end = at
    view.keyStart = keyBytes < 0 ? -1 : varintEnd
    view.keyEnd = varintEnd + Math.max(0, keyBytes)
    place(view)
  }
}
