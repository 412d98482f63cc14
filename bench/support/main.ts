// What the benchmark commands have in common: their options, the Kafka, the rounds, the report, the exit code.
// From: throughput.ts and compare/run.ts, each with its cases. To: runner.ts and report.ts.

import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { startKafka } from '../../test/support/kafka/start-kafka.ts'
import { KAFKA_RELEASES } from '../../test/support/kafka/versions.ts'
import { describeSetting, jsonReport, loadNow, markdownTable, rowsOf, type Setting } from './report.ts'
import { type Case, isComplete, runRounds } from './runner.ts'
import { Screen } from './screen.ts'

const HELP = `
  --rounds N       each case so often, interleaved; the table shows medians (5)
  --scale X        records of every case times X: 0.1 for a quick look (1)
  --only a,b       cases whose label contains one of these
  --size BYTES     bytes of a value (100)
  --partitions N   partitions of each topic (6)
  --brokers 1|3    brokers to start; ignored with KAFKA_BOOTSTRAP_SERVERS (1)
  --json FILE      all figures, with the machine and the versions
  --help
`

/** Measures `cases` as the command line says, prints the table, and sets the exit code: 1 when a log was not exact. */
export async function benchmark(command: string, cases: readonly Case[]): Promise<void> {
  try {
    await run(command, cases)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    console.error(error.message)
    process.exitCode = 2
  }
}

class UsageError extends Error {}

async function run(command: string, cases: readonly Case[]): Promise<void> {
  const { values: options } = parseArgs({
    options: {
      rounds: { type: 'string', default: '5' },
      scale: { type: 'string', default: '1' },
      only: { type: 'string', default: '' },
      size: { type: 'string', default: '100' },
      partitions: { type: 'string', default: '6' },
      brokers: { type: 'string', default: '1' },
      json: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  const screen = new Screen()
  if (options.help) return screen.line(`${command}\n${HELP}`)

  const chosen = choose(cases, options.only, positive(options.scale, '--scale'))
  const rounds = positive(options.rounds, '--rounds')
  const valueBytes = positive(options.size, '--size')
  const partitions = positive(options.partitions, '--partitions')
  const brokers = positive(options.brokers, '--brokers') === 3 ? 3 : 1

  const loadBefore = loadNow()
  screen.live('starting Kafka')
  await using kafka = await startKafka({ brokers })
  const setting: Setting = {
    kafka: kafka.version === undefined ? `at ${kafka.bootstrapServers}` : KAFKA_RELEASES[kafka.version].release,
    brokers: kafka.nodes.length,
    partitions,
    valueBytes,
    loadBefore,
  }
  screen.line(`${describeSetting(setting)}\n`)
  const measurements = await runRounds(kafka, {
    cases: chosen,
    rounds,
    partitions,
    valueBytes,
    say: (line, final) => (final ? screen.line(line) : screen.live(line)),
  })

  screen.line(`\n${markdownTable(rowsOf(measurements))}`)
  if (options.json !== undefined) writeFileSync(options.json, jsonReport(setting, measurements))
  const wrong = measurements.filter((measurement) => !isComplete(measurement))
  for (const { label, round, result, inLog } of wrong) {
    screen.line(`${label}, round ${round}: ${result.acknowledged} acknowledged, ${inLog} in the log`)
  }
  if (wrong.length > 0) process.exitCode = 1
}

function choose(cases: readonly Case[], only: string, scale: number): Case[] {
  const words = only.split(',').filter((word) => word !== '')
  const chosen = cases.filter(({ label }) => words.length === 0 || words.some((word) => label.includes(word)))
  if (chosen.length === 0) {
    throw new UsageError(`--only ${only} leaves nothing of:\n${cases.map(({ label }) => `  ${label}`).join('\n')}`)
  }
  const scaled = (records: number): number => Math.max(1_000, Math.round(records * scale))
  return chosen.map((item) => ({ ...item, records: scaled(item.records), warmup: scaled(item.warmup) }))
}

function positive(text: string, option: string): number {
  const value = Number(text)
  if (!(value > 0)) throw new UsageError(`${option} takes a positive number, not "${text}"`)
  return value
}
