import { describe, expect, test } from 'vitest'
import { kafkaError } from '../../src/errors.ts'
import type { Failure } from '../../src/net/campaign.ts'
import { advertisedFailed, advertisedInVain, bootstrapFailed } from '../../src/net/reach-errors.ts'

const refused = (where: string, hint?: string) =>
  kafkaError('CONNECTION_FAILED', `${where}: no TCP connection (ECONNREFUSED)`, { hint })

const failure = (host: string, error = refused(`${host}:9092`), nodeId?: number): Failure => ({
  candidate: { address: { host, port: 9092 }, brokerName: host, nodeId },
  error,
})

describe('bootstrapFailed', () => {
  test('one address: its error is the message, and its hint the hint', () => {
    const error = bootstrapFailed([failure('a', refused('a:9092', 'Nothing listens there'))])
    expect(error.code).toBe('BOOTSTRAP_FAILED')
    expect(error.message).toBe(
      'The only bootstrap server cannot be used: a:9092: no TCP connection (ECONNREFUSED). Nothing listens there',
    )
    expect(error.hint).toBe('Nothing listens there')
  })

  test('several: a line each, and a hint that all share is said once', () => {
    const error = bootstrapFailed([failure('a', refused('a:9092', 'Same')), failure('b', refused('b:9092', 'Same'))])
    expect(error.message).toBe(
      'None of the 2 bootstrap servers can be used:\n' +
        '  a:9092: no TCP connection (ECONNREFUSED)\n' +
        '  b:9092: no TCP connection (ECONNREFUSED). Same',
    )
  })

  test('different hints stay with their addresses', () => {
    const error = bootstrapFailed([failure('a', refused('a:9092', 'One')), failure('b', refused('b:9092', 'Two'))])
    expect(error.message).toContain('a:9092: no TCP connection (ECONNREFUSED). One\n')
    expect(error.message).toContain('b:9092: no TCP connection (ECONNREFUSED). Two')
    expect(error.hint).toBeUndefined()
  })

  test('an error that does not name its address gets it in front', () => {
    expect(bootstrapFailed([failure('a', kafkaError('DNS_FAILED', 'no such name'))]).message).toContain(
      'a:9092: no such name',
    )
  })

  test('with known brokers among them they are not called bootstrap servers', () => {
    expect(bootstrapFailed([failure('a'), failure('b', undefined, 1)]).message).toMatch(
      /^None of the 2 broker addresses/,
    )
  })

  test('is worth another attempt when one of them is', () => {
    const hopeless = kafkaError('NOT_KAFKA', 'b:9092: a web server')
    expect(bootstrapFailed([failure('a'), failure('b', hopeless)]).retriable).toBe(true)
    expect(bootstrapFailed([failure('b', hopeless)]).retriable).toBe(false)
  })
})

describe('advertised addresses', () => {
  const advertised = { nodeId: 1, host: 'kafka', port: 9092, rack: null }
  const bootstrap = { host: '::1', port: 9092 }

  test('in vain: who answered, what is advertised, why it fails, what to do', () => {
    const error = advertisedInVain(bootstrap, advertised, advertised, refused('kafka:9092', 'Nothing listens there'))
    expect(error.message).toBe(
      'Bootstrap [::1]:9092 answered, but the cluster advertises broker 1 as kafka:9092, which cannot be reached from here: ' +
        'kafka:9092: no TCP connection (ECONNREFUSED). Set advertised.listeners for this network, or use brokerAddressMapper',
    )
    expect(error).toMatchObject({ code: 'CONNECTION_FAILED', retriable: true, broker: 'broker 1 at kafka:9092' })
  })

  test('that were mapped are shown with what the mapper made of them', () => {
    const error = advertisedInVain(
      bootstrap,
      advertised,
      { host: 'localhost', port: 19_092 },
      refused('localhost:19092'),
    )
    expect(error.message).toContain('as kafka:9092 (brokerAddressMapper made localhost:19092 of it), which')
    expect(error.broker).toBe('broker 1 at localhost:19092')
  })

  test('of several brokers have a line each', () => {
    const errors = ['a', 'b'].map((host) => refused(`${host}:9092`, 'Same'))
    expect(advertisedFailed(errors).message).toBe(
      'None of 2 brokers can be reached:\n' +
        '  a:9092: no TCP connection (ECONNREFUSED)\n' +
        '  b:9092: no TCP connection (ECONNREFUSED). Same',
    )
    expect(advertisedFailed([errors[0]!])).toBe(errors[0])
  })
})
