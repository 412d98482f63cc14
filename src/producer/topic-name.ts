// Topic name: whether Kafka allows it, found before a broker has to say so (org.apache.kafka.common.internals.Topic).
// From: producer.ts, once for each topic it meets. To: the user, whose record fails alone.

import { kafkaError } from '../errors.ts'

const LONGEST_NAME = 249

/**
 * Kafka's rule: 1 to 249 of the characters `a-z A-Z 0-9 . _ -`, and neither `.` nor `..`.
 *
 * @throws INVALID_TOPIC_EXCEPTION (`RecordError`) saying what is wrong with this one.
 */
export function checkTopicName(name: unknown): asserts name is string {
  const fault = topicNameFault(name)
  if (fault === undefined) return
  throw kafkaError('INVALID_TOPIC_EXCEPTION', fault, {
    topic: typeof name === 'string' ? name : undefined,
    hint: 'A topic has 1 to 249 of the characters a-z A-Z 0-9 . _ - and is neither . nor ..',
  })
}

/** What is wrong with a topic's name, or undefined. */
export function topicNameFault(name: unknown): string | undefined {
  if (typeof name !== 'string') return `the topic is ${name === null ? 'null' : `of type ${typeof name}`}, not a string`
  if (name === '') return 'the topic is an empty string'
  if (name === '.' || name === '..') return `the topic is '${name}', which Kafka does not allow`
  const odd = /[^A-Za-z0-9._-]/u.exec(name)
  // JSON's quoting shows what cannot be seen: a tab, a line end, half of a surrogate pair.
  if (odd !== null) return `the topic ${quoted(name)} has ${JSON.stringify(odd[0])} at position ${odd.index}`
  if (name.length > LONGEST_NAME) return `the topic ${quoted(name)} is ${name.length} characters long`
  return undefined
}

const quoted = (name: string): string => JSON.stringify(name.length > 60 ? `${name.slice(0, 60)}…` : name)
