// Settling one delivered batch: the metadata objects and the calls, for each way in which a record can be waited for. The figures are
// for all records of the batch; slots are filled as `append` fills them, without the bytes.
import { bench, group, summary } from 'mitata'
import { Batch } from '../../src/producer/batch.ts'
import { SLOT_CALLBACK, SLOT_NOBODY, SLOT_PROMISE, type SlotKind, Slots } from '../../src/producer/slots.ts'
import type { RecordMetadata } from '../../src/producer/types.ts'

// About what a batch of 64 KiB holds of records of 100 B.
const RECORDS = 580
const REGION_BYTES = 65_536

const region = {
  buffer: Buffer.alloc(REGION_BYTES),
  start: 0,
  capacity: REGION_BYTES,
  pins: 0,
  isReleased: false,
  sizeClass: 0,
}
const generation = { number: 1, outstanding: 0 }
const slots = new Slots()
while (slots.capacity < RECORDS) slots.grow()

function filled(kind: SlotKind, fill: (index: number) => void): Batch {
  const batch = new Batch('open', 'bench', 0, region, REGION_BYTES, slots, 0, 120_000, generation)
  for (let i = 0; i < RECORDS; i++) {
    slots.kinds[i] = kind
    slots.keyBytes[i] = -1
    slots.valueBytes[i] = 100
    slots.timestamps[i] = 1_700_000_000_000
    fill(i)
  }
  batch.count = RECORDS
  return batch
}

function settle(batch: Batch): void {
  batch.settle({ kind: 'delivered', baseOffset: 1_000, logAppendTimeMs: -1 })
  batch.callBack(0, RECORDS, null, onFault)
}

function onFault(fault: unknown): never {
  throw fault
}

let sum = 0
let last: Promise<unknown> = Promise.resolve()
const onDelivery = (_error: unknown, metadata: RecordMetadata | null): void => {
  sum += metadata!.offset
}

group(`settling a batch of ${RECORDS} records`, () => {
  summary(() => {
    bench(`settle ${RECORDS}: nobody asks`, () => {
      settle(filled(SLOT_NOBODY, () => {}))
      return sum
    })
    bench(`settle ${RECORDS}: one callback for all, with a context`, () => {
      settle(
        filled(SLOT_CALLBACK, (i) => {
          slots.first[i] = onDelivery
          slots.second[i] = i
        }),
      )
      return sum
    })
    bench(`settle ${RECORDS}: a closure each`, () => {
      settle(
        filled(SLOT_CALLBACK, (i) => {
          slots.first[i] = (_error: unknown, metadata: RecordMetadata) => {
            sum += metadata.offset + i
          }
        }),
      )
      return sum
    })
    bench(`settle ${RECORDS}: a promise each, left alone`, async () => {
      const batch = filled(SLOT_PROMISE, promised)
      settle(batch)
      await last
    })
    bench(`settle ${RECORDS}: a promise each, with a then`, async () => {
      const batch = filled(SLOT_PROMISE, (i) => {
        promised(i)
        last = last.then(onResolved)
      })
      settle(batch)
      await last
    })
  })
})

function promised(i: number): void {
  last = new Promise((resolve, reject) => {
    slots.first[i] = resolve
    slots.second[i] = reject
  })
}

function onResolved(metadata: unknown): void {
  sum += (metadata as RecordMetadata).offset
}
