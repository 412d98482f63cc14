// Our own lines of the tables: one for each way to hand records over. To: throughput.ts, and compare/run.ts beside the others'.

import type { Case } from './runner.ts'

const worker = new URL('../clients/kafka-wire.ts', import.meta.url)
const bulk = { worker, records: 3_000_000, warmup: 1_000_000 }

export const ownCases: readonly Case[] = [
  { ...bulk, label: 'kafka-wire enqueue + callback', mode: 'callback' },
  { ...bulk, label: 'kafka-wire enqueue + callback, 16 B keys', mode: 'callback keyed' },
  { ...bulk, label: 'kafka-wire send, paced by ready', mode: 'send' },
  { ...bulk, label: 'kafka-wire sendMany 1,000 × 4', mode: 'sendMany', perCall: 1_000, callsOut: 4 },
  { ...bulk, label: 'kafka-wire 1,000 loops of await send', mode: 'naive' },
]
