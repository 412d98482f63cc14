// Properties text: Java's .properties format (java.util.Properties.load), from text to names and values.
// From: properties.ts. Knows nothing of Kafka.
//
//   name=value   name: value   name value        the first unescaped '=', ':' or blank ends the name
//   # comment    ! comment                       only at the start of a line
//   long = first, \                              a backslash at the end joins the next line, without its leading blanks
//          second
//   \t \n \r \f \u0041 \=                        escapes; before any other character the backslash goes away

/** A text that Java refuses too. */
export class PropertiesSyntaxError extends Error {
  override readonly name = 'PropertiesSyntaxError'
}

/**
 * The properties in order; of a name that stands there twice the last value counts, as in Java.
 *
 * @throws PropertiesSyntaxError for a `\u` without four hex digits behind it, with the number of the line.
 */
export function parseProperties(text: string): Map<string, string> {
  const properties = new Map<string, string>()
  for (const { line, number } of logicalLines(text)) {
    const nameEnd = endOfName(line)
    const valueStart = /^[ \t\f]*[=:]?[ \t\f]*/.exec(line.slice(nameEnd))![0].length + nameEnd
    properties.set(unescaped(line.slice(0, nameEnd), number), unescaped(line.slice(valueStart), number))
  }
  return properties
}

interface LogicalLine {
  readonly line: string
  /** Of its first line in the text, from 1. */
  readonly number: number
}

function* logicalLines(text: string): Generator<LogicalLine> {
  // Editors on Windows put a byte order mark in front.
  const natural = text.replace(/^\uFEFF/, '').split(/\r\n|\n|\r/)
  // What stands behind the last line end is no line when it is empty.
  if (natural.at(-1) === '') natural.pop()
  let line = ''
  let number = 0
  let isContinued = false
  for (let index = 0; index < natural.length; index++) {
    const part = natural[index]!.replace(/^[ \t\f]+/, '')
    // A lone backslash joins nothing to the next line: that one is the first.
    if (!isContinued || line === '') {
      isContinued = false
      // A comment or an empty line ends here, whatever stands at its end: a backslash does not continue it.
      if (part === '' || part.startsWith('#') || part.startsWith('!')) continue
      line = ''
      number = index + 1
    }
    isContinued = endsWithOddBackslash(part)
    line += isContinued ? part.slice(0, -1) : part
    if (!isContinued) yield { line, number }
  }
  // The text ends behind a backslash: what there is counts.
  if (isContinued) yield { line, number }
}

function endsWithOddBackslash(line: string): boolean {
  let count = 0
  while (line[line.length - 1 - count] === '\\') count++
  return count % 2 === 1
}

function endOfName(line: string): number {
  for (let at = 0; at < line.length; at++) {
    const character = line[at]!
    if (character === '\\') at++
    else if (/[=: \t\f]/.test(character)) return at
  }
  return line.length
}

const escapes: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', f: '\f' }

function unescaped(text: string, lineNumber: number): string {
  return text.replace(/\\(u[0-9A-Fa-f]{4}|.|$)/gsu, (_, escaped: string) => {
    if (escaped.length === 5) return String.fromCharCode(Number.parseInt(escaped.slice(1), 16))
    if (escaped === 'u')
      throw new PropertiesSyntaxError(`line ${lineNumber} has a \\u without four hex digits behind it`)
    return escapes[escaped] ?? escaped
  })
}
