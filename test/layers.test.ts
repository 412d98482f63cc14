// Imports point one way: cli, testing → producer → net → protocol → errors. The linter enforces it; this proves that the linter would
// notice (a rule that matches nothing passes everything).
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const root = resolve(import.meta.dirname, '..')

const wrong: readonly (readonly [path: string, from: string])[] = [
  ['src/errors.ts', './net/lane.ts'],
  ['src/clock.ts', './producer/core.ts'],
  ['src/protocol/reader.ts', '../net/lane.ts'],
  ['src/protocol/messages/produce.ts', '../../producer/batch.ts'],
  ['src/net/lane.ts', '../producer/batch.ts'],
  ['src/net/lane.ts', '../testing/mock-cluster.ts'],
  ['src/producer/core.ts', '../cli/perf.ts'],
  ['src/producer/core.ts', '../testing/mock-cluster.ts'],
]

const right: readonly (readonly [path: string, from: string])[] = [
  ['src/producer/core.ts', '../net/lane.ts'],
  ['src/net/lane.ts', '../protocol/api.ts'],
  ['src/protocol/reader.ts', '../errors.ts'],
]

// Each in a file of its own name, in a folder of its own with our configuration.
const fileOf = (path: string, index: number): string => `${dirname(path)}/${index}-${path.split('/').at(-1)}`

describe('the linter', () => {
  let folder: string
  let said: string

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'layers-'))
    const config = JSON.parse(readFileSync(resolve(root, 'biome.json'), 'utf8'))
    writeFileSync(join(folder, 'biome.json'), JSON.stringify({ ...config, vcs: { enabled: false } }))
    for (const [index, [path, from]] of [...wrong, ...right].entries()) {
      // A file that the rules name by its full path keeps its name.
      const file = join(folder, path.split('/').length === 2 ? path : fileOf(path, index))
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, `import { thing } from '${from}'\n\nexport const used = thing\n`)
    }
    const biome = resolve(root, 'node_modules/@biomejs/biome/bin/biome')
    const args = [biome, 'lint', '--reporter=github', '--max-diagnostics=none', '.']
    const { stdout, stderr } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' })
    said = stdout + stderr
  })

  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  const complaints = (name: string): string[] =>
    said.split('\n').filter((line) => line.includes(name) && line.includes('Imports point one way'))

  test.each(wrong.map(([path, from], index) => [path, from, index] as const))(
    'refuses an import in %s from %s',
    (path, _from, index) => {
      const name = path.split('/').length === 2 ? path : fileOf(path, index)
      expect(complaints(name)).toHaveLength(1)
    },
  )

  test.each(right.map(([path, from], index) => [path, from, wrong.length + index] as const))(
    'lets %s import from %s',
    (path, _from, index) => {
      expect(complaints(fileOf(path, index))).toEqual([])
    },
  )
})
