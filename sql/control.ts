/**
 * Statements that steer a session instead of touching data: transactions, isolation, SQL-level prepared statements, cursors,
 * temporary tables, the search path.
 */
import type { Node, TransactionStmt } from 'libpg-query'
import type { Control, Isolation, Touch } from './touch.js'

export function controlOf(node: Node, reader: { touchOf(node: Node): Touch }): Control | null {
  if ('TransactionStmt' in node) return transaction(node.TransactionStmt)
  if ('VariableSetStmt' in node) {
    const { kind, name = '', args = [], is_local } = node.VariableSetStmt
    return setting(kind ?? '', name.toLowerCase(), args, is_local === true)
  }
  if ('PrepareStmt' in node && node.PrepareStmt.query) {
    return { kind: 'prepare', name: node.PrepareStmt.name ?? '', touch: reader.touchOf(node.PrepareStmt.query) }
  }
  if ('DeclareCursorStmt' in node) return { kind: 'declare', name: node.DeclareCursorStmt.portalname ?? '' }
  if ('FetchStmt' in node) return { kind: 'fetch', name: node.FetchStmt.portalname ?? '' }
  if ('ExecuteStmt' in node) return { kind: 'execute', name: node.ExecuteStmt.name ?? '' }
  const created =
    'CreateStmt' in node
      ? node.CreateStmt.relation
      : 'CreateTableAsStmt' in node
        ? node.CreateTableAsStmt.into?.rel
        : undefined
  if (created?.relpersistence === 't') return { kind: 'temporary', names: [created.relname ?? ''] }
  return null
}

function transaction({ kind, options = [], savepoint_name: name = '' }: TransactionStmt): Control {
  switch (kind) {
    case 'TRANS_STMT_BEGIN':
    case 'TRANS_STMT_START':
      return { kind: 'begin', isolation: isolationIn(options) }
    case 'TRANS_STMT_COMMIT':
    case 'TRANS_STMT_COMMIT_PREPARED':
    case 'TRANS_STMT_PREPARE':
      return { kind: 'commit' }
    case 'TRANS_STMT_ROLLBACK':
    case 'TRANS_STMT_ROLLBACK_PREPARED':
      return { kind: 'rollback' }
    case 'TRANS_STMT_RELEASE':
      return { kind: 'release', name }
    case 'TRANS_STMT_ROLLBACK_TO':
      return { kind: 'rollback to', name }
    default:
      return { kind: 'savepoint', name }
  }
}

function setting(kind: string, name: string, args: readonly Node[], isLocal: boolean): Control | null {
  if (kind === 'VAR_SET_MULTI') {
    const isolation = isolationIn(args)
    return isolation && { kind: 'isolation', isolation, scope: name === 'transaction' ? 'transaction' : 'session' }
  }
  if (name === 'search_path') {
    const path = kind === 'VAR_SET_VALUE' ? args.map(text).flatMap((part) => part.split(/\s*,\s*/)) : null
    return { kind: 'search path', path, local: isLocal }
  }
  if (name === 'transaction_isolation' || name === 'default_transaction_isolation') {
    const isolation = asIsolation(text(args[0]))
    return isolation && { kind: 'isolation', isolation, scope: name.startsWith('default') ? 'session' : 'transaction' }
  }
  return null
}

function isolationIn(options: readonly Node[]): Isolation | null {
  for (const option of options) {
    if ('DefElem' in option && option.DefElem.defname === 'transaction_isolation')
      return asIsolation(text(option.DefElem.arg))
  }
  return null
}

export function asIsolation(name: string): Isolation | null {
  const lower = name.toLowerCase()
  if (lower === 'repeatable read' || lower === 'serializable') return lower
  return lower === 'read committed' || lower === 'read uncommitted' ? 'read committed' : null
}

function text(node: Node | undefined): string {
  return node && 'A_Const' in node ? (node.A_Const.sval?.sval ?? '') : ''
}
