// From measurements (runner.ts) to what a reader gets: a table of medians in Markdown, and all figures with the machine as JSON.

import { arch, cpus, loadavg, release, totalmem, type } from 'node:os'
import { isComplete, type Measurement } from './runner.ts'

/** What the figures hang on. */
export interface Setting {
  readonly kafka: string
  readonly brokers: number
  readonly partitions: number
  readonly valueBytes: number
  /** Of the last minute before the start: what else the machine was doing. */
  readonly loadBefore: number
}

/** Before Kafka is started: see `Setting.loadBefore`. */
export const loadNow = (): number => loadavg()[0] ?? 0

export interface Row {
  readonly label: string
  readonly client: string
  readonly version: string
  readonly recordsPerSecond: { readonly median: number; readonly min: number; readonly max: number }
  readonly megabytesPerSecond: number
  readonly cpuMicrosPerRecord: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly peakRssMegabytes: number
  readonly runs: number
  /** Runs in which the log grew by exactly as many records as were acknowledged. */
  readonly exactRuns: number
}

/** One row a case, in the order of the first round. */
export function rowsOf(measurements: readonly Measurement[]): Row[] {
  const labels = [...new Set(measurements.map(({ label }) => label))]
  return labels.map((label) => {
    const runs = measurements.filter((measurement) => measurement.label === label)
    const results = runs.map(({ result }) => result)
    const rates = results.map((result) => result.measured / result.seconds)
    return {
      label,
      client: results[0]!.client,
      version: results[0]!.version,
      recordsPerSecond: { median: median(rates), min: Math.min(...rates), max: Math.max(...rates) },
      megabytesPerSecond: median(results.map((result) => result.payloadBytes / 1e6 / result.seconds)),
      cpuMicrosPerRecord: median(results.map((result) => (result.cpuSeconds * 1e6) / result.measured)),
      p50Ms: median(results.map(({ latency }) => latency.p50)),
      p99Ms: median(results.map(({ latency }) => latency.p99)),
      peakRssMegabytes: median(results.map(({ peakRssBytes }) => peakRssBytes / 1e6)),
      runs: runs.length,
      exactRuns: runs.filter(isComplete).length,
    }
  })
}

export function markdownTable(rows: readonly Row[]): string {
  const lines = rows.map((row) => {
    const { median: rate, min, max } = row.recordsPerSecond
    return [
      row.label,
      count(rate),
      `${count(min)} to ${count(max)}`,
      row.megabytesPerSecond.toFixed(0),
      row.cpuMicrosPerRecord.toFixed(2),
      milliseconds(row.p50Ms),
      milliseconds(row.p99Ms),
      row.peakRssMegabytes.toFixed(0),
      `${row.exactRuns} of ${row.runs}`,
    ]
  })
  const head = ['', 'records/s', 'min to max', 'MB/s', 'CPU µs/record', 'p50 ms', 'p99 ms', 'RSS MB', 'log exact']
  const widths = head.map((title, column) => Math.max(title.length, ...lines.map((line) => line[column]!.length)))
  const format = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join(' | ')} |`
  const rule = format(widths.map((width, column) => (column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)))
  return [format(head), rule, ...lines.map(format)].join('\n')
}

/** The machine and the versions in one line. */
export function describeSetting({ kafka, brokers, partitions, valueBytes, loadBefore }: Setting): string {
  const { machine, node } = environment()
  return (
    `${machine}, Node ${node}; Kafka ${kafka}, ${brokers} broker${brokers === 1 ? '' : 's'} on the same machine, ` +
    `${partitions} partitions, ${valueBytes} B values, acks all; load before the run ${loadBefore.toFixed(1)}`
  )
}

/** Everything, for a file that another run can be held against. */
export function jsonReport(setting: Setting, measurements: readonly Measurement[]): string {
  return `${JSON.stringify({ ...environment(), ...setting, rows: rowsOf(measurements), measurements }, null, 2)}\n`
}

function environment(): { machine: string; node: string } {
  const processors = cpus()
  const model = processors[0]?.model.trim() ?? 'unknown processor'
  const gibibytes = Math.round(totalmem() / 2 ** 30)
  return {
    machine: `${processors.length} × ${model} (${arch()}), ${gibibytes} GiB, ${type()} ${release()}`,
    node: process.versions.node,
  }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** A client that tells no times has none. */
function milliseconds(ms: number): string {
  if (ms === 0) return ''
  return ms < 10 ? ms.toFixed(2) : ms.toFixed(0)
}

function count(value: number): string {
  if (value >= 1e6) return `${(value / 1e6).toFixed(2)} M`
  return `${(value / 1e3).toFixed(value >= 1e5 ? 0 : 1)} k`
}
