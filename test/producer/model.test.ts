// The producer against a model of Kafka, with random faults. A run that fails names its seed: MODEL_SEED=17 runs that one alone, and
// MODEL_RUNS=1000 runs that many.
import { describe, expect, test } from 'vitest'
import { type ModelOptions, ModelRun } from '../support/producer/model-run.ts'

const { MODEL_SEED, MODEL_RUNS } = process.env
const firstSeed = Number(MODEL_SEED ?? 1)
const runs = Number(MODEL_RUNS ?? (MODEL_SEED === undefined ? 40 : 1))
const seeds = Array.from({ length: runs }, (_, i) => firstSeed + i)

async function run(seed: number, options: ModelOptions = {}): Promise<ModelRun> {
  const model = new ModelRun(seed, options)
  await model.run()
  return model
}

describe('with idempotence, whatever happens to requests, connections and leaders', () => {
  test.each(seeds)('every acknowledged record is in the log once and in order (seed %i)', async (seed) => {
    const model = await run(seed)
    expect(model.faults()).toEqual([])
    model.stage.expectEmpty()
  })
})
