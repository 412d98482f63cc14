// The repository about itself: documents that match the code, files that look as the house rules say, options that somebody reads.
// What is checked by the compiler or the linter is not checked here.
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { kafkaCodeClasses, ownCodes } from '../src/errors.ts'
import { type OptionName, optionNames, optionTable } from '../src/producer/option-table.ts'
import { brokerError } from '../src/protocol/error-codes.ts'

const root = resolve(import.meta.dirname, '..')
const read = (path: string): string => readFileSync(resolve(root, path), 'utf8')

/** What is committed, and what would be by `git add --all`. */
const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\n')
  .filter((path) => path !== '' && existsSync(resolve(root, path)))

const sources = files.filter((path) => /^src\/.*\.ts$/.test(path))

/** Cells of the table that follows the line `heading`, without its first two rows. */
function tableAfter(markdown: string, heading: string): readonly (readonly string[])[] {
  const lines = markdown
    .slice(markdown.indexOf(`\n${heading}\n`))
    .split('\n')
    .slice(2)
  const start = lines.findIndex((line) => line.startsWith('|'))
  const end = lines.findIndex((line, index) => index > start && !line.startsWith('|'))
  return lines.slice(start + 2, end).map((line) =>
    line
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )
}

const codesIn = (cell: string): readonly string[] => [...cell.matchAll(/`([A-Z_]+)`/g)].map((match) => match[1]!)

describe('the README', () => {
  const readme = read('README.md')

  test("has every option in its table, with the option table's default, Java name and remark, and none besides", () => {
    const rows = tableAfter(readme, '## Options').map((cells) => cells.join(' | '))
    expect(rows).toEqual(
      optionNames.map((name) => {
        const { javaName, differs } = optionTable[name]
        return [
          `\`${name}\``,
          defaultText(name),
          javaName === null ? '–' : `\`${javaName}\``,
          differs.replaceAll('|', '\\|'),
        ].join(' | ')
      }),
    )
  })

  test('names no error code that does not exist', () => {
    const codes = tableAfter(readme, '## Errors').flatMap(([code]) => codesIn(code!))
    expect(codes.length).toBeGreaterThan(5)
    expect(codes.filter((code) => !isErrorCode(code))).toEqual([])
  })

  test('says what is bounded by every option that bounds something', () => {
    const bounds = tableAfter(readme, '## What is bounded, and what happens there').join('\n')
    const bounding = optionNames.filter((name) => /^(max|buffer)|(?<!Connection|SetupTimeout|Max)TimeoutMs$/.test(name))
    const elsewhere = ['transactionTimeoutMs', 'partitionerAvailabilityTimeoutMs', 'socketConnectionSetupTimeoutMs']
    expect(bounding.filter((name) => !bounds.includes(`\`${name}\``) && !elsewhere.includes(name))).toEqual([])
  })

  test('gives both commands', () => {
    expect(readme).toContain('npm ci && npm start')
    expect(readme).toContain('npm ci && npm test')
  })

  test('names every runtime dependency, with a reason', () => {
    const { dependencies } = JSON.parse(read('package.json')) as { dependencies: Record<string, string> }
    const named = tableAfter(readme, '## Dependencies')
    expect(named.map(([name]) => name)).toEqual(
      Object.keys(dependencies)
        .map((name) => `\`${name}\``)
        .reverse(),
    )
    for (const [, reason] of named) expect(reason!.length).toBeGreaterThan(20)
  })
})

function defaultText(name: OptionName): string {
  const { default: usual } = optionTable[name]
  if (name === 'bootstrapServers') return 'required'
  if (usual === undefined) return 'none'
  if (Array.isArray(usual)) return '`[]`'
  return typeof usual === 'string' ? `\`'${usual}'\`` : `\`${usual}\``
}

describe('the type of the options', () => {
  const types = read('src/producer/types.ts')

  test.each(optionNames.filter((name) => optionTable[name].default !== undefined))(
    'tells the default of %s',
    (name) => {
      const before = types.slice(0, types.search(new RegExp(`^  readonly ${name}\\??:`, 'm')))
      const docstring = before.slice(before.lastIndexOf('/**'))
      const bare = defaultText(name).replaceAll('`', '')
      expect(docstring).toMatch(new RegExp(`(Default|only with|is the default)[^.]*|${bare}`))
      expect(docstring).toContain(bare)
    },
  )
})

describe('docs/errors.md', () => {
  const errors = read('docs/errors.md')

  test('has every code of kafka-wire, with class, whether it is retriable, and meaning, and a remedy', () => {
    const rows = tableAfter(errors, '## Codes of kafka-wire')
    expect(rows.map((cells) => cells.slice(0, 4).join(' | '))).toEqual(
      Object.entries(ownCodes).map(
        ([code, entry]) =>
          `\`${code}\` | \`${entry.class.name}\` | ${entry.retriable ? 'yes' : 'no'} | ${entry.meaning}`,
      ),
    )
    for (const [code, , , , remedy] of rows) expect(remedy!.length, code).toBeGreaterThan(20)
  })

  test('gives each broker code the class that the code gives it', () => {
    const rows = tableAfter(errors, '## Codes of the brokers').filter(([, name]) => name !== 'none')
    for (const [cell, name] of rows) {
      for (const code of codesIn(cell!)) {
        expect(isErrorCode(code), code).toBe(true)
        expect(`\`${kafkaCodeClasses[code]?.name ?? 'DeliveryError'}\``, code).toBe(name)
      }
    }
  })

  test('has every broker code that has a class of its own, but for logins and transactions, which are to come', () => {
    const named = new Set(tableAfter(errors, '## Codes of the brokers').flatMap(([cell]) => codesIn(cell!)))
    const toCome = /SASL|TXN|TRANSACTION|FENCED/
    expect(Object.keys(kafkaCodeClasses).filter((code) => !named.has(code) && !toCome.test(code))).toEqual([])
  })
})

const brokerCodes = new Set(Array.from({ length: 200 }, (_, code) => brokerError(code).name))
const isErrorCode = (code: string): boolean => Object.hasOwn(ownCodes, code) || brokerCodes.has(code)

describe('options', () => {
  // Where options are defined, checked and translated; reading one there is no use of it.
  const definitions = /^src\/(producer\/(option.*|properties|presets|types)|net\/options)\.ts$/
  // protocol/ knows requests, not options: a field of a request may have the same name.
  const users = sources
    .filter((path) => /^src\/(producer|net)\//.test(path) && !definitions.test(path))
    .map((path) => withoutComments(read(path)))

  /** Those that nothing has to read, each with its reason. An option that is read must go from here. */
  const unread: Partial<Record<OptionName, string>> = {
    transactionalId: 'refused: no transactions yet',
    transactionTimeoutMs: 'refused: no transactions yet',
    compressionType: 'refused: no compression yet',
    compressionLevel: 'refused: no compression yet',
    codecs: 'refused: no compression yet',
    tls: 'refused: no TLS yet',
    sasl: 'refused: no SASL yet',
    clientDnsLookup: 'has one value, which is what dial.ts does',
  }

  test.each(optionNames)('%s is read by somebody', (name) => {
    expect(users.some((source) => reads(source, name))).toBe(unread[name] === undefined)
  })
})

/** Takes it from an object: `x.name`, or `{ name } = x`. A declaration or a mention is no use. */
function reads(source: string, name: string): boolean {
  return new RegExp(`\\.${name}\\b(?!\\s*[:?]*:)|[{,]\\s*${name}\\b[^{}]*\\}\\s*(=[^=>]|: \\w+[,)])`).test(source)
}

describe('files', () => {
  /** Sources whose test does not stand at the mirrored place, each with its reason. */
  const withoutMirror: Record<string, string> = {
    'src/errors.ts': 'test/types and every test of an error',
    'src/clock.ts': 'the door to real time, which no test asks for',
    'src/producer/types.ts': 'types alone: test/types',
    'src/producer/metric-types.ts': 'types alone: metrics.test.ts',
    'src/producer/metric-scopes.ts': 'metrics.test.ts, through Metrics',
    'src/producer/metric-snapshot.ts': 'metrics.test.ts, through Metrics',
    'src/producer/option-rules.ts': 'options.test.ts, which breaks every rule',
    'src/producer/option-table.ts': 'options.test.ts and this file',
    'src/net/options.ts': 'types alone',
    'src/net/exchange.ts': 'types alone',
    'src/protocol/crc32c-wasm.ts': 'made by kernels/build.ts; crc32c-kernels.test.ts makes it again and compares',
    'src/protocol/kernels/build.ts': 'crc32c-kernels.test.ts runs it',
  }
  const mirrorOf = (path: string): string => path.replace(/^src\//, 'test/').replace(/\.ts$/, '.test.ts')

  test('every source has its test at the mirrored place', () => {
    const missing = sources.filter((path) => !files.includes(mirrorOf(path)) && withoutMirror[path] === undefined)
    expect(missing).toEqual([])
  })

  test('the list of those that have none is true', () => {
    const wrong = Object.keys(withoutMirror).filter((path) => !sources.includes(path) || files.includes(mirrorOf(path)))
    expect(wrong).toEqual([])
  })

  // A test says it in its name.
  test('every file of code but tests opens with a comment that says where it stands', () => {
    const code = files.filter((path) => /\.(ts|mjs|cjs|js)$/.test(path) && !path.endsWith('.test.ts'))
    expect(code.length).toBeGreaterThan(50)
    expect(code.filter((path) => !opensWithComment(read(path)))).toEqual([])
  })

  test('no source is longer than 450 lines', () => {
    expect(sources.filter((path) => read(path).split('\n').length > 451)).toEqual([])
  })

  test('no source but the logger writes to the console', () => {
    expect(sources.filter((path) => /\bconsole\.\w+\(/.test(withoutComments(read(path))))).toEqual(['src/logger.ts'])
  })

  test('no committed file names the host of a package registry, or a directory of one machine', () => {
    // Paths inside of container images are the same everywhere.
    const ofImages = /^test\/support\/kafka\/(image\/|docker-cluster\.ts)/
    const text = files.filter((path) => !ofImages.test(path) && !/\.(png|jar|zip|gz|bin)$/.test(path))
    expect(text.filter((path) => ofOneMachine(read(path)))).toEqual([])
  })

  test('every link between documents leads somewhere', () => {
    const broken = files
      .filter((path) => path.endsWith('.md'))
      .flatMap((path) =>
        [...read(path).matchAll(/\]\((?!https?:)([^)#\s]+)/g)]
          .map((match) => resolve(root, path, '..', match[1]!))
          .filter((target) => !existsSync(target))
          .map((target) => `${path} → ${target.slice(root.length + 1)}`),
      )
    expect(broken).toEqual([])
  })
})

function withoutComments(source: string): string {
  return source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '$1')
}

function opensWithComment(source: string): boolean {
  return /^(#!.*\n)?(\/\/|\/\*) ?\S/.test(source)
}

function ofOneMachine(text: string): boolean {
  const hosts =
    /\b(registry|repo1?|pypi|mirrors?|files|deb)\.[a-z0-9-]+(\.[a-z0-9-]+)*\.(org|com|net|io|dev)\b|\bpypi\.org\b/i
  const directories = /(?<![\w.}*/-])\/(work|root|home|Users|tmp)\/(?!appuser)\w/
  return hosts.test(text) || directories.test(text)
}

describe('these checks can fail', () => {
  test('a mention or a declaration of an option is no use of it', () => {
    expect(reads('if (options.lingerMs > 0) wait()', 'lingerMs')).toBe(true)
    expect(reads('const { acks, lingerMs } = this.#options', 'lingerMs')).toBe(true)
    expect(reads('function f({ lingerMs }: Options) {}', 'lingerMs')).toBe(true)
    expect(reads('interface Options { readonly lingerMs: number }', 'lingerMs')).toBe(false)
    expect(reads("throw new Error('lingerMs')", 'lingerMs')).toBe(false)
    expect(reads('options.lingerMsMax', 'lingerMs')).toBe(false)
  })

  test('comments are taken away, code stays', () => {
    expect(withoutComments('a() // console.log\n/* console.log */ b()')).toBe('a() \n b()')
    expect(withoutComments("dial('PLAINTEXT://a:1')")).toBe("dial('PLAINTEXT://a:1')")
  })

  test('a file that opens with code is noticed', () => {
    expect(opensWithComment('// Tidy.\n')).toBe(true)
    expect(opensWithComment('#!/usr/bin/env node\n// A command.\n')).toBe(true)
    expect(opensWithComment("import { a } from 'b'\n// Too late.\n")).toBe(false)
    expect(opensWithComment('\n// Too late.\n')).toBe(false)
  })

  test('hosts of registries and directories of a machine are noticed, what looks like them is not', () => {
    expect(ofOneMachine(['https://registry', 'example', 'org/kafka'].join('.'))).toBe(true)
    expect(ofOneMachine(['see repo1', 'example', 'com'].join('.'))).toBe(true)
    expect(ofOneMachine(['', 'home', 'anna', 'kafka'].join('/'))).toBe(true)
    expect(ofOneMachine(`open('${['', 'tmp', 'x'].join('/')}')`)).toBe(true)
    expect(ofOneMachine('http://maven.apache.org/POM/4.0.0 src/work/a.ts $dir/tmp/x kafka-1.example.com')).toBe(false)
  })

  test('a table is read to its end, and a bar in a cell stays in it', () => {
    expect(tableAfter('\n## A\n\ntext\n\n| a | b |\n| - | - |\n| 1 | x \\| y |\n| 2 | z |\n\nmore\n', '## A')).toEqual([
      ['1', 'x \\| y'],
      ['2', 'z'],
    ])
  })
})
