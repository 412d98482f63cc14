// Runs the micro benches of this folder: node --expose-gc bench/micro/all.ts [name ...], where a name is a file's without `.ts`.
// From: every file beside this one, each of which registers its cases when it is imported. To: the terminal; the medians stand
// together at the end, ready to be copied into bench/README.md.
import { readdirSync } from 'node:fs'
import { run } from 'mitata'

const available = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.ts') && file !== 'all.ts')
  .map((file) => file.slice(0, -'.ts'.length))
const asked = process.argv.slice(2)
const unknown = asked.filter((name) => !available.includes(name))
if (unknown.length > 0) throw new Error(`no micro bench ${unknown.join(', ')}: there are ${available.join(', ')}`)

for (const name of asked.length > 0 ? asked : available) await import(`./${name}.ts`)

const { benchmarks } = await run({ throw: true })

console.log(`\nMedians, Node ${process.versions.node}:\n`)
console.log('| case | ns |\n|---|---|')
for (const { runs } of benchmarks) {
  for (const { name, stats } of runs) {
    if (stats !== undefined)
      console.log(`| ${name} | ${stats.p50 < 100 ? stats.p50.toFixed(1) : Math.round(stats.p50)} |`)
  }
}
