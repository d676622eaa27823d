/**
 * A stub: a function of the same name and type that does nothing, answers as if all had gone well, and counts its calls.
 *
 * It replaces the function in place, so views, triggers and other functions go on calling it. The count is a sequence: it
 * survives a rollback, as a mail that was sent would, and makes nobody wait. A read-only transaction cannot count.
 */
import { quoteIdentifier, quoteLiteral } from '../connect.js'
import { STUB_ANSWERS } from './door.js'

export const STUB_MARK = '-- stub by pgrehearse'

export type FunctionFacts = {
  readonly schema: string
  readonly name: string
  readonly extension: string | null
  readonly isProcedure: boolean
  /** As pg_get_function_arguments writes them, with defaults. */
  readonly argumentsText: string
  /** As pg_get_function_result writes it; null for a procedure. */
  readonly resultText: string | null
  /** The result's type: its name, category and kind in pg_type. */
  readonly type: string
  /** Quoted and qualified, for a cast. */
  readonly typeName: string
  readonly typeCategory: string
  readonly returnsSet: boolean
  readonly hasOutArguments: boolean
  /** Columns of a composite result, in order. */
  readonly columns: readonly { readonly name: string; readonly category: string }[]
}

/** `counter`: the sequence, quoted and qualified. */
export function stubSql(facts: FunctionFacts, counter: string): string {
  const kind = facts.isProcedure ? 'PROCEDURE' : 'FUNCTION'
  const returns = facts.resultText === null ? '' : ` RETURNS ${facts.resultText}`
  const body = `${STUB_MARK}
DECLARE
  pgrehearse_call bigint := 0;
BEGIN
  IF current_setting('transaction_read_only') = 'off' THEN
    pgrehearse_call := nextval(${quoteLiteral(counter)});
  END IF;
  ${answerOf(facts)}
END`
  return `CREATE OR REPLACE ${kind} ${quoteIdentifier(facts.schema)}.${quoteIdentifier(facts.name)}(${facts.argumentsText})${returns}
 LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS ${quoteLiteral(body)}`
}

function answerOf(facts: FunctionFacts): string {
  const { type, returnsSet, hasOutArguments, isProcedure } = facts
  if (type === 'trigger')
    return `IF TG_LEVEL = 'STATEMENT' THEN RETURN NULL; END IF;
  IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
  RETURN NEW;`
  if (returnsSet || hasOutArguments || isProcedure || type === 'void' || type === 'event_trigger') return 'RETURN;'
  return `RETURN ${neutralOf(facts)};`
}

function neutralOf({ schema, name, extension, type, typeName, typeCategory, columns }: FunctionFacts): string {
  const special = STUB_ANSWERS[`${extension ?? schema}.${name}`]
  if (special !== undefined) return special
  if (columns.length > 0) {
    // An answer to a request: everything went well, and there is nothing in it.
    const status = columns.findIndex((column) => /^status(_code)?$/.test(column.name) && column.category === 'N')
    return status < 0
      ? 'NULL'
      : `ROW(${columns.map((_, at) => (at === status ? '200' : 'NULL')).join(', ')})::${typeName}`
  }
  // Where a number names the request, each has its own.
  if (type === 'int8') return 'pgrehearse_call'
  return { B: 'true', N: '0', S: `'OK'` }[typeCategory] ?? 'NULL'
}
