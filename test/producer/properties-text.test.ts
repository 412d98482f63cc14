// Java's .properties format: each expectation is what java.util.Properties.load made of the same text.
import { describe, expect, test } from 'vitest'
import { PropertiesSyntaxError, parseProperties } from '../../src/producer/properties-text.ts'

const read = (text: string): Record<string, string> => Object.fromEntries(parseProperties(text))

describe('separators', () => {
  test.each([
    'linger.ms=5',
    'linger.ms = 5',
    'linger.ms:5',
    'linger.ms : 5',
    'linger.ms 5',
    'linger.ms\t5',
    '  linger.ms\f=\t5',
  ])('%j', (text) => {
    expect(read(text)).toEqual({ 'linger.ms': '5' })
  })

  test('only the first one separates', () => {
    expect(read('a=b=c:d e')).toEqual({ a: 'b=c:d e' })
    expect(read('a==b')).toEqual({ a: '=b' })
    expect(read('a = : b')).toEqual({ a: ': b' })
  })

  test('a name alone has an empty value, and a value may have an empty name', () => {
    expect(read('a')).toEqual({ a: '' })
    expect(read('a=')).toEqual({ a: '' })
    expect(read('=b')).toEqual({ '': 'b' })
  })

  test('an escaped separator belongs to the name', () => {
    expect(read('a\\=b\\:c\\ d=e')).toEqual({ 'a=b:c d': 'e' })
  })

  test('blanks at the end of a value stay', () => {
    expect(read('a=b  ')).toEqual({ a: 'b  ' })
  })
})

describe('lines', () => {
  test.each(['a=1\nb=2', 'a=1\r\nb=2', 'a=1\rb=2', '\n\n  \n\ta=1\n\nb=2\n'])('%j', (text) => {
    expect(read(text)).toEqual({ a: '1', b: '2' })
  })

  test('# and ! at the start of a line make a comment, behind blanks too, and nowhere else', () => {
    expect(read('# a=1\n  ! b=2\nc=3 # not a comment\nd=!')).toEqual({ c: '3 # not a comment', d: '!' })
  })

  test('a backslash at the end joins the next line without its leading blanks', () => {
    expect(read('servers=a:1,\\\n        b:2,\\\r\n\tc:3\nnext=1')).toEqual({ servers: 'a:1,b:2,c:3', next: '1' })
  })

  test('two backslashes at the end are one, and join nothing', () => {
    expect(read('path=c:\\\\\nnext=1')).toEqual({ path: 'c:\\', next: '1' })
  })

  test('a comment is not continued', () => {
    expect(read('# comment \\\na=1')).toEqual({ a: '1' })
  })

  test('a joined line may look like a comment without being one', () => {
    expect(read('a=1,\\\n#2')).toEqual({ a: '1,#2' })
  })

  test('a blank line behind a backslash ends the value', () => {
    expect(read('a=1\\\n\nb=2')).toEqual({ a: '1', b: '2' })
  })

  test('a name may be continued as well', () => {
    expect(read('lin\\\n   ger.ms=5')).toEqual({ 'linger.ms': '5' })
  })

  test('a lone backslash makes the next line a first one, which may be blank or a comment', () => {
    expect(read('\\\n# comment\na=1\n\\\n\nb=2\n\\\n  c=3')).toEqual({ a: '1', b: '2', c: '3' })
  })

  test('a backslash at the very end of the text joins nothing', () => {
    expect(read('a=1\\')).toEqual({ a: '1' })
  })

  test('the last of equal names counts', () => {
    expect(read('a=1\nb=2\na=3')).toEqual({ a: '3', b: '2' })
  })

  test('a byte order mark in front is passed over', () => {
    expect(read('\uFEFFa=1')).toEqual({ a: '1' })
  })
})

describe('escapes', () => {
  test('\\t \\n \\r \\f and \\uXXXX stand for their characters, in names too', () => {
    expect(read('a\\u0062=\\t\\n\\r\\f\\u00e9\\uD83D\\uDE00')).toEqual({ ab: '\t\n\r\fé😀' })
  })

  test('before anything else the backslash goes away', () => {
    expect(read('a=\\q\\"\\\\\\=\\😀')).toEqual({ a: 'q"\\=😀' })
  })

  test.each(['\\u12', '\\u', '\\u12g4', '\\uXXXX'])('%s is refused with the number of its line', (escaped) => {
    expect(() => read(`# one\nfirst=\\\n  1\na=${escaped}`)).toThrow(
      new PropertiesSyntaxError('line 4 has a \\u without four hex digits behind it'),
    )
  })

  test('a backslash that is itself escaped starts no \\u', () => {
    expect(read('a=c:\\\\users')).toEqual({ a: 'c:\\users' })
  })
})
