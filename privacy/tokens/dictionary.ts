/**
 * Words that make tokens read like what they stand for: first names, last names, streets of a locale, from faker's lists.
 *
 * Only the lists are used: seeding faker per value costs 20 µs, choosing from a list by the token's own bits costs nothing. Loaded
 * on demand, because importing a locale takes 30 ms.
 */
import { EXIT, HarnessError } from '../../base/errors.js'

export type Dictionary = {
  readonly firstNames: readonly string[]
  /** The same in the same order, as an e-mail address writes them: ASCII letters in lower case. */
  readonly mailNames: readonly string[]
  readonly lastNames: readonly string[]
  readonly streets: readonly string[]
}

/** Longest word taken from a list, so that a whole token fits the usual `varchar`. */
const WORD_LENGTH_MAX = 11
const STREETS_EN = ['Street', 'Avenue', 'Lane', 'Road', 'Way', 'Court']

/** Locales whose lists have what is needed here. */
export const LOCALES = ['de', 'en', 'es', 'fr', 'it', 'nl', 'pl', 'pt_BR', 'sv'] as const
export type Locale = (typeof LOCALES)[number]

export async function loadDictionary(locale: Locale = 'en'): Promise<Dictionary> {
  let faker: typeof import('@faker-js/faker/locale/en')['faker']
  try {
    faker = ((await import(`@faker-js/faker/locale/${locale}`)) as typeof import('@faker-js/faker/locale/en')).faker
  } catch (cause) {
    throw new HarnessError({
      code: 'LOCALE_UNKNOWN',
      message: `no word lists for the locale ${locale}`,
      hint: `Use one of ${LOCALES.join(', ')}.`,
      exit: EXIT.usage,
      cause,
    })
  }
  const { first_name: first, last_name: last } = faker.definitions.person
  const firstNames = words(first)
  return {
    firstNames,
    mailNames: firstNames.map(plain),
    lastNames: words(last),
    streets: locale === 'en' ? STREETS_EN : words(faker.rawDefinitions.location?.street_suffix, STREETS_EN),
  }
}

function words(list: unknown, otherwise: readonly string[] = []): readonly string[] {
  const all = Array.isArray(list)
    ? list
    : typeof list === 'object' && list !== null
      ? Object.values(list as Record<string, unknown>).flat()
      : []
  const usable = all.filter((word): word is string => typeof word === 'string' && /^\p{L}+$/u.test(word))
  const short = [...new Set(usable)].filter((word) => word.length <= WORD_LENGTH_MAX).sort()
  return short.length > 0 ? short : otherwise
}

function plain(word: string): string {
  return word
    .normalize('NFD')
    .toLowerCase()
    .replace(/[^a-z]/g, '')
}
