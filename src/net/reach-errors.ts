// Reach errors: what to say when brokers cannot be reached. Pure.
// From: control.ts, broker-pool.ts. To: the user.
import { type KafkaError, kafkaError } from '../errors.ts'
import { type Address, formatAddress } from './address.ts'
import type { Failure } from './campaign.ts'
import type { BrokerAddress } from './options.ts'

/** BOOTSTRAP_FAILED: one line for each address, with what it said. */
export function bootstrapFailed(failures: readonly Failure[]): KafkaError {
  const areSeeds = failures.every(({ candidate }) => candidate.nodeId === undefined)
  const what = areSeeds ? 'bootstrap server' : 'broker address'
  const hints = new Set(failures.map(({ error }) => error.hint))
  const lines = failures.map(({ candidate, error }) => {
    const where = formatAddress(candidate.address)
    const text = hints.size > 1 ? error.message : withoutHint(error)
    return text.includes(where) ? text : `${where}: ${text}`
  })
  const causes = failures.map(({ error }) => error)
  return kafkaError(
    'BOOTSTRAP_FAILED',
    lines.length === 1
      ? `The only ${what} cannot be used: ${lines[0]}`
      : `None of the ${lines.length} ${what}${areSeeds ? 's' : 'es'} can be used:\n${lines.map((line) => `  ${line}`).join('\n')}`,
    {
      hint: hints.size === 1 ? causes[0]?.hint : undefined,
      retriable: causes.some((error) => error.retriable),
      cause: causes.length === 1 ? causes[0] : new AggregateError(causes),
    },
  )
}

/**
 * The commonest trouble of all: the bootstrap address is right, and what the cluster advertises leads nowhere from here.
 * @param target What was dialled: `advertised`, or what `brokerAddressMapper` made of it.
 */
export function advertisedInVain(
  bootstrap: Address,
  advertised: BrokerAddress,
  target: Address,
  error: KafkaError,
): KafkaError {
  const where = formatAddress(advertised)
  const isMapped = formatAddress(target) !== where
  const dialled = isMapped ? ` (brokerAddressMapper made ${formatAddress(target)} of it)` : ''
  return kafkaError(
    error.code,
    `Bootstrap ${formatAddress(bootstrap)} answered, but the cluster advertises broker ${advertised.nodeId} as ${where}${dialled}, ` +
      `which cannot be reached from here: ${withoutHint(error)}`,
    {
      hint: 'Set advertised.listeners for this network, or use brokerAddressMapper',
      broker: `broker ${advertised.nodeId} at ${formatAddress(target)}`,
      retriable: error.retriable,
      cause: error,
    },
  )
}

/** None of the advertised addresses could be reached: one line for each that was tried. */
export function advertisedFailed(errors: readonly KafkaError[]): KafkaError {
  const [first] = errors
  if (first !== undefined && errors.length === 1) return first
  const hints = new Set(errors.map(({ hint }) => hint))
  const lines = errors.map((error) => `  ${hints.size > 1 ? error.message : withoutHint(error)}`)
  return kafkaError('CONNECTION_FAILED', `None of ${errors.length} brokers can be reached:\n${lines.join('\n')}`, {
    hint: hints.size === 1 ? first?.hint : undefined,
    retriable: errors.some(({ retriable }) => retriable),
    cause: new AggregateError(errors),
  })
}

export const notListed = (nodeId: number): KafkaError =>
  kafkaError('CONNECTION_FAILED', `broker ${nodeId} is not among the brokers of the cluster now`, {
    broker: `broker ${nodeId}`,
  })

export const closedError = (): KafkaError => kafkaError('CLOSED', 'The producer was closed')

/** An error's message carries its hint at the end; where several errors are told together, the hint is said once. */
function withoutHint(error: KafkaError): string {
  const suffix = `. ${error.hint}`
  return error.hint !== undefined && error.message.endsWith(suffix)
    ? error.message.slice(0, -suffix.length)
    : error.message
}
