// kafka-wire beside kafkajs and @platformatic/kafka, on one Kafka, in one run: `npm run bench:compare` (options: `-- --help`).
// The others' settings come from a scan (200, 1,000 and 5,000 records a call; one, four and eight calls at a time): 1,000 × 4 was the
// fastest, or as fast as the fastest within the noise. Each is measured with the guarantee that kafka-wire gives, idempotence, and without.

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
