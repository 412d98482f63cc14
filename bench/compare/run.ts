// kafka-wire beside kafkajs and @platformatic/kafka, on one Kafka, in one run: `npm run bench:compare` (options: `-- --help`).
// The others' best settings were looked for by hand: records a call from 100 to 10,000, one to eight calls at a time.
// Each is measured both ways where it matters: with the guarantee that kafka-wire gives (idempotent), and as fast as it goes.

import { ownCases } from '../support/cases.ts'
import { benchmark } from '../support/main.ts'
import type { Case } from '../support/runner.ts'

const kafkajs = { worker: new URL('kafkajs.ts', import.meta.url) }
const platformatic = { worker: new URL('platformatic.ts', import.meta.url) }
const bulk = { mode: 'batches', records: 1_000_000, warmup: 200_000, perCall: 1_000 }
const naive = { mode: 'naive', records: 60_000, warmup: 20_000 }

const theirCases: readonly Case[] = [
  { ...kafkajs, ...bulk, label: 'kafkajs send 1,000 × 4', callsOut: 4, idempotent: false },
  { ...kafkajs, ...bulk, label: 'kafkajs idempotent send 1,000 × 4', callsOut: 4 },
  {
    ...kafkajs,
    ...bulk,
    label: 'kafkajs send 1,000 × 4, 16 B keys',
    mode: 'batches keyed',
    callsOut: 4,
    idempotent: false,
  },
  { ...kafkajs, ...naive, label: 'kafkajs 1,000 loops of await send', idempotent: false },
  { ...platformatic, ...bulk, label: 'platformatic send 1,000 × 4', callsOut: 4, idempotent: false },
  { ...platformatic, ...bulk, label: 'platformatic idempotent send 1,000 × 4', callsOut: 4 },
  {
    ...platformatic,
    ...bulk,
    label: 'platformatic send 1,000 × 4, 16 B keys',
    mode: 'batches keyed',
    callsOut: 4,
    idempotent: false,
  },
  { ...platformatic, ...bulk, label: 'platformatic stream of 1,000', mode: 'stream', idempotent: false },
  { ...platformatic, ...naive, label: 'platformatic 1,000 loops of await send', idempotent: false },
]

await benchmark('npm run bench:compare --', [...ownCases, ...theirCases])
