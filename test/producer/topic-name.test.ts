// Topic names that Kafka forbids, and what the user reads about them.
import { describe, expect, test } from 'vitest'
import { RecordError } from '../../src/errors.ts'
import { checkTopicName, topicNameFault } from '../../src/producer/topic-name.ts'

describe('topic names', () => {
  test.each(['a', 'orders', 'Orders-2', 'a.b_c-d', '...', '.a', '-', '_', '0', '__proto__', 'x'.repeat(249)])(
    '%s is allowed',
    (name) => {
      expect(topicNameFault(name)).toBeUndefined()
    },
  )

  test.each([
    ['', 'the topic is an empty string'],
    ['.', "the topic is '.', which Kafka does not allow"],
    ['..', "the topic is '..', which Kafka does not allow"],
    ['my orders', 'the topic "my orders" has " " at position 2'],
    ['orders/eu', 'the topic "orders/eu" has "/" at position 6'],
    ['tab\t', 'the topic "tab\\t" has "\\t" at position 3'],
    ['line\n', 'the topic "line\\n" has "\\n" at position 4'],
    ['größe', 'the topic "größe" has "ö" at position 2'],
    ['a😀', 'the topic "a😀" has "😀" at position 1'],
    ['half\ud83d', 'the topic "half\\ud83d" has "\\ud83d" at position 4'],
    ['x'.repeat(250), `the topic "${'x'.repeat(60)}…" is 250 characters long`],
    [undefined, 'the topic is of type undefined, not a string'],
    [null, 'the topic is null, not a string'],
    [7, 'the topic is of type number, not a string'],
  ])('%j is refused and the fault named', (name, fault) => {
    expect(topicNameFault(name)).toBe(fault)
  })

  test('a refused name fails its record with INVALID_TOPIC_EXCEPTION, not retriable, and the rule as a hint', () => {
    const error = thrownBy(() => checkTopicName('my orders'))
    expect(error).toBeInstanceOf(RecordError)
    expect(error).toMatchObject({
      code: 'INVALID_TOPIC_EXCEPTION',
      retriable: false,
      persisted: 'no',
      topic: 'my orders',
    })
    expect(error.hint).toContain('1 to 249')
  })
})

function thrownBy(call: () => void): RecordError {
  try {
    call()
  } catch (error) {
    return error as RecordError
  }
  throw new Error('nothing was thrown')
}
