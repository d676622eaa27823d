/**
 * Built-in functions, as far as values and columns are concerned: which hand a value on, which look into it, and which arguments are
 * words of the language and not data.
 */

/** The value of the first argument (or of one of them) comes out unchanged. */
export const HANDS_ON: ReadonlySet<string> = new Set([
  'any_value',
  'array_agg',
  'array_append',
  'array_cat',
  'array_prepend',
  'array_remove',
  'array_replace',
  'btrim',
  'citext',
  'json_strip_nulls',
  'jsonb_strip_nulls',
  'first_value',
  'lag',
  'last_value',
  'lead',
  'ltrim',
  'nth_value',
  'nullif',
  'rtrim',
  'text',
  'trim',
  'unnest',
  'uuid',
  'varchar',
  'trim_array',
])

/** Handed on but for case. */
export const FOLDS: ReadonlySet<string> = new Set(['lower', 'upper', 'casefold', 'initcap'])

/** What comes out says nothing of the value that went in. */
export const SAYS_NOTHING: ReadonlySet<string> = new Set([
  'array_length',
  'array_lower',
  'array_ndims',
  'array_upper',
  'cardinality',
  'count',
  'dense_rank',
  'family',
  'json_array_length',
  'json_typeof',
  'jsonb_array_length',
  'jsonb_typeof',
  'masklen',
  'num_nonnulls',
  'num_nulls',
  'pg_typeof',
  'rank',
  'row_number',
])

/** Numbers about a value, of which nobody can tell the value. */
export const MEASURES: ReadonlySet<string> = new Set([
  'bit_length',
  'char_length',
  'character_length',
  'length',
  'levenshtein',
  'levenshtein_less_equal',
  'octet_length',
  'pg_column_size',
  'position',
  'regexp_count',
  'regexp_instr',
  'similarity',
  'strict_word_similarity',
  'strpos',
  'ts_rank',
  'ts_rank_cd',
  'word_similarity',
])

/** Built-in functions that show what others sent or stored, whatever their arguments are. */
export const TELLS: ReadonlySet<string> = new Set([
  'current_query',
  'cursor_to_xml',
  'cursor_to_xml_and_xmlschema',
  'database_to_xml',
  'database_to_xml_and_xmlschema',
  'lo_get',
  'loread',
  'pg_cursor',
  'pg_logical_slot_get_binary_changes',
  'pg_logical_slot_get_changes',
  'pg_logical_slot_peek_binary_changes',
  'pg_logical_slot_peek_changes',
  'pg_prepared_statement',
  'pg_read_binary_file',
  'pg_read_file',
  'pg_stat_get_activity',
  'pg_stat_get_backend_activity',
  'query_to_xml',
  'query_to_xml_and_xmlschema',
  'schema_to_xml',
  'schema_to_xml_and_xmlschema',
  'table_to_xml',
  'table_to_xml_and_xmlschema',
  'ts_stat',
])

/** With a second argument more than blanks is cut off. */
export const TRIMS: ReadonlySet<string> = new Set(['btrim', 'ltrim', 'rtrim', 'trim'])

/** What an ordered set hands out is one of its values. */
export const PICKS: ReadonlySet<string> = new Set(['mode', 'percentile_disc'])

/** Extensions overload these (citext does), and mean the same by them. */
export function isBuiltIn(name: string): boolean {
  return name in WORDS || [HANDS_ON, FOLDS, SAYS_NOTHING, MEASURES, CHOOSES, COMPARES].some((names) => names.has(name))
}

/** The choice depends on order. */
export const CHOOSES: ReadonlySet<string> = new Set(['min', 'max', 'greatest', 'least'])

/** Compared element by element or with the array as a whole. */
export const COMPARES: ReadonlySet<string> = new Set([
  'array_position',
  'array_positions',
  'array_remove',
  'array_replace',
  'array_append',
  'array_prepend',
  'nullif',
  'starts_with',
  'isfinite',
  'texteq',
])

/** Arguments that are words of the language, counted from 0; `all` where every argument is. */
const WORDS: Readonly<Record<string, readonly number[] | 'all'>> = {
  age: 'all',
  array_to_string: [1, 2],
  brin_summarize_new_values: 'all',
  col_description: 'all',
  convert: [1, 2],
  convert_from: [1],
  convert_to: [1],
  current_setting: 'all',
  currval: 'all',
  date_bin: 'all',
  date_part: [0],
  date_subtract: 'all',
  date_add: 'all',
  date_trunc: [0, 2],
  decode: [1],
  digest: [1],
  encode: [1],
  extract: [0],
  format_type: 'all',
  gen_salt: 'all',
  generate_series: 'all',
  get_byte: [1],
  has_column_privilege: 'all',
  has_schema_privilege: 'all',
  has_table_privilege: 'all',
  hmac: [2],
  json_build_object: [],
  json_extract_path: [1, 2, 3, 4, 5, 6, 7, 8],
  json_extract_path_text: [1, 2, 3, 4, 5, 6, 7, 8],
  jsonb_extract_path: [1, 2, 3, 4, 5, 6, 7, 8],
  jsonb_extract_path_text: [1, 2, 3, 4, 5, 6, 7, 8],
  jsonb_set: [1],
  jsonb_set_lax: [1, 4],
  jsonb_insert: [1],
  jsonb_exists: [1],
  lastval: 'all',
  left: [1],
  lpad: [1, 2],
  make_date: 'all',
  make_interval: 'all',
  make_timestamp: 'all',
  make_timestamptz: 'all',
  nextval: 'all',
  normalize: [1],
  obj_description: 'all',
  parse_ident: 'all',
  pg_advisory_lock: 'all',
  pg_advisory_unlock: 'all',
  pg_advisory_xact_lock: 'all',
  pg_get_serial_sequence: 'all',
  pg_relation_size: 'all',
  pg_sleep: 'all',
  pg_table_size: 'all',
  pg_total_relation_size: 'all',
  pg_try_advisory_lock: 'all',
  pg_try_advisory_xact_lock: 'all',
  phraseto_tsquery: [],
  random: 'all',
  regexp_count: [2, 3],
  regexp_like: [2],
  regexp_match: [2],
  regexp_matches: [2],
  regexp_replace: [3],
  regexp_split_to_array: [1, 2],
  regexp_split_to_table: [1, 2],
  repeat: [1],
  right: [1],
  round: 'all',
  rpad: [1, 2],
  set_byte: 'all',
  set_config: [0, 2],
  setval: 'all',
  setweight: [1],
  split_part: [1, 2],
  string_agg: [1],
  string_to_array: [1, 2],
  string_to_table: [1, 2],
  substr: [1, 2],
  timezone: [0],
  to_char: [1],
  to_date: [1],
  to_number: [1],
  to_regclass: 'all',
  to_regproc: 'all',
  to_regtype: 'all',
  to_timestamp: [1],
  trunc: 'all',
  ts_headline: [3],
  unaccent: [],
  websearch_to_tsquery: [],
  width_bucket: 'all',
}

/** With two arguments the first is a configuration (`'english'`), with one it is the text. */
const CONFIGURED: ReadonlySet<string> = new Set([
  'to_tsvector',
  'to_tsquery',
  'plainto_tsquery',
  'phraseto_tsquery',
  'websearch_to_tsquery',
])

export function isWord(name: string, argument: number, count: number): boolean {
  if (CONFIGURED.has(name)) return argument === 0 && count > 1
  const words = WORDS[name]
  return words !== undefined && (words === 'all' || words.includes(argument))
}

/** `SET app.customer = …` is the application's own and may name a person, and so may its name; the server's other settings are words. */
export function mayNameSomebody(setting: string): boolean {
  return setting.includes('.') || setting === 'application_name'
}

/** Functions whose words decide what the other arguments mean: where in JSON to look, which setting to change. */
export function isKey(name: string): boolean {
  return /^(jsonb?_(extract_path|set|insert|exists)|set_config$)/.test(name)
}

/** An argument that is a jsonpath. */
export function isJsonPath(name: string, argument: number): boolean {
  return argument === 1 && /^jsonb_path_/.test(name)
}

/** Argument pairs that name a key and its value: json_build_object and its kind. */
export function buildsObject(name: string): boolean {
  return name === 'json_build_object' || name === 'jsonb_build_object'
}

/** A row or an array becomes JSON with the same values inside. */
export function becomesJson(name: string): 'value' | 'list' | null {
  if (/^(row_to_json|to_jsonb?|array_to_json)$/.test(name)) return 'value'
  return /^jsonb?_agg(_strict)?$/.test(name) ? 'list' : null
}
