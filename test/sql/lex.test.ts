import fc from 'fast-check'
import { loadModule, scanSync } from 'libpg-query'
import { beforeAll, describe, expect, test } from 'vitest'
import { type Lexed, LITERAL, type LiteralForm, lex } from '../../sql/lex.js'
import { literalOf, literalValue } from '../../sql/literal.js'

beforeAll(() => loadModule())

function literals(sql: string): string[] {
  const { starts, ends } = lex(sql)
  return starts.map((start, at) => sql.slice(start, ends[at]))
}

describe('literals', () => {
  test.each([
    { name: 'a string', sql: "SELECT 'a'", found: ["'a'"] },
    { name: 'a doubled quote', sql: "SELECT 'O''Brien', 1", found: ["'O''Brien'", '1'] },
    { name: 'a backslash means nothing in a plain string', sql: "SELECT 'a\\', 'b'", found: ["'a\\'", "'b'"] },
    { name: 'a backslash escapes in an E string', sql: "SELECT E'a\\'b', e'\\\\'", found: ["E'a\\'b'", "e'\\\\'"] },
    { name: 'Unicode escapes', sql: "SELECT U&'d\\0061t' UESCAPE '!'", found: ["U&'d\\0061t'", "'!'"] },
    { name: 'bit strings', sql: "SELECT B'01', x'fF'", found: ["B'01'", "x'fF'"] },
    { name: 'national strings keep their letter in the shape', sql: "SELECT N'a'", found: ["'a'"] },
    {
      name: 'pieces on several lines are one string',
      sql: "SELECT 'a' -- 'c'\n  'b', 2",
      found: ["'a' -- 'c'\n  'b'", '2'],
    },
    { name: 'pieces on one line are two', sql: "SELECT 'a' 'b'", found: ["'a'", "'b'"] },
    { name: 'dollar quotes', sql: 'SELECT $$a$$, $t$ $$ $t$', found: ['$$a$$', '$t$ $$ $t$'] },
    { name: 'parameters are none', sql: 'SELECT $1, a$1', found: [] },
    {
      name: 'numbers',
      sql: 'SELECT 1, 1.5, .5, 5., 1e5, 1E-5, 0x1F, 0b01, 1_000',
      found: ['1', '1.5', '.5', '5.', '1e5', '1E-5', '0x1F', '0b01', '1_000'],
    },
    { name: 'a sign is an operator', sql: 'SELECT -1', found: ['1'] },
    { name: 'digits in names are none', sql: 'SELECT a1, "b2", é3 FROM t4', found: [] },
    { name: 'quotes in names and comments are none', sql: `SELECT "it's", /* it's */ 1 -- it's`, found: ['1'] },
    { name: 'comments nest', sql: "/* a /* 'b' */ 'c' */ SELECT 'd'", found: ["'d'"] },
    { name: 'an operator ends where a comment begins', sql: "SELECT 1+--'a'\n2*/*'b'*/3", found: ['1', '2', '3'] },
  ])('$name', ({ sql, found }) => expect(literals(sql)).toEqual(found))
})

describe('shape', () => {
  test('is equal for texts that differ in literals and comments', () => {
    const one = lex("SELECT * FROM users WHERE email = 'a@b.c' /* trace=1 */ LIMIT 10")
    const other = lex("SELECT * FROM users WHERE email = 'someone else' /* trace=22 */ LIMIT 500")
    expect(other.shape).toBe(one.shape)
  })
  test('differs where the form of a literal differs', () => {
    expect(lex("SELECT '1'").shape).not.toBe(lex('SELECT 1').shape)
    expect(lex("SELECT B'1'").shape).not.toBe(lex("SELECT '1'").shape)
  })
  test('holds nothing of a literal or a comment', () => {
    expect(lex("SELECT 'secret', $$secret$$, E'secret' -- secret\n/* secret */").shape).not.toContain('secret')
  })
  test('keeps planner hints, and no other comment of the kind', () => {
    expect(lex('/*+ IndexScan(t) */ SELECT 1').shape).toContain('IndexScan(t)')
    expect(lex("/*+ Rows(t 'secret') */ SELECT 1").shape).not.toContain('secret')
    expect(lex('/*+ secret */ SELECT 1').shape).not.toContain('secret')
  })
})

describe('statements', () => {
  test.each([
    { name: 'end at semicolons', sql: "SELECT ';'; SELECT 2 -- ;\n;", cuts: 2 },
    {
      name: 'not inside of brackets',
      sql: 'CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2); SELECT 3',
      cuts: 1,
    },
    {
      name: 'not inside of a body',
      sql: 'CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END; SELECT 3',
      cuts: 1,
    },
    { name: 'BEGIN alone opens nothing', sql: 'BEGIN; SELECT 1; COMMIT', cuts: 2 },
  ])('$name', ({ sql, cuts }) => expect(lex(sql).semicolons).toHaveLength(cuts))
})

describe('unsound texts', () => {
  test.each(["SELECT 'a", 'SELECT "a', 'SELECT $$a', '/* a', "SELECT E'a\\'", 'SELECT \u0001'])('%j', (sql) =>
    expect(lex(sql).sound).toBe(false),
  )
})

describe('agrees with the scanner of PostgreSQL', () => {
  const piece = fc.oneof(
    {
      weight: 3,
      arbitrary: fc.constantFrom(...'SELECT FROM e E n N u U& b B x X uescape é _ a1 $ $1 $$ $a$ $é$'.split(' ')),
    },
    {
      weight: 3,
      arbitrary: fc.constantFrom(
        "'",
        "''",
        '"',
        '""',
        '\\',
        '\\\\',
        "\\'",
        '--',
        '/*',
        '*/',
        '/',
        '*',
        '-',
        '+',
        ';',
        ',',
        '(',
        ')',
        '.',
        '..',
        '::',
        ':=',
        '&',
      ),
    },
    { weight: 2, arbitrary: fc.constantFrom(' ', '\n', '\t', '\r\n', '\f') },
    {
      weight: 3,
      arbitrary: fc.constantFrom(
        '1',
        '1.5',
        '.5',
        '5.',
        '1e5',
        '1e',
        '1e+',
        '0x1F',
        '0x',
        '0b2',
        '1_000',
        '1__0',
        '1_',
        '12a',
      ),
    },
    { weight: 2, arbitrary: fc.string({ unit: 'grapheme', maxLength: 4 }) },
  )
  const text = fc.array(piece, { maxLength: 25 }).map((pieces) => pieces.join(''))

  test.each(["x''''", "b'1''0'", "X'ff''' AND", "SELECT b'' ''"])('where a bit string meets a quote: %s', (sql) => {
    const truth = scanned(sql)
    if (truth === null) return expect(lex(sql).sound).toBe(false)
    const own = lex(sql)
    expect({ literals: spans(own.starts, own.ends), comments: pairs(own.comments) }).toEqual(truth)
  })

  test('on random texts', () => {
    let compared = 0
    fc.assert(
      fc.property(text, (sql) => {
        const truth = scanned(sql)
        if (truth === null) return
        compared += 1
        const own = lex(sql)
        expect(own.sound).toBe(true)
        if (continuesAfterComment(own, truth)) return
        expect({ literals: spans(own.starts, own.ends), comments: pairs(own.comments) }).toEqual(truth)
      }),
      { numRuns: 20_000 },
    )
    expect(compared).toBeGreaterThan(2_000)
  })

  test('on every kind of literal between every kind of neighbour', () => {
    const literal = fc.oneof(
      fc
        .tuple(fc.string({ unit: 'grapheme', maxLength: 8 }), fc.constantFrom(...Object.values(LITERAL)))
        .map(([value, form]) => literalText(value, form)),
      fc.constantFrom('1', '0xff', '1.5e3', '.5', '1_0'),
    )
    const neighbour = fc.constantFrom(
      ' ',
      '\n',
      ',',
      '(',
      ')',
      '=',
      '||',
      '+',
      '-',
      '/**/',
      '--x\n',
      ' AND ',
      '::text ',
      ';',
      '"n"',
      '$1,',
    )
    fc.assert(
      fc.property(fc.array(fc.tuple(neighbour, literal), { maxLength: 8 }), neighbour, (parts, last) => {
        const sql = parts.map(([before, one]) => before + one).join('') + last
        const truth = scanned(sql)
        if (truth === null) return
        const own = lex(sql)
        if (continuesAfterComment(own, truth)) return
        expect({ literals: spans(own.starts, own.ends), comments: pairs(own.comments) }).toEqual(truth)
      }),
      { numRuns: 5_000 },
    )
  })
})

describe('value of a literal', () => {
  test.each([
    ["'O''Brien'", LITERAL.string, "O'Brien"],
    ["'a'\n'b'", LITERAL.string, 'ab'],
    ["'a' -- it's\n 'b'", LITERAL.string, 'ab'],
    ["E'a\\n\\x41\\101\\u00e9\\'\\q'", LITERAL.escape, "a\nAAé'q"],
    ["E'\\xc3\\xa9'", LITERAL.escape, 'é'],
    ["U&'d\\0061t\\+000061\\\\'", LITERAL.unicode, 'data\\'],
    ["X'1F'", LITERAL.hex, '1F'],
    ['$t$a$b$t$', LITERAL.dollar, 'a$b'],
  ] as const)('%s', (raw, form, value) => expect(literalValue(raw, form)).toBe(value))

  test('and back: any value in any form lexes as one literal of that value', () => {
    const forms = fc.constantFrom(LITERAL.string, LITERAL.escape, LITERAL.unicode, LITERAL.dollar)
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary' }).filter((value) => !/[\0\ud800-\udfff]/.test(value)),
        forms,
        (value, form) => {
          const raw = literalOf(value, form)
          expect(literals(`SELECT ${raw} `)).toEqual([raw])
          expect(literalValue(raw, form)).toBe(value)
        },
      ),
    )
  })
})

test('a text of 200 characters takes a few microseconds', () => {
  const sql =
    "SELECT u.id, u.email FROM users u JOIN orders o ON o.user_id = u.id WHERE u.email = 'alice@example.com' AND o.status IN ('paid', 'shipped') AND o.total > 100.50 ORDER BY o.created_at DESC LIMIT 20"
  for (let warm = 0; warm < 2000; warm++) lex(sql)
  const started = performance.now()
  for (let round = 0; round < 5000; round++) lex(sql)
  expect(((performance.now() - started) / 5000) * 1000).toBeLessThan(50)
})

type Spans = readonly (readonly [number, number])[]

/** What PostgreSQL's scanner finds; null when it refuses the text. */
function scanned(sql: string): { literals: Spans; comments: Spans } | null {
  if (sql.includes('\0') || /[\ud800-\udfff]/.test(sql)) return null
  const toIndex = indexOfByte(sql)
  let tokens: ReturnType<typeof scanSync>['tokens']
  try {
    tokens = scanSync(sql).tokens
  } catch {
    return null
  }
  const literals: [number, number][] = []
  const comments: [number, number][] = []
  for (const { tokenName, start, end } of tokens) {
    const span: [number, number] = [toIndex(start), toIndex(end)]
    const own = sql.slice(...span)
    if (tokenName === 'SQL_COMMENT' || tokenName === 'C_COMMENT') comments.push(span)
    else if (/^(S|I|F)CONST$/.test(tokenName) || /^(u&|b|x)'/i.test(own)) literals.push(span)
  }
  return { literals, comments }
}

/** `'a' -- x⏎ 'b'` is one string for the server; libpg_query, which keeps comments as tokens, sees two. We side with the server. */
function continuesAfterComment(own: Lexed, truth: { comments: Spans }): boolean {
  return truth.comments.some(([from, to]) => own.starts.some((start, at) => start < from && to < own.ends[at]!))
}

function indexOfByte(sql: string): (byte: number) => number {
  const bytes = Buffer.from(sql)
  return (byte) => bytes.subarray(0, byte).toString().length
}

function spans(starts: readonly number[], ends: readonly number[]): Spans {
  return starts.map((start, at) => [start, ends[at]!])
}

function pairs(flat: readonly number[]): Spans {
  return flat.flatMap((start, at) => (at % 2 === 0 ? [[start, flat[at + 1]!] as const] : []))
}

function literalText(value: string, form: LiteralForm): string {
  if (form === LITERAL.number) return '7'
  if (form === LITERAL.bits) return "B'01'"
  if (form === LITERAL.hex) return "X'1F'"
  return literalOf(value.replaceAll('\0', ''), form)
}
