// Properties: an existing producer.properties, or an object of Java's dotted names, translated into our options.
// From: Producer.fromProperties. To: options.ts, which checks how they go together. What Java would do and Node cannot is a fault
// when it changes what happens to a record, and a note when it does not.

import { nearestNames } from '../nearest.ts'
import { optionNamed } from './option-names.ts'
import { shown } from './option-rules.ts'
import { type OptionName, optionNames, optionTable } from './option-table.ts'
import { configError, faultOf } from './options.ts'
import { PropertiesSyntaxError, parseProperties } from './properties-text.ts'
import { bytesSerializer, stringSerializer } from './serializers.ts'
import type { ProducerOptions } from './types.ts'

interface TranslatedProperties {
  readonly options: ProducerOptions<unknown, unknown>
  /** What was passed over, for the log. */
  readonly notes: readonly string[]
}

type Overrides = Readonly<Partial<Record<OptionName, unknown>>>

/**
 * Reads the text of a .properties file, or an object such as `{ 'linger.ms': 5, 'value.serializer': jsonSerializer }`, whose values are
 * texts as in the file, or what the option itself takes. `overrides` are options of ours that count instead of what is said there: a
 * property for one of them is not even looked at, so that a Java class can be replaced by a function.
 *
 * @throws INVALID_CONFIG (`ConfigError`) naming each property that is unknown, cannot be honoured or has a wrong value.
 */
export function optionsFromProperties(
  source: string | Readonly<Record<string, unknown>>,
  overrides: Overrides = {},
): TranslatedProperties {
  const faults: string[] = []
  const notes: string[] = []
  const options: Record<string, unknown> = {}
  for (const [property, value] of entriesOf(source)) {
    if (value === undefined || value === null || isOverridden(property, overrides)) continue
    const translation = translate(property, typeof value === 'string' ? value.trim() : value)
    if ('fault' in translation) faults.push(translation.fault)
    if ('note' in translation) notes.push(translation.note)
    if ('options' in translation) Object.assign(options, translation.options)
  }
  if (faults.length > 0) throw configError(faults)
  // Not by spreading both: an override of undefined overrides nothing.
  for (const [name, value] of Object.entries(overrides)) if (value !== undefined) options[name] = value
  return { options: options as unknown as ProducerOptions<unknown, unknown>, notes }
}

function isOverridden(property: string, overrides: Overrides): boolean {
  const option = optionNamed(property)
  return option !== undefined && overrides[option] !== undefined
}

function entriesOf(source: unknown): Iterable<readonly [string, unknown]> {
  if (typeof source === 'string') {
    try {
      return parseProperties(source)
    } catch (error) {
      if (error instanceof PropertiesSyntaxError) throw configError([`the properties cannot be read: ${error.message}`])
      throw error
    }
  }
  if (typeof source === 'object' && source !== null && !Array.isArray(source)) return Object.entries(source)
  throw configError([`the properties are ${shown(source)}, but must be the text of a .properties file or an object`])
}

// ── One property ────────────────────────────────────────────────────────────────────────────────────────────────────

type Translation =
  | { readonly options: Readonly<Partial<Record<OptionName, unknown>>> }
  | { readonly fault: string }
  | { readonly note: string }

const nothing: Translation = { options: {} }

function translate(property: string, value: unknown): Translation {
  const special = specials.get(property)
  if (special !== undefined) return special(value, property)
  if (withoutEffect.test(property)) return { note: `${property} has no effect here and is passed over` }
  if (securityOnly.test(property)) {
    return { note: `${property} is passed over: security.protocol is PLAINTEXT, the only one that this version has` }
  }
  const option = byJavaName.get(property)
  return option === undefined ? { fault: unknownProperty(property) } : take(option, value, property)
}

function take(option: OptionName, value: unknown, property: string): Translation {
  const { read } = optionTable[option].rule
  const given = typeof value === 'string' && read !== undefined ? read(value) : value
  const fault = faultOf(option, given, property)
  return fault === undefined ? { options: { [option]: given } } : { fault }
}

const byJavaName: ReadonlyMap<string, OptionName> = new Map(
  optionNames.flatMap((option) => {
    const { javaName } = optionTable[option]
    return javaName === null ? [] : [[javaName, option] as const]
  }),
)

// Sockets, metrics and telemetry of the JVM client, and levels of a compression that is off: no record depends on them.
const withoutEffect =
  /^(send\.buffer\.bytes|receive\.buffer\.bytes|metric\.reporters|metrics\..+|auto\.include\.jmx\.reporter|enable\.metrics\.push|security\.providers|client\.rack|metadata\.cluster\.check\.enable|bootstrap\.resolve\.timeout\.ms|compression\.\w+\.level)$/

const securityOnly = /^(ssl|sasl)\./

function unknownProperty(property: string): string {
  const option = optionNamed(property)
  if (option !== undefined) return `unknown property '${property}': ${inJava(option)}`
  const [nearest] = nearestNames(property, byJavaName.keys())
  return `unknown property '${property}'${nearest === undefined ? '' : `: did you mean '${nearest}'?`}`
}

function inJava(option: OptionName): string {
  const { javaName } = optionTable[option]
  return javaName === null
    ? `Java has no such thing; it is the option '${option}' of kafka-wire`
    : `Java calls it '${javaName}'`
}

// ── Properties whose value says something else here than there ──────────────────────────────────────────────────────

type Special = (value: unknown, property: string) => Translation

/** Off is what kafka-wire does anyway; on changes what happens to a record, so it must not be passed over. */
const onlyFalse: Special = (value, property) =>
  value === false || (typeof value === 'string' && /^false$/i.test(value))
    ? nothing
    : { fault: `${property} is ${shown(value)}, but kafka-wire has only false` }

const specials: ReadonlyMap<string, Special> = new Map<string, Special>([
  // Java takes an empty one for none.
  ['client.id', (value, property) => (value === '' ? nothing : take('clientId', value, property))],
  ['allow.auto.create.topics', (value, property) => take('allowAutoTopicCreation', value, property)],
  ['transaction.two.phase.commit.enable', onlyFalse],
  ['partitioner.rack.aware', onlyFalse],
  ['security.protocol', securityProtocol],
  ['client.dns.lookup', dnsLookup],
  ['key.serializer', (value, property) => serializer('keySerializer', value, property)],
  ['value.serializer', (value, property) => serializer('valueSerializer', value, property)],
  ['partitioner.class', partitionerClass],
  ['interceptor.classes', interceptorClasses],
  [
    'config.providers',
    (_, property) => ({ fault: `${property}: fill the values in before, there are no providers here` }),
  ],
])

function securityProtocol(value: unknown, property: string): Translation {
  const name = typeof value === 'string' ? value.toUpperCase() : value
  if (name === 'PLAINTEXT') return nothing
  if (name === 'SSL') return { fault: `${property} is ${name}: this version of kafka-wire has no TLS yet` }
  if (name === 'SASL_PLAINTEXT' || name === 'SASL_SSL') {
    return { fault: `${property} is ${name}: this version of kafka-wire has no SASL yet` }
  }
  return { fault: `${property} is ${shown(value)}, but must be PLAINTEXT` }
}

function dnsLookup(value: unknown, property: string): Translation {
  if (value === 'use_all_dns_ips') return nothing
  return { fault: `${property} is ${shown(value)}, but kafka-wire has only use_all_dns_ips` }
}

const kafkaSerializers = new Map<unknown, unknown>([
  ['StringSerializer', stringSerializer],
  ['ByteArraySerializer', bytesSerializer],
  ['BytesSerializer', bytesSerializer],
  ['ByteBufferSerializer', bytesSerializer],
])

function serializer(option: 'keySerializer' | 'valueSerializer', value: unknown, property: string): Translation {
  if (typeof value !== 'string') return take(option, value, property)
  const own = kafkaSerializers.get(value.replace(/^org\.apache\.kafka\.common\.serialization\./, ''))
  if (own !== undefined) return { options: { [option]: own } }
  const instead = /json/i.test(value) ? 'jsonSerializer' : 'a function'
  return {
    fault: `${property} is ${shown(value)}, and a Java class cannot be loaded here: give ${instead} as the option '${option}'`,
  }
}

const kafkaPartitioners = new Map<unknown, Readonly<Partial<Record<OptionName, unknown>>>>([
  ['org.apache.kafka.clients.producer.RoundRobinPartitioner', { partitioner: 'roundRobin' }],
  // Both gone since Kafka 4, where null means what they did.
  ['org.apache.kafka.clients.producer.internals.DefaultPartitioner', { partitioner: 'java' }],
  ['org.apache.kafka.clients.producer.UniformStickyPartitioner', { partitioner: 'java', partitionerIgnoreKeys: true }],
])

function partitionerClass(value: unknown, property: string): Translation {
  if (typeof value !== 'string') return take('partitioner', value, property)
  const options = kafkaPartitioners.get(value)
  if (options !== undefined) return { options }
  return {
    fault: `${property} is ${shown(value)}, and a Java class cannot be loaded here: give a function as the option 'partitioner'`,
  }
}

function interceptorClasses(value: unknown, property: string): Translation {
  if (typeof value !== 'string') return take('interceptors', value, property)
  if (value === '') return nothing
  return {
    fault: `${property} is ${shown(value)}, and Java classes cannot be loaded here: give objects as the option 'interceptors'`,
  }
}
