// Option names: what to say about a name that is not an option of ours. Most are right in another client or only spelled differently.
// From: options.ts and properties.ts, which met such a name. To: the text of a ConfigError. The value is never looked at.

import { nearestNames } from '../nearest.ts'
import { shown } from './option-rules.ts'
import { type OptionName, optionNames, optionTable } from './option-table.ts'

/** Spelling does not count: `lingerMs`, `linger.ms`, `linger_ms` and `LINGER_MS` are one name. */
const plain = (name: string): string => name.replace(/[^A-Za-z0-9]/g, '').toLowerCase()

const byPlainName: ReadonlyMap<string, OptionName> = new Map(
  optionNames.flatMap((name) => {
    const { javaName, aliases = [] } = optionTable[name]
    return [...aliases, ...(javaName === null ? [] : [javaName]), name].map((each) => [plain(each), name] as const)
  }),
)

// Names of other clients that no single option answers.
const advice: ReadonlyMap<string, string> = new Map(
  Object.entries({
    retry: "kafka-wire has 'retries', 'retryBackoffMs', 'retryBackoffMaxMs' and 'deliveryTimeoutMs'",
    factor: 'the jitter of a back-off is always 20 %',
    multiplier: 'a back-off always doubles',
    loglevel: "pass a 'logger' that leaves out what you do not want to see",
    enforcerequesttimeout: "'requestTimeoutMs' is always enforced",
    kafkajs: 'options stand at the top level, in no block of their own',
    securityprotocol: "kafka-wire has 'tls' and 'sasl'",
    autoflush: "nothing waits for a flush: see 'lingerMs'",
    statisticsintervalms: 'call producer.metrics() whenever you want',
    strict: 'options are always checked',
    groupid: 'that belongs to a consumer, and this is a producer',
    autooffsetreset: 'that belongs to a consumer, and this is a producer',
    fromoffset: 'that belongs to a consumer, and this is a producer',
    topic: 'the topic is part of each record',
    messages: "records go to 'send', 'sendMany' or 'enqueue'",
    autocommit: 'that belongs to a consumer, and this is a producer',
  }),
)

const families: readonly (readonly [start: string, advice: string])[] = [
  ['ssl', "kafka-wire has 'tls', which takes Node's own options"],
  ['sasl', "kafka-wire has 'sasl: { mechanism, ... }'"],
]

/** Our option, by any spelling of its name here, in Java or in another client. */
export function optionNamed(name: string): OptionName | undefined {
  return byPlainName.get(plain(name))
}

/** A sentence about an option that does not exist: what it is called here, or what comes nearest. */
export function optionAdvice(name: string): string {
  return `unknown option ${shown(name)}: ${adviceFor(name)}`
}

function adviceFor(name: string): string {
  const wanted = plain(name)
  const said = advice.get(wanted)
  if (said !== undefined) return said
  const known = optionNamed(name)
  if (known !== undefined) return `kafka-wire calls it '${known}'`
  const family = families.find(([start]) => wanted.startsWith(start))
  if (family !== undefined) return family[1]
  const near = nearestNames(name, optionNames)
  if (near.length > 0) return `did you mean ${near.map((each) => `'${each}'`).join(' or ')}?`
  return 'there is nothing like it; the README lists all options'
}
