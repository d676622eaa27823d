import { createHmac } from 'node:crypto'
import { isIPv4, isIPv6 } from 'node:net'
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import type { TokenKind } from '../../privacy/kinds.js'
import { loadDictionary } from '../../privacy/tokens/dictionary.js'
import { permute, permuteDecimal } from '../../privacy/tokens/feistel.js'
import { createTokens, type Tokens } from '../../privacy/tokens/index.js'
import { ibanCheck, isIban, luhnDigit } from '../../privacy/tokens/numbers.js'
import { createPrf, hexOf } from '../../privacy/tokens/prf.js'
import { createRounds, sipHashOfBlock } from '../../privacy/tokens/siphash.js'

const KEY = Buffer.alloc(32, 7)
let tokens: Tokens
let others: Tokens

beforeAll(async () => {
  const words = await loadDictionary('en')
  tokens = createTokens(KEY, words)
  others = createTokens(Buffer.alloc(32, 8), words)
})

const TEMPLATES: readonly TokenKind[] = ['email', 'full_name', 'first_name', 'address']
const FORMATS: readonly TokenKind[] = ['phone', 'iban', 'card', 'ip', 'uuid', 'digits', 'text']
const ALL: readonly TokenKind[] = [...TEMPLATES, ...FORMATS, 'date_shift', 'redact']

const anyText = fc.string({ unit: 'grapheme', maxLength: 40 })

describe.each(ALL)('%s', (kind) => {
  test('the same value gives the same token, on every machine with the key', async () => {
    const again = createTokens(KEY, await loadDictionary('en'))
    fc.assert(
      fc.property(anyText, (value) => {
        expect(again.token(kind, value)).toBe(tokens.token(kind, value))
      }),
    )
  })
  test('the empty string stays', () => expect(tokens.token(kind, '')).toBe(''))
  test('fits every width the value fits', () => {
    fc.assert(
      fc.property(anyText, fc.nat(30), (value, room) => {
        const limit = Math.max(1, Array.from(value).length + room)
        expect(Array.from(tokens.token(kind, value, { limit })).length).toBeLessThanOrEqual(limit)
      }),
    )
  })
})

describe.each([...TEMPLATES, 'text', 'uuid', 'iban', 'card', 'phone', 'digits', 'ip'] as const)('%s', (kind) => {
  test('another key gives another token', () =>
    expect(others.token(kind, samples[kind]!)).not.toBe(tokens.token(kind, samples[kind]!)))
  test('a value never is its own token in practice', () =>
    expect(tokens.token(kind, samples[kind]!)).not.toBe(samples[kind]))
})

const samples: Readonly<Partial<Record<TokenKind, string>>> = {
  email: 'alice@example.com',
  full_name: 'Alice Smith',
  first_name: 'Alice',
  address: '12 Rose Lane',
  text: 'Please ring twice',
  uuid: '0195f6a2-7f3c-7bbb-8888-3a2f6f1d2c4b',
  iban: 'DE89370400440532013000',
  card: '4111 1111 1111 1111',
  phone: '+49 (170) 123-4567',
  digits: '123456789',
  ip: '192.168.17.4',
}

describe('different values give different tokens, a million of them', () => {
  const MILLION = 1_000_000
  const uuid = (at: number): string => `${at.toString(16).padStart(8, '0')}-0000-4000-8000-000000000000`
  const iban = (at: number): string => {
    const account = `37040044${String(at).padStart(10, '0')}`
    return `DE${ibanCheck('DE', account)}${account}`
  }
  const day = (at: number): string => new Date(Date.UTC(1000, 0, 1 + at)).toISOString().slice(0, 10)
  /** All kinds but `redact`, which makes all values one. */
  const cases: readonly { kind: TokenKind; limit?: number; count?: number; value: (at: number) => string }[] = [
    { kind: 'email', value: (at) => `user${at}@example.com` },
    { kind: 'full_name', value: (at) => `Person Number ${at}` },
    { kind: 'first_name', value: (at) => `Name${at}` },
    { kind: 'address', value: (at) => `${at} Rose Lane` },
    { kind: 'text', value: (at) => `a note about ${at}, and more` },
    { kind: 'digits', value: (at) => String(at) },
    { kind: 'phone', value: (at) => `+4917${String(at).padStart(7, '0')}` },
    { kind: 'card', value: (at) => withLuhn(`4111${String(at).padStart(11, '0')}`) },
    { kind: 'iban', value: iban },
    { kind: 'ip', value: (at) => `10.${at >> 16}.${(at >> 8) & 255}.${at & 255}` },
    { kind: 'uuid', value: uuid },
    { kind: 'date_shift', value: day },
    // Where a column has no room for 64 bits, a permutation of its format keeps them apart: the same for all kinds.
    { kind: 'text', count: 200_000, value: (at) => at.toString(36) },
    { kind: 'first_name', limit: 10, count: 200_000, value: (at) => at.toString(36) },
    { kind: 'email', limit: 12, count: 200_000, value: (at) => `${at.toString(36)}@b.io` },
  ]
  test.each(cases)('$kind, limit $limit', { timeout: 240_000 }, ({ kind, limit, count = MILLION, value }) => {
    const tokenize = tokens.of(kind, limit === undefined ? {} : { limit })
    const seen = new Float64Array(count)
    for (let at = 0; at < count; at++) seen[at] = fingerprint(tokenize(value(at)))
    seen.sort()
    let equal = 0
    for (let at = 1; at < count; at++) if (seen[at] === seen[at - 1]) equal += 1
    expect(equal).toBe(0)
  })

  /** Different fingerprints are different texts. 53 bits: that two of a million agree by chance is one in 18,000, and always or never so. */
  function fingerprint(text: string): number {
    let one = 0x9e3779b1
    let two = 0x85ebca6b
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at)
      one = Math.imul(one ^ code, 0x9e3779b1)
      one ^= one >>> 15
      two = Math.imul(two ^ code, 0x5f356495)
      two ^= two >>> 13
    }
    return (one >>> 0) * 0x20_0000 + (two >>> 11)
  }
})

describe('the keyed functions below', () => {
  test('are HMAC-SHA-256 as Node has it, whatever the length and the alphabet', () => {
    const prf = createPrf(KEY, 'email')
    const own = createHmac('sha256', KEY).update('pgrehearse token v1 email').digest()
    const expected = (value: string): string => createHmac('sha256', own).update(value, 'utf8').digest('hex')
    const anyLength = fc.oneof(fc.string({ maxLength: 130 }), fc.string({ unit: 'binary', maxLength: 40 }))
    fc.assert(
      fc.property(anyLength, (value) => {
        expect(hexOf(prf(value), 8)).toBe(expected(value))
      }),
    )
    for (let length = 0; length < 200; length++) {
      const value = 'x'.repeat(length)
      expect(hexOf(prf(value), 8)).toBe(expected(value))
    }
  })
  test('and SipHash-2-4, as its authors published it: of the bytes 0 to 7 under the key 0 to 15', () => {
    const key = new Int32Array(Uint8Array.from({ length: 16 }, (_, at) => at).buffer)
    expect(sipHashOfBlock(key, 0x03020100, 0x07060504)).toEqual([0x93f5f579, 0x9a932462])
    // A round uses the upper 53 of its 64 bits.
    expect(createRounds(key)(0x0706, 0x0504_0302_0100)).toBe((0x93f5f579 >>> 11) * 2 ** 32 + 0x9a932462)
  })
})

describe('digits', () => {
  test('are a permutation of the numbers of as many digits: exactly, none missing', () => {
    const found = Array.from({ length: 9000 }, (_, at) => Number(tokens.token('digits', String(1000 + at))))
    expect(found.sort((a, b) => a - b)).toEqual(Array.from({ length: 9000 }, (_, at) => 1000 + at))
  })
  test.each([0, 1, 2, 37, 500])('every pattern of few letters is permuted: %i', (seed) => {
    const pair = (at: number): string => String.fromCharCode(97 + Math.floor(at / 26), 97 + (at % 26))
    const format = (at: number): string => `${seed}:${pair(at)}`
    expect(new Set(Array.from({ length: 676 }, (_, at) => tokens.token('text', format(at)))).size).toBe(676)
  })
  test('go the short way as they would go the long one', () => {
    const prf = createPrf(KEY, 'digits')
    fc.assert(
      fc.property(fc.stringMatching(/^[1-9]\d{1,27}$/), fc.boolean(), (text, leading) => {
        const digits = Array.from(text, Number)
        const tens = digits.map(() => 10)
        if (leading) digits[0]! -= 1
        permute(prf, 'x', digits, leading ? [9, ...tens.slice(1)] : tens)
        if (leading) digits[0]! += 1
        expect(permuteDecimal(prf, 'x', text, leading)).toBe(digits.join(''))
      }),
    )
  })
  test('keep sign, leading zeros and fraction, whatever the way of writing', () => {
    const token = tokens.token('digits', '1234')
    expect(token).toMatch(/^[1-9]\d{3}$/)
    expect(tokens.token('digits', '-1234')).toBe(`-${token}`)
    expect(tokens.token('digits', '001234')).toBe(`00${token}`)
    expect(tokens.token('digits', '1234.50')).toBe(`${token}.50`)
  })
  test('stay inside their type', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2_147_483_647 }), (number) => {
        const token = Number(tokens.token('digits', String(number), { max: 2_147_483_647n }))
        expect(token).toBeLessThanOrEqual(2_147_483_647)
        expect(String(token)).toHaveLength(String(number).length)
      }),
    )
  })
  test('of any length are one to one', () => {
    const digits = fc.stringMatching(/^[1-9]\d{20,36}$/)
    fc.assert(
      fc.property(digits, digits, (one, other) => {
        expect(tokens.token('digits', one)).toMatch(new RegExp(`^[1-9]\\d{${one.length - 1}}$`))
        expect(tokens.token('digits', one) === tokens.token('digits', other)).toBe(one === other)
      }),
    )
  })
})

describe('email', () => {
  test('folds case in and is lower-case out, so that lower(email) agrees', () => {
    fc.assert(
      fc.property(fc.emailAddress(), (address) => {
        const token = tokens.token('email', address)
        expect(token).toBe(token.toLowerCase())
        expect(tokens.token('email', address.toUpperCase())).toBe(
          tokens.token('email', address.toUpperCase().toLowerCase()),
        )
      }),
    )
  })
  test('is an address of a domain that belongs to nobody', () =>
    expect(tokens.token('email', 'alice@bank.example')).toMatch(/^[a-z]+\.[0-9a-z]{13}@example\.(com|net|org)$/))
  test('in a column too narrow for that keeps the value’s format', () =>
    expect(tokens.token('email', 'Al@b.io', { limit: 12 })).toMatch(/^[a-z]{2}@[a-z]\.[a-z]{2}$/))
})

describe('card', () => {
  const card = fc.stringMatching(/^[2-6]\d{11,17}$/)
  test('keeps length and Luhn’s check', () => {
    fc.assert(
      fc.property(card, (body) => {
        const token = tokens.token('card', withLuhn(body))
        expect(token).toHaveLength(body.length + 1)
        expect(luhnDigit(token.slice(0, -1))).toBe(Number(token.at(-1)))
      }),
    )
  })
  test('keeps a wrong check digit wrong', () => {
    fc.assert(
      fc.property(card, fc.integer({ min: 1, max: 9 }), (body, off) => {
        const token = tokens.token('card', body + ((luhnDigit(body) + off) % 10))
        expect(luhnDigit(token.slice(0, -1))).not.toBe(Number(token.at(-1)))
      }),
    )
  })
  test('keeps the way it is written', () =>
    expect(tokens.token('card', '4111 1111-1111 1111')).toMatch(/^4\d{3} \d{4}-\d{4} \d{4}$/))
})

describe('iban', () => {
  test('stays valid, in its country and its way of writing', () => {
    const token = tokens.token('iban', 'GB82 WEST 1234 5698 7654 32')
    expect(token).toMatch(/^GB\d{2} [A-Z]{4} \d{4} \d{4} \d{4} \d{2}$/)
    expect(isIban(token.replaceAll(' ', ''))).toBe(true)
  })
  test('is the same whether written in groups or not', () =>
    expect(tokens.token('iban', 'DE89 3704 0044 0532 0130 00').replaceAll(' ', '')).toBe(
      tokens.token('iban', 'DE89370400440532013000'),
    ))
})

describe('phone', () => {
  test('keeps its format and its country', () =>
    expect(tokens.token('phone', '+49 (170) 123-4567')).toMatch(/^\+49 \(\d{3}\) \d{3}-\d{4}$/))
  test('is the same number in every way of writing', () =>
    expect(tokens.token('phone', '+49 (170) 123-4567').replace(/[^+\d]/g, '')).toBe(
      tokens.token('phone', '+491701234567'),
    ))
})

describe('ip', () => {
  test('stays of its family', () => {
    fc.assert(
      fc.property(fc.ipV4(), (address) => {
        expect(isIPv4(tokens.token('ip', address))).toBe(true)
      }),
    )
    fc.assert(
      fc.property(fc.ipV6(), (address) => {
        expect(isIPv6(tokens.token('ip', address))).toBe(true)
      }),
    )
  })
  test('is the same in every way of writing', () =>
    expect(tokens.token('ip', '2001:db8:0:0:0:0:0:1')).toBe(tokens.token('ip', '2001:0DB8::1')))
  test('a network stays a network', () => expect(tokens.token('ip', '10.1.2.0/24')).toMatch(/^\d+\.\d+\.\d+\.0\/24$/))
  test('an address with a mask does not become one', () =>
    expect(tokens.token('ip', '10.1.2.3/31').endsWith('/31') && tokens.token('ip', '10.1.2.3/31')).toMatch(
      /[13579]\/31$/,
    ))
})

describe('uuid', () => {
  test('keeps version and variant, and does not mind the way of writing', () => {
    fc.assert(
      fc.property(fc.uuid(), (value) => {
        const token = tokens.token('uuid', value)
        expect(token).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
        expect(token[14]).toBe(value[14])
        expect(Number.parseInt(token[19]!, 16) >> 2).toBe(Number.parseInt(value[19]!, 16) >> 2)
        expect(tokens.token('uuid', `{${value.replaceAll('-', '').toUpperCase()}}`)).toBe(
          `{${token.replaceAll('-', '')}}`,
        )
      }),
    )
  })
  test('the nil UUID stays', () =>
    expect(tokens.token('uuid', '00000000-0000-0000-0000-000000000000')).toMatch(/^[0-]+$/))
})

describe('date_shift', () => {
  const date = fc.date({ min: new Date('1900-01-01'), max: new Date('2100-01-01'), noInvalidDate: true })
  const iso = (value: Date): string => value.toISOString().slice(0, 10)
  test('keeps distances and weekdays, and goes back', () => {
    fc.assert(
      fc.property(date, date, (one, other) => {
        const [a, b] = [iso(one), iso(other)].map((value) => Date.parse(tokens.token('date_shift', value))) as [
          number,
          number,
        ]
        expect(b - a).toBe(Date.parse(iso(other)) - Date.parse(iso(one)))
        expect(new Date(a).getUTCDay()).toBe(new Date(iso(one)).getUTCDay())
        expect(a).toBeLessThan(one.getTime())
      }),
    )
  })
  test('keeps the time of day', () =>
    expect(tokens.token('date_shift', '1980-02-29 12:34:56.789+02')).toMatch(/^197\d-\d\d-\d\d 12:34:56\.789\+02$/))
  test.each(['infinity', '-infinity', 'now'])('%s stays', (value) =>
    expect(tokens.token('date_shift', value)).toBe(value),
  )
  test('a date in a style of its own becomes one that says nothing; what is no date stays none', () => {
    expect(tokens.token('date_shift', 'May 1, 1980')).toBe('2000-01-01')
    expect(tokens.token('date_shift', '01/02/1980')).toBe('2000-01-01')
    expect(tokens.token('date_shift', 'Alice Brown')).toMatch(/^[A-Z][a-z]{4} [A-Z][a-z]{4}$/)
  })
})

describe('text', () => {
  test('keeps length, case, digits and everything that is no letter', () => {
    fc.assert(
      fc.property(anyText, (value) => {
        const token = tokens.token('text', value)
        const form = (text: string): string =>
          text
            .replace(/[a-z]/g, 'a')
            .replace(/[A-Z]/g, 'A')
            .replace(/[0-9]/g, '9')
            .replace(/[\u0080-\u{10ffff}]/gu, '?')
        expect(form(token)).toBe(form(value))
      }),
    )
  })
  test('an address inside becomes the token it is in a column of its own', () => {
    const token = tokens.token('email', 'alice@corp.example')
    expect(tokens.token('text', 'alice@corp.example')).toBe(token)
    expect(tokens.token('text', 'write to alice@corp.example, please')).toContain(` ${token}, `)
    expect(tokens.token('text', 'alice@corp.example', { limit: 18 })).toHaveLength(18)
  })
  test('equal words of two texts do not look equal: counting words reveals nothing', () => {
    const [one, other] = ['my doctor called me today', 'the doctor was here again'].map((value) =>
      tokens.token('text', value).split(' '),
    )
    expect(one![1]).not.toBe(other![1])
  })
  test('other scripts are replaced too', () => {
    for (const value of ['Привет, мир', '田中さん', '김철수', 'Ωμέγα', 'مرحبا', 'Ångström']) {
      const token = tokens.token('text', value)
      expect(Array.from(token)).toHaveLength(Array.from(value).length)
      expect(token).not.toBe(value)
    }
  })
})

function withLuhn(body: string): string {
  return body + luhnDigit(body)
}
