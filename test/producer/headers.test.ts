// Headers of every odd kind: what is kept, in which order, and what the user reads about the rest.
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { RecordError } from '../../src/errors.ts'
import { normalizeHeaders } from '../../src/producer/headers.ts'

const bytes = Uint8Array.of(1, 2, 3)

describe('what is taken', () => {
  test.each([
    ['undefined', undefined],
    ['null', null],
    ['an empty object', {}],
    ['an empty array', []],
    ['an object whose only header has no value in its array', { a: [] }],
  ])('%s means no headers', (_, headers) => {
    expect(normalizeHeaders(headers)).toBeNull()
  })

  test('an object gives its names in its order, and an array of values repeats the name', () => {
    const headers = { trace: 'abc', tags: ['a', bytes, null], empty: '', none: null }
    expect(normalizeHeaders(headers)).toEqual([
      ...['trace', 'abc', 'tags', 'a', 'tags', bytes, 'tags', null],
      ...['empty', '', 'none', null],
    ])
  })

  test('pairs keep order and repeats of any names', () => {
    const headers = [
      ['b', '1'],
      ['a', bytes],
      ['b', null],
    ]
    expect(normalizeHeaders(headers)).toEqual(['b', '1', 'a', bytes, 'b', null])
  })

  test('an empty name is a name', () => {
    expect(normalizeHeaders({ '': 'x' })).toEqual(['', 'x'])
    expect(normalizeHeaders([['', 'x']])).toEqual(['', 'x'])
  })

  test('names that every object inherits are names like any other', () => {
    const headers = JSON.parse('{"__proto__":"x","constructor":"y"}')
    expect(normalizeHeaders(headers)).toEqual(['__proto__', 'x', 'constructor', 'y'])
  })

  test('an object without a prototype, and bytes from another realm, are taken', () => {
    const foreign: unknown = runInNewContext('new Uint8Array([7])')
    const headers = Object.assign(Object.create(null), { a: foreign })
    expect(normalizeHeaders(headers)).toEqual(['a', foreign])
  })

  test('values are passed on as they are, not copied: the record takes their bytes in the same call', () => {
    expect(normalizeHeaders({ a: bytes })![1]).toBe(bytes)
  })

  test('properties named by a symbol are passed over', () => {
    expect(normalizeHeaders({ a: '1', [Symbol('b')]: '2' })).toEqual(['a', '1'])
  })

  test('whatever is given stays as it was, frozen all the way down', () => {
    const value = fc.oneof(fc.string(), fc.constant(null), fc.uint8Array())
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.oneof(value, fc.array(value)), { noNullPrototype: true }),
        (headers) => {
          for (const each of Object.values(headers)) if (Array.isArray(each)) Object.freeze(each)
          const flat = normalizeHeaders(Object.freeze(headers)) ?? []
          const expected = Object.entries(headers).flatMap(([name, each]) =>
            Array.isArray(each) ? each.flatMap((one) => [name, one]) : [name, each],
          )
          expect(flat).toEqual(expected)
        },
      ),
    )
  })
})

const nameTrap = {
  get trap(): string {
    throw new Error('boom')
  },
}

describe('what is refused, with INVALID_RECORD naming the header', () => {
  test.each<[string, unknown, string]>([
    ['a value of undefined', { a: undefined }, 'header "a" has undefined as its value'],
    ['a number', { retries: 3 }, 'header "retries" has a number as its value'],
    ['a boolean', { a: true }, 'header "a" has a boolean as its value'],
    ['a bigint', { a: 1n }, 'header "a" has a bigint as its value'],
    ['a function', { a: () => 'x' }, 'header "a" has a function as its value'],
    ['a Date', { at: new Date(0) }, 'header "at" has a Date as its value'],
    ['an object', { a: { b: 'c' } }, 'header "a" has an object as its value'],
    ['an ArrayBuffer', { a: new ArrayBuffer(2) }, 'header "a" has an ArrayBuffer as its value'],
    ['a Uint16Array', { a: new Uint16Array(2) }, 'header "a" has a Uint16Array as its value'],
    ['an array in an array of values', { a: [['b']] }, 'header "a" has an array of 1 as its value'],
    ['undefined in an array of values', { a: ['b', undefined] }, 'header "a" has undefined as its value'],
    ['a hole in an array of values', { a: new Array(1) }, 'header "a" has undefined as its value'],
    ['a pair with a number', [['a', 5]], 'header "a" has a number as its value'],
    ['a pair with an array', [['a', ['b']]], 'header "a" has an array as its value'],
    ['a pair of one', [['a']], 'headers[0] is an array of 1, not a pair [name, value]'],
    ['a pair of three', [['a', 'b', 'c']], 'headers[0] is an array of 3, not a pair [name, value]'],
    ['a text instead of a pair', [['a', 'b'], 'ab'], 'headers[1] is a string, not a pair [name, value]'],
    ['a hole instead of a pair', new Array(1), 'headers[0] is undefined, not a pair [name, value]'],
    ['a name of null', [[null, 'b']], 'the name in headers[0] is null, not a string'],
    ['a name of bytes', [[Buffer.from('a'), 'b']], 'the name in headers[0] is a Buffer, not a string'],
    ['a name that is a number', [[1, 'b']], 'the name in headers[0] is a number, not a string'],
    ['a Map', new Map([['a', 'b']]), 'the headers are a Map'],
    ['a Set', new Set(['a']), 'the headers are a Set'],
    ['the Headers of fetch', new Headers({ a: 'b' }), 'the headers are a Headers'],
    ['a Buffer', Buffer.from('a: b'), 'the headers are a Buffer'],
    ['a text', 'a: b', 'the headers are a string'],
    ['a number', 5, 'the headers are a number'],
    ['a getter that throws', nameTrap, 'the headers cannot be read'],
  ])('%s', (_, headers, message) => {
    const error = thrownBy(() => normalizeHeaders(headers))
    expect(error).toBeInstanceOf(RecordError)
    expect(error).toMatchObject({ code: 'INVALID_RECORD', retriable: false, persisted: 'no' })
    expect(error.message.startsWith(message)).toBe(true)
  })

  test('a Map is told how to become pairs', () => {
    expect(thrownBy(() => normalizeHeaders(new Map())).hint).toBe('Write [...headers]')
  })

  test('what a getter threw is the cause', () => {
    expect(thrownBy(() => normalizeHeaders(nameTrap)).cause).toEqual(new Error('boom'))
  })

  test('a value never appears in the text, since headers carry tokens', () => {
    expect(thrownBy(() => normalizeHeaders({ authorization: { token: 'secret-token' } })).message).not.toContain(
      'secret',
    )
    expect(thrownBy(() => normalizeHeaders('authorization: secret-token')).message).not.toContain('secret')
  })

  test('a long name is cut in the text', () => {
    expect(thrownBy(() => normalizeHeaders({ ['n'.repeat(5000)]: 1 })).message.length).toBeLessThan(250)
  })
})

function thrownBy(call: () => unknown): RecordError {
  try {
    call()
  } catch (error) {
    return error as RecordError
  }
  throw new Error('nothing was thrown')
}
