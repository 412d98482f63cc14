// The producer against a model of Kafka, with random faults. A run that fails names its seed: MODEL_SEED=17 runs that one alone, and
// MODEL_RUNS=1000 runs that many of each kind.
import { describe, expect, test } from 'vitest'
import { type ModelOptions, ModelRun } from '../support/producer/model-run.ts'

const { MODEL_SEED, MODEL_RUNS } = process.env
const firstSeed = Number(MODEL_SEED ?? 1)

function seeds(usually: number): number[] {
  const runs = Number(MODEL_RUNS ?? (MODEL_SEED === undefined ? usually : 1))
  return Array.from({ length: runs }, (_, i) => firstSeed + i)
}

async function run(seed: number, options: ModelOptions = {}): Promise<ModelRun> {
  const model = new ModelRun(seed, options)
  await model.run()
  model.stage.expectEmpty()
  // The user's callbacks throw now and then; nothing of ours does.
  const faults = model.stage.log.at('error').map(({ message }) => message)
  expect(faults.filter((message) => !message.startsWith('a delivery callback threw'))).toEqual([])
  return model
}

// Once, in order, nothing acknowledged that is not there, nothing there that was reported as not stored, everything settled once and in
// time, no byte left behind.
const ALL_IS_WELL: string[] = []

describe('with idempotence, whatever happens to requests, connections and leaders', () => {
  test.each(seeds(60))('every acknowledged record is in the log once and in order (seed %i)', async (seed) => {
    expect((await run(seed)).faults()).toEqual(ALL_IS_WELL)
  })

  const variants: Readonly<Record<string, ModelOptions>> = {
    'when half of all batches meet a fault': { faults: 0.5 },
    'for long, with many faults': { steps: 1_500, faults: 0.3 },
    'when brokers make no faults, and connections and leaders do': { faults: 0 },
    'when epochs run out': { firstEpoch: 32_765 },
    'with one request in flight': { producer: { maxInFlightRequestsPerConnection: 1 } },
    'with two retries': { producer: { retries: 2 } },
    'when the oldest are dropped': { producer: { overflow: 'drop-oldest' } },
    'with room for everything': { producer: { bufferMemory: 2_097_152 } },
  }

  describe.each(Object.entries(variants))('%s', (_name, options) => {
    test.each(seeds(10))('the same (seed %i)', async (seed) => {
      expect((await run(seed, options)).faults()).toEqual(ALL_IS_WELL)
    })
  })

  test.each(seeds(20))('closed in the midst of it, every record has settled, and truly (seed %i)', async (seed) => {
    const model = new ModelRun(seed)
    const { abandoned } = await model.runAndClose()
    expect(model.faults({ isClosed: true })).toEqual(ALL_IS_WELL)
    const closed = model.records.filter(({ sent }) => sent.error?.code === 'CLOSED')
    expect(closed.length).toBe(abandoned)
    expect(model.stage.core.generations.outstanding).toBe(0)
    expect(model.stage.clock.pendingDelaysMs).toEqual([])
  })
})

describe('without idempotence', () => {
  test.each(seeds(15))(
    'records may be stored again, but none is lost, and none that is reported as not stored is there (seed %i)',
    async (seed) => {
      const model = await run(seed, { producer: { enableIdempotence: false } })
      expect(model.faults({ isOnce: false, isOrdered: false })).toEqual(ALL_IS_WELL)
    },
  )

  test.each(seeds(15))(
    'with acks 0 every record settles once, with no offset, and no byte is left (seed %i)',
    async (seed) => {
      const model = await run(seed, { producer: { acks: 0 } })
      expect(model.records.filter(({ sent }) => sent.settledCount !== 1)).toEqual([])
      expect(model.records.filter(({ sent }) => sent.metadata !== undefined && sent.metadata.offset !== -1)).toEqual([])
    },
  )
})
