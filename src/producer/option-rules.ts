// Rules: what the value of an option must be, said once for the check, for its error text and for reading it from a properties file.
// From: option-table.ts, which gives each option one of these. To: options.ts and properties.ts. No option is named here.

/** What a value must be. `read` makes it from the text of a properties file; without it the option cannot be given as text. */
export interface Rule {
  /** Continues the sentence "… must be". */
  readonly must: string
  accepts(value: unknown): boolean
  read?(text: string): unknown
}

export const LONGEST_MS = 2_147_483_647
export const LARGEST_BUFFER_BYTES = 2_147_483_648

const group = (value: number): string => value.toString().replace(/\B(?=(\d{3})+$)/g, ',')

export const wholeNumber = (unit: string, min: number, max: number): Rule => ({
  must: `a whole number${unit === '' ? '' : ` of ${unit}`} from ${group(min)} to ${group(max)}`,
  accepts: (value) => Number.isInteger(value) && (value as number) >= min && (value as number) <= max,
  // Anything else stays the text that it is, which `accepts` refuses.
  read: (text) => (/^[+-]?\d{1,16}$/.test(text) ? Number(text) : text),
})

export const milliseconds = (min: number): Rule => wholeNumber('milliseconds', min, LONGEST_MS)
export const bytes = (min: number, max: number): Rule => wholeNumber('bytes', min, max)
export const count = (min: number): Rule => wholeNumber('', min, 2_147_483_647)

export const yesOrNo: Rule = {
  must: 'true or false',
  accepts: (value) => typeof value === 'boolean',
  read: (text) => (/^true$/i.test(text) ? true : /^false$/i.test(text) ? false : text),
}

export const oneOf = (...allowed: readonly (string | number)[]): Rule => ({
  must: alternatives(allowed.map(shown)),
  accepts: (value) => allowed.includes(value as string | number),
  read: (text) => allowed.find((value) => String(value) === text) ?? text,
})

/** `a, b or c`. */
function alternatives(texts: readonly string[]): string {
  return texts.length === 1 ? texts[0]! : `${texts.slice(0, -1).join(', ')} or ${texts.at(-1)}`
}

export const text: Rule = {
  must: 'a text of 1 to 32,767 bytes',
  accepts: (value) => typeof value === 'string' && value !== '' && Buffer.byteLength(value) <= 32_767,
  read: (value) => value,
}

export const aFunction = (must: string): Rule => ({ must, accepts: isFunction })

export const objectThat = (must: string, fits: (value: Readonly<Record<string, unknown>>) => boolean): Rule => ({
  must,
  accepts: (value) => typeof value === 'object' && value !== null && fits(value as Record<string, unknown>),
})

export function isFunction(value: unknown): boolean {
  return typeof value === 'function'
}

export const isInterceptor = (value: unknown): boolean => {
  if (typeof value !== 'object' || value === null) return false
  const { onSend, onAcknowledgement } = value as Record<string, unknown>
  const parts = [onSend, onAcknowledgement].filter((part) => part !== undefined)
  return parts.length > 0 && parts.every(isFunction)
}

const LONGEST_SHOWN = 60

/** A value as it may stand in an error: texts in quotes and cut, nothing of what objects hold. */
export function shown(value: unknown): string {
  if (typeof value === 'string') {
    return value.length > LONGEST_SHOWN
      ? `'${value.slice(0, LONGEST_SHOWN)}…' (${value.length} characters)`
      : `'${value}'`
  }
  if (value === null || value === undefined || typeof value === 'number' || typeof value === 'boolean')
    return `${value}`
  if (typeof value === 'bigint') return `${value}n`
  return kindOf(value)
}

/** What sort of thing it is, where even the value of a text must not be seen. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return `${value}`
  if (Array.isArray(value)) return 'an array'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}
