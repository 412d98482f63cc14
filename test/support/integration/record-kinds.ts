// Records of every kind that a user can hand over, each with what must stand in Kafka's log for it, written out.
// From: producer.test.ts.
import type { ProducerRecord } from '../../../src/index.ts'

export interface StoredRecord {
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly (readonly [name: string, value: Buffer | null])[]
  /** Epoch milliseconds; undefined: the time of the send. */
  readonly timestamp: number | undefined
}

export interface RecordKind {
  readonly what: string
  readonly record: Omit<ProducerRecord, 'topic' | 'partition'>
  readonly stored: StoredRecord
  /** Without tab, line feed or a byte that is no text: the console consumer can print it. */
  readonly isText: boolean
}

type Rest = Partial<Pick<StoredRecord, 'headers' | 'timestamp'>>

const kind = (
  what: string,
  record: RecordKind['record'],
  [key, value, rest = {}]: [key: string | Buffer | null, value: string | Buffer | null, rest?: Rest],
): RecordKind => ({
  what,
  record,
  stored: { key: bytesOf(key), value: bytesOf(value), headers: rest.headers ?? [], timestamp: rest.timestamp },
  isText: [key, value, ...(rest.headers ?? []).map(([, content]) => content)].every(isPrintable),
})

const bytesOf = (content: string | Buffer | null): Buffer | null =>
  content === null ? null : Buffer.from(content as string)

const isPrintable = (content: string | Buffer | null): boolean =>
  content === null || /^[^\p{C}\t\n\ufffd]*$/u.test(content.toString('utf8'))

const everyByte = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
const large = Buffer.alloc(200_000, 'abcdefg ')

export const recordKinds: readonly RecordKind[] = [
  kind('strings', { key: 'key', value: 'value' }, ['key', 'value']),
  kind('strings beyond ASCII', { key: 'schlüssel', value: 'значение 値 🙂' }, [
    Buffer.from('7363686cc3bc7373656c', 'hex'),
    Buffer.from('d0b7d0bdd0b0d187d0b5d0bdd0b8d0b520e580a420f09f9982', 'hex'),
  ]),
  kind('half a character', { key: 'k', value: 'a\ud800b' }, ['k', Buffer.from('61efbfbd62', 'hex')]),
  kind('Buffers with every byte', { key: everyByte, value: everyByte }, [everyByte, everyByte]),
  kind(
    'a Uint8Array that is a view',
    { key: new Uint8Array([1, 2]), value: new Uint8Array(everyByte).subarray(2, 6) },
    [Buffer.of(1, 2), Buffer.of(2, 3, 4, 5)],
  ),
  kind('empty strings', { key: '', value: '' }, ['', '']),
  kind('empty Buffers', { key: Buffer.alloc(0), value: new Uint8Array(0) }, ['', '']),
  kind('no key', { value: 'alone' }, [null, 'alone']),
  kind('a null key', { key: null, value: '' }, [null, '']),
  kind('a tombstone', { key: 'gone', value: null }, ['gone', null]),
  kind('a tombstone with an empty key', { key: '', value: null }, ['', null]),
  kind('a value larger than a batch', { key: 'large', value: large }, ['large', large]),
  kind(
    'header pairs, names repeated, in their order',
    {
      key: 'pairs',
      value: 'v',
      headers: [
        ['b', '1'],
        ['a', '2'],
        ['b', '3'],
        ['a', '2'],
      ],
    },
    [
      'pairs',
      'v',
      {
        headers: [
          ['b', Buffer.from('1')],
          ['a', Buffer.from('2')],
          ['b', Buffer.from('3')],
          ['a', Buffer.from('2')],
        ],
      },
    ],
  ),
  kind(
    'an object of headers, with lists',
    { key: 'object', value: 'v', headers: { one: 'x', many: ['1', null, ''], none: [] } },
    [
      'object',
      'v',
      {
        headers: [
          ['one', Buffer.from('x')],
          ['many', Buffer.from('1')],
          ['many', null],
          ['many', Buffer.alloc(0)],
        ],
      },
    ],
  ),
  kind(
    'headers null, empty and binary, and names beyond ASCII',
    {
      key: 'headers',
      value: 'v',
      headers: [
        ['null', null],
        ['empty', ''],
        ['binary', everyByte],
        ['größe', new Uint8Array([255])],
        ['', 'no name'],
      ],
    },
    [
      'headers',
      'v',
      {
        headers: [
          ['null', null],
          ['empty', Buffer.alloc(0)],
          ['binary', everyByte],
          ['größe', Buffer.of(255)],
          ['', Buffer.from('no name')],
        ],
      },
    ],
  ),
  kind('headers on a tombstone', { key: 'gone', value: null, headers: { why: null } }, [
    'gone',
    null,
    { headers: [['why', null]] },
  ]),
  kind('200 headers', { value: 'v', headers: Array.from({ length: 200 }, (_, i) => [`h${i}`, `${i}`] as const) }, [
    null,
    'v',
    { headers: Array.from({ length: 200 }, (_, i) => [`h${i}`, Buffer.from(`${i}`)] as const) },
  ]),
  kind('the first timestamp', { value: 'v', timestamp: 0 }, [null, 'v', { timestamp: 0 }]),
  kind('a timestamp of the past', { value: 'v', timestamp: 981_173_106_789 }, [
    null,
    'v',
    { timestamp: 981_173_106_789 },
  ]),
  kind('a Date', { value: 'v', timestamp: new Date('2001-02-03T04:05:06.789Z') }, [
    null,
    'v',
    { timestamp: 981_173_106_789 },
  ]),
  kind('a timestamp of the far future', { value: 'v', timestamp: 253_402_300_799_999 }, [
    null,
    'v',
    { timestamp: 253_402_300_799_999 },
  ]),
  kind('a timestamp of long before the record in front of it', { value: 'v', timestamp: 1 }, [
    null,
    'v',
    { timestamp: 1 },
  ]),
]
