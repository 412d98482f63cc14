// Adds up what a CI run has seen: a line a tier, under it a line for each Kafka release, and as the very last line the sum of all.
//
//   summarize-tests.ts FOLDER [FAILED-STEP...]
//
// FOLDER holds the reports of vitest's JSON reporter, and packed.json from check-packed.ts. A step that failed counts as one failure: it
// must not be possible to end with "0 failed" and a red build. Ends with 1 when anything failed, or nothing passed.

import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

interface Counts {
  passed: number
  failed: number
  skipped: number
}

interface VitestReport {
  readonly testResults: readonly {
    readonly name: string
    readonly status: string
    readonly message: string
    readonly assertionResults: readonly { readonly status: string; readonly ancestorTitles: readonly string[] }[]
  }[]
}

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const TIERS_WITH_A_FOLDER = ['scenario', 'oracle', 'integration', 'containers']

const [folder, ...failedSteps] = process.argv.slice(2)
if (folder === undefined) throw new Error('summarize-tests.ts FOLDER [FAILED-STEP...]')

const tiers = new Map<string, Counts>()
const releases = new Map<string, Counts>()
const notes: string[] = []
for (const file of readdirSync(folder).filter((name) => name.endsWith('.json'))) {
  const report: unknown = JSON.parse(readFileSync(join(folder, file), 'utf8'))
  if (file === 'packed.json') tiers.set('packed', report as Counts)
  else addVitest(report as VitestReport)
}
for (const step of failedSteps) notes.push(`step failed: ${step}`)

const total = { passed: 0, failed: failedSteps.length, skipped: 0 }
for (const counts of tiers.values()) add(total, counts)
const lines = [
  ...Array.from(tiers).map(([tier, counts]) => `${tier.padEnd(34)} ${inWords(counts)}`),
  ...Array.from(releases)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([title, counts]) => `  ${title.padEnd(32)} ${inWords(counts)}`),
  ...notes,
  inWords(total),
]
console.log(lines.join('\n'))
if (total.failed > 0 || total.passed === 0) process.exitCode = 1

function addVitest(report: VitestReport): void {
  for (const { name, status, message, assertionResults } of report.testResults) {
    const tier = countsOf(tiers, tierOf(name))
    for (const { status: outcome, ancestorTitles } of assertionResults) {
      count(tier, outcome)
      const title = ancestorTitles.find((ancestor) => ancestor.startsWith('Kafka '))
      if (title !== undefined) count(countsOf(releases, `${tierOf(name)}: ${title}`), outcome)
    }
    // A file that could not even be loaded, or a hook that failed, has no failed test to show for it.
    if (status === 'failed' && assertionResults.every((result) => result.status !== 'failed')) {
      tier.failed++
      notes.push(`${relative(ROOT, name)}: ${message.split('\n')[0]}`)
    }
  }
}

function tierOf(file: string): string {
  const [, first] = relative(ROOT, file).split(sep)
  return TIERS_WITH_A_FOLDER.find((tier) => tier === first) ?? 'unit'
}

function count(counts: Counts, outcome: string): void {
  if (outcome === 'passed') counts.passed++
  else if (outcome === 'failed') counts.failed++
  else counts.skipped++
}

function countsOf(map: Map<string, Counts>, name: string): Counts {
  const known = map.get(name) ?? { passed: 0, failed: 0, skipped: 0 }
  map.set(name, known)
  return known
}

function add(to: Counts, counts: Counts): void {
  to.passed += counts.passed
  to.failed += counts.failed
  to.skipped += counts.skipped
}

function inWords({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`
}
