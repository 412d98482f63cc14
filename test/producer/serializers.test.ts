// The three serializers of the package.
import { describe, expect, test } from 'vitest'
import { bytesSerializer, jsonSerializer, stringSerializer } from '../../src/producer/serializers.ts'

const serialize = (serializer: (value: never, topic: string, headers: undefined) => unknown, value: unknown): unknown =>
  serializer(value as never, 'orders', undefined)

describe('stringSerializer', () => {
  test('gives a string back as it is, the empty one too', () => {
    expect(serialize(stringSerializer, 'grün')).toBe('grün')
    expect(serialize(stringSerializer, '')).toBe('')
  })

  test.each([
    [5, 'a value of type number'],
    [undefined, 'a value of type undefined'],
    [{}, 'a value of type object'],
    [['a'], 'an array'],
  ])('refuses %j', (value, kind) => {
    expect(() => serialize(stringSerializer, value)).toThrow(
      new TypeError(`stringSerializer takes a string, and this is ${kind}`),
    )
  })
})

describe('jsonSerializer', () => {
  test.each<[unknown, string]>([
    [{ count: 1 }, '{"count":1}'],
    [[1, null], '[1,null]'],
    ['a"b', '"a\\"b"'],
    ['', '""'],
    [0, '0'],
    [false, 'false'],
    [new Date(0), '"1970-01-01T00:00:00.000Z"'],
    [Number.NaN, 'null'],
  ])('%j becomes its JSON text', (value, text) => {
    expect(serialize(jsonSerializer, value)).toBe(text)
  })

  test.each([
    ['undefined', undefined, 'jsonSerializer has no JSON for a value of type undefined'],
    ['a function', () => 1, 'of type function'],
    ['a symbol', Symbol('a'), 'of type symbol'],
    ['a BigInt', 1n, 'BigInt'],
    ['a cycle', cyclic(), 'circular'],
  ])('%s has no JSON and is refused', (_, value, text) => {
    expect(() => serialize(jsonSerializer, value)).toThrow(TypeError)
    expect(() => serialize(jsonSerializer, value)).toThrow(text)
  })
})

describe('bytesSerializer', () => {
  test('gives a Uint8Array or Buffer back itself, not a copy', () => {
    const bytes = Uint8Array.of(1, 2)
    const buffer = Buffer.from('ab')
    expect(serialize(bytesSerializer, bytes)).toBe(bytes)
    expect(serialize(bytesSerializer, buffer)).toBe(buffer)
  })

  test('takes exactly the bytes under any other view, and all of an ArrayBuffer', () => {
    const memory = Uint8Array.of(1, 2, 3, 4).buffer
    expect(serialize(bytesSerializer, new DataView(memory, 1, 2))).toEqual(Uint8Array.of(2, 3))
    expect(serialize(bytesSerializer, memory)).toEqual(Uint8Array.of(1, 2, 3, 4))
  })

  test.each(['text', 5, {}, [1, 2], undefined])('refuses %j', (value) => {
    expect(() => serialize(bytesSerializer, value)).toThrow(/^bytesSerializer takes bytes, and this is /)
  })
})

function cyclic(): object {
  const value: { self?: object } = {}
  value.self = value
  return value
}
