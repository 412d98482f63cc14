// Whole requests and responses as other implementations wrote them. Frames begin with their int32 size, bodies and headers do not.

/** kafka-python a3b3836, test/protocol: correlation id 1, client id `_internal_client_kYVL`; from v3 on software kafka-python 3.0.0. */
export const apiVersionsRequestFrames: readonly (readonly [version: number, hex: string])[] = [
  [0, '0000001f001200000000000100155f696e7465726e616c5f636c69656e745f6b59564c'],
  [1, '0000001f001200010000000100155f696e7465726e616c5f636c69656e745f6b59564c'],
  [2, '0000001f001200020000000100155f696e7465726e616c5f636c69656e745f6b59564c'],
  [
    3,
    '00000034001200030000000100155f696e7465726e616c5f636c69656e745f6b59564c000d6b61666b612d707974686f6e06332e302e3000',
  ],
  [
    4,
    '00000034001200040000000100155f696e7465726e616c5f636c69656e745f6b59564c000d6b61666b612d707974686f6e06332e302e3000',
  ],
]

/** The same source: v3 without the size; correlation id 1, client id `test-client`, software kafka-python 2.9.0. */
export const apiVersionsRequestV3 =
  '0012000300000001000b746573742d636c69656e74000d6b61666b612d707974686f6e06322e392e3000'

/** The same source: Produce 0 to 9, Fetch 0 to 10, no tagged fields. */
export const apiVersionsResponseV3Body = '0000030000000000090000010000000a000000000000'

/** How a broker refuses a version of ApiVersions that it does not know (KIP-511): correlation id 1, error 35, only 18: 0 to 3. */
export const apiVersionsRefusalFrame = '0000001000000001002300000001001200000003'

/**
 * The value of tag 0 (supported features) in a 4.0 broker's answer, kafka-python a3b3836 test_supported_features: every feature's range
 * may begin at 0.
 */
export const supportedFeaturesTag =
  '060e67726f75702e76657273696f6e00000001000e6b726166742e76657273696f6e0000000100116d657461646174612e76657273696f6e0007001900147472616e73616374696f6e2e76657273696f6e000000020021656c696769626c652e6c65616465722e7265706c696361732e76657273696f6e0000000100'

/** kafka-python a3b3836: Metadata v8, correlation id 1, client id `admin_client_VIsf`, no topics, auto-creation on. */
export const metadataRequestV8Frame = '000000220003000800000001001161646d696e5f636c69656e745f5649736600000000010000'

/** The same source: one broker localhost:47485, no topics; correlation id 3. */
export const metadataResponseV8Frame =
  '000000450000000300000000000000010000000000096c6f63616c686f73740000b97dffff00163334776a4e703368524a69784352764d6c4b395a6e77000000000000000080000000'

/** kafka-python a3b3836: the tagged fields {0: int16 2, 1: compact string "foobar"}. */
export const twoTaggedFields = '0200020002010707666f6f626172'
