// Options: what a user gives, checked all at once and made complete, or one ConfigError that lists every fault.
// From: the constructor in producer.ts, properties.ts, presets.ts by way of the user. To: everybody below, as one frozen object;
// the part that net/ needs is among its fields. Opens nothing, and changes nothing that it is given.

import { type Clock, systemClock } from '../clock.ts'
import { KafkaError, kafkaError } from '../errors.ts'
import { type Address, parseBootstrapServers } from '../net/address.ts'
import { type Dial, tcpDial } from '../net/dial.ts'
import { optionAdvice, optionNamed } from './option-names.ts'
import { kindOf, LONGEST_MS, shown } from './option-rules.ts'
import { type OptionName, optionNames, optionTable } from './option-table.ts'
import type { ProducerOptions, RecordBytes } from './types.ts'

// Options that have no default and may stay away.
type WithoutDefault =
  | 'keySerializer'
  | 'valueSerializer'
  | 'transactionalId'
  | 'compressionLevel'
  | 'codecs'
  | 'tls'
  | 'sasl'
  | 'brokerAddressMapper'
  | 'dial'
  | 'logger'

type Values<K = RecordBytes, V = RecordBytes> = {
  -readonly [Name in OptionName]-?:
    | Exclude<ProducerOptions<K, V>[Name], undefined>
    | (Name extends WithoutDefault ? undefined : never)
}

/** What the options become: every one has its value, and together they can work. */
export interface ResolvedOptions<K = RecordBytes, V = RecordBytes>
  extends Readonly<Omit<Values<K, V>, 'bootstrapServers' | 'acks' | 'dial'>> {
  readonly bootstrapServers: readonly Address[]
  /** As in the protocol: -1 is 'all'. */
  readonly acks: -1 | 0 | 1
  readonly dial: Dial
  readonly clock: Clock
  readonly random: () => number
  /** What was decided for the user and is worth a line in the log. */
  readonly notes: readonly string[]
}

/** What only tests and `fromProperties` give. */
export interface Seams {
  readonly clock?: Clock | undefined
  readonly random?: (() => number) | undefined
  /** Put in front of our own notes. */
  readonly notes?: readonly string[] | undefined
}

/**
 * Checks every option and fills in the defaults.
 *
 * @throws INVALID_CONFIG (`ConfigError`): one, naming each option that cannot be used, its value and what it must be.
 */
export function resolveOptions<K = RecordBytes, V = RecordBytes>(
  options: ProducerOptions<K, V>,
  seams: Seams = {},
): ResolvedOptions<K, V> {
  const draft = new Draft(options)
  for (const check of togetherChecks) check(draft)
  const bootstrapServers = readAddresses(draft)
  if (draft.faults.length > 0) throw configError(draft.faults)

  // Serializers and interceptors are functions to us; which keys and values they take is the caller's type.
  const values = draft.values as unknown as Values<K, V>
  return Object.freeze({
    ...values,
    bootstrapServers,
    acks: values.acks === 'all' ? -1 : values.acks,
    batchSize: Math.max(1, values.batchSize),
    dial: values.dial ?? tcpDial,
    interceptors: Object.freeze([...values.interceptors]),
    clock: seams.clock ?? systemClock,
    random: seams.random ?? Math.random,
    notes: Object.freeze([...(seams.notes ?? []), ...draft.notes]),
  })
}

/** The one error of many faults, each a sentence of its own. */
export function configError(faults: readonly string[]): KafkaError {
  const message = faults.length === 1 ? faults[0]! : `${faults.length} faults in the options:\n- ${faults.join('\n- ')}`
  return kafkaError('INVALID_CONFIG', message)
}

/** The fault of one value, or undefined. `name` is what the user called it. */
export function faultOf(option: OptionName, value: unknown, name: string): string | undefined {
  const { rule, notYet, secret, default: usual } = optionTable[option]
  if (!rule.accepts(value)) return `${name} is ${secret ? kindOf(value) : shown(value)}, but must be ${rule.must}`
  if (notYet === undefined || value === usual || value === false) return undefined
  return `${name}: this version of kafka-wire has no ${notYet} yet`
}

// ── One option at a time ────────────────────────────────────────────────────────────────────────────────────────────

/** Options on their way: what was given, what is not in order with it, and the values so far. */
class Draft {
  readonly faults: string[] = []
  readonly notes: string[] = []
  /** Complete from the start: what was not given, or cannot be, stands at its default. */
  readonly values: Values
  readonly #given = new Set<OptionName>()
  readonly #meant = new Set<OptionName | undefined>()

  constructor(options: unknown) {
    if (typeof options !== 'object' || options === null || Array.isArray(options)) {
      const fault = `the options are ${shown(options)}, but must be an object, as in { bootstrapServers: 'localhost:9092' }`
      throw configError([fault])
    }
    this.values = Object.fromEntries(optionNames.map((name) => [name, optionTable[name].default])) as unknown as Values
    // Object.entries reads each value once: a getter cannot show one to the check and another one later.
    for (const [name, value] of Object.entries(options)) this.#take(name, value)
  }

  #take(name: string, value: unknown): void {
    if (!Object.hasOwn(optionTable, name)) {
      this.faults.push(optionAdvice(name))
      this.#meant.add(optionNamed(name))
      return
    }
    if (value === undefined) return
    const option = name as OptionName
    const fault = faultOf(option, value, name)
    if (fault !== undefined) this.faults.push(fault)
    this.#meant.add(option)
    if (!optionTable[option].rule.accepts(value)) return
    Object.assign(this.values, { [option]: value })
    this.#given.add(option)
  }

  /** The user gave it, and it is what its rule asks for. */
  isGiven(name: OptionName): boolean {
    return this.#given.has(name)
  }

  /** The user gave it, if only by another client's name or with a value that cannot be. */
  isMeant(name: OptionName): boolean {
    return this.#meant.has(name)
  }
}

function readAddresses(draft: Draft): readonly Address[] {
  const { values, faults } = draft
  if (!draft.isMeant('bootstrapServers')) {
    faults.push("bootstrapServers is missing: name at least one broker, as in 'localhost:9092'")
  }
  if (!draft.isGiven('bootstrapServers')) return []
  try {
    return Object.freeze(parseBootstrapServers(values.bootstrapServers))
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error
    faults.push(error.message)
    return []
  }
}

// ── Options together (Java's ProducerConfig.postProcessParsedConfig, as the README's table says) ────────────────────

const togetherChecks: readonly ((draft: Draft) => void)[] = [
  idempotence,
  deliveryTimeout,
  batchInRequest,
  memory,
  dropOldest,
  reconnectBackoffAlone,
  (draft) => notAbove(draft, 'retryBackoffMs', 'retryBackoffMaxMs'),
  (draft) => notAbove(draft, 'reconnectBackoffMs', 'reconnectBackoffMaxMs'),
  (draft) => notAbove(draft, 'socketConnectionSetupTimeoutMs', 'socketConnectionSetupTimeoutMaxMs'),
]

function idempotence(draft: Draft): void {
  const { values, faults, notes } = draft
  if (values.enableIdempotence === false) return
  const contradictions: string[] = []
  if (values.acks === 0 || values.acks === 1) contradictions.push(`acks is ${values.acks}`)
  if (values.retries === 0) contradictions.push('retries is 0')
  if (contradictions.length > 0) {
    const reason = contradictions.join(' and ')
    if (draft.isGiven('enableIdempotence')) {
      faults.push(`enableIdempotence is true, but ${reason}: it needs acks 'all' and at least one retry`)
    } else {
      values.enableIdempotence = false
      notes.push(`enableIdempotence is switched off, since ${reason}: it needs acks 'all' and at least one retry`)
    }
  }
  // Even with acks 1: who wants more than five has to say that order may be lost.
  const inFlight = values.maxInFlightRequestsPerConnection
  if (inFlight > 5) {
    faults.push(
      `maxInFlightRequestsPerConnection is ${inFlight}: more than 5 lose the order of records when one is sent again. ` +
        'Use at most 5, or set enableIdempotence to false',
    )
  }
}

function deliveryTimeout(draft: Draft): void {
  const least = Math.min(draft.values.lingerMs + draft.values.requestTimeoutMs, LONGEST_MS)
  const timeout = draft.values.deliveryTimeoutMs
  if (timeout >= least) return
  if (draft.isGiven('deliveryTimeoutMs')) {
    draft.faults.push(
      `deliveryTimeoutMs is ${timeout}, but must be at least lingerMs + requestTimeoutMs (${least}): ` +
        'otherwise a record could expire before the first answer',
    )
  } else {
    draft.values.deliveryTimeoutMs = least
    draft.notes.push(`deliveryTimeoutMs is raised from ${timeout} to ${least}, which is lingerMs + requestTimeoutMs`)
  }
}

// A batch's region is never smaller than this, and whole in 64 bytes (arena.ts).
const SMALLEST_REGION_BYTES = 4_096

function memory({ values, faults }: Draft): void {
  const { bufferMemory, batchSize } = values
  const least = Math.max(Math.ceil(batchSize / 64) * 64, SMALLEST_REGION_BYTES)
  if (bufferMemory < least) {
    faults.push(
      `bufferMemory is ${bufferMemory}, but must hold at least one batch: ${least} bytes with batchSize ${batchSize}`,
    )
  }
}

// A request carries at least one batch, so a batch must fit into one.
function batchInRequest(draft: Draft): void {
  const { batchSize, maxRequestSize } = draft.values
  if (batchSize <= maxRequestSize) return
  draft.values.batchSize = maxRequestSize
  if (draft.isGiven('batchSize')) {
    draft.notes.push(
      `batchSize ${batchSize} is above maxRequestSize ${maxRequestSize}: batches end at ${maxRequestSize}`,
    )
  }
}

function dropOldest({ values, faults }: Draft): void {
  if (values.overflow === 'drop-oldest' && values.transactionalId !== undefined) {
    faults.push("overflow is 'drop-oldest', but transactionalId is set: a transaction must not lose a record silently")
  }
}

// As in Java: whoever sets only the first wait gets a constant one.
function reconnectBackoffAlone(draft: Draft): void {
  if (draft.isGiven('reconnectBackoffMs') && !draft.isGiven('reconnectBackoffMaxMs')) {
    draft.values.reconnectBackoffMaxMs = draft.values.reconnectBackoffMs
  }
}

type NumberOption = { [Name in OptionName]: Values[Name] extends number ? Name : never }[OptionName]

function notAbove({ values, notes }: Draft, name: NumberOption, maxName: NumberOption): void {
  const value = values[name]
  const max = values[maxName]
  if (value <= max) return
  values[name] = max
  notes.push(`${name} ${value} is above ${maxName} ${max}: it is ${max} each time`)
}
