import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { detect, hitsIn, replaceDetected } from '../../privacy/detect.js'

const found = (text: string): string[] =>
  detect(text).map(({ detector, start, end }) => `${detector}:${text.slice(start, end)}`)

describe('finds', () => {
  test.each([
    ['write to Alice.B+x@corp.example.com, please', ['email:Alice.B+x@corp.example.com']],
    ['zoë@münchen.de', ['email:zoë@münchen.de']],
    ['call +49 (170) 123-4567 today', ['phone:+49 (170) 123-4567']],
    ['Tel. 0171 7654321', ['phone:0171 7654321']],
    ['(415) 555-2671', ['phone:(415) 555-2671']],
    ['4111 1111 1111 1111', ['card:4111 1111 1111 1111']],
    ['pay with 378282246310005 now', ['card:378282246310005']],
    ['IBAN DE89 3704 0044 0532 0130 00', ['iban:DE89 3704 0044 0532 0130 00']],
    ['gb82west12345698765432', ['iban:gb82west12345698765432']],
    ['from 10.1.2.3 port 80', ['ip:10.1.2.3']],
    ['2001:0db8:0000:0000:0000:ff00:0042:8329', ['ip:2001:0db8:0000:0000:0000:ff00:0042:8329']],
    [
      'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N',
      ['jwt:eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N'],
    ],
    ['key AKIAIOSFODNN7EXAMPLE here', ['key:AKIAIOSFODNN7EXAMPLE']],
    [
      '-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----',
      ['key:-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----'],
    ],
    ['a@b.co and c@d.io', ['email:a@b.co', 'email:c@d.io']],
  ])('%s', (text, hits) => expect(found(text)).toEqual(hits))
})

describe('leaves alone', () => {
  test.each([
    '2024-01-31 12:34:56.789+02',
    '4111 1111 1111 1112',
    'DE00370400440532013000',
    'version 1.2.3',
    '550e8400-e29b-41d4-a716-446655440000',
    '1234567890123',
    '12:34:56',
    'SKU-2024-000123',
    'user@localhost',
    '999.1.2.3',
  ])('%s', (text) => expect(found(text)).toEqual([]))
})

test('only what was found is replaced', () =>
  expect(replaceDetected('to a@b.co or +49 170 1234567.', (kind) => `<${kind}>`)).toBe('to <email> or <phone>.'))

describe('the first look, which spares most texts the others', () => {
  const digits = '0123456789'.split('')
  /** Numbers of every length, and what numbers of people are written with. */
  const number = fc.string({ unit: fc.constantFrom(...digits), maxLength: 20 })
  const telling = fc.string({ unit: fc.constantFrom(...digits, ...digits, ...'-+ ./()@:aFx'), maxLength: 24 })

  test('overlooks nothing', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          number,
          fc.tuple(fc.constant('-'), number).map(([sign, rest]) => sign + rest),
          telling,
        ),
        (text) => {
          expect(detect(text)).toEqual(hitsIn(text))
        },
      ),
      { numRuns: 20_000 },
    )
  })

  test.each(['4222222222222', '378282246310005', '4111111111111111'])('a card without blanks: %s', (card) => {
    expect(found(card)).toEqual([`card:${card}`])
  })
})
