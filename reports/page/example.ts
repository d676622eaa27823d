/**
 * One discrepancy in full: statement, parameters, what each side answered, and the command that shows it by hand.
 * Used for the examples on the page and for those it unpacks later.
 */
import { clock, count, milliseconds } from '../format.js'
import type { Example } from '../model.js'
import { reproduceCommand } from '../reproduce-command.js'
import { captured, sqlBlocks, value } from './captured.js'
import { rowsTable } from './cells.js'
import { type Child, type Element, h } from './html.js'

export function exampleBody(example: Example, diffPath: string): Element[] {
  return [
    sqlBlocks(example),
    ...(example.parameters.length > 0 ? [parameters(example)] : []),
    ...(example.errorBefore || example.errorAfter ? [errors(example)] : []),
    ...(example.rows ? [rowsTable(example.rows)] : []),
    h(
      'div',
      { class: 'example-foot' },
      h('code', { class: 'command shell' }, reproduceCommand(diffPath, example.alertId)),
      h('button', { type: 'button', class: 'copy' }, 'Copy'),
    ),
  ]
}

/** What a line about a discrepancy opens to. */
export function exampleUnfolded(example: Example, diffPath: string): Element {
  return h(
    'div',
    { class: 'item-body' },
    h('p', { class: 'example-facts' }, exampleFacts(example)),
    exampleBody(example, diffPath),
  )
}

/** `at 0:42, V1 1.20 ms, V2 1.35 ms, trace 17/204`. */
export function exampleFacts(example: Example): Child {
  return [
    h('span', null, `at ${clock(example.offsetMs)}`),
    h('span', null, `V1 ${milliseconds(example.latencyMsBefore)}`),
    h('span', null, `V2 ${milliseconds(example.latencyMsAfter)}`),
    h('span', null, 'trace ', h('bdi', null, captured(example.traceId))),
  ]
}

function parameters(example: Example): Element {
  return h(
    'dl',
    { class: 'parameters' },
    example.parameters.map((parameter, i) =>
      h('div', null, h('dt', null, `$${i + 1}`), h('dd', null, value(parameter))),
    ),
    example.parametersMore > 0
      ? h('div', null, h('dt', null, '…'), h('dd', null, `${count(example.parametersMore)} more`))
      : null,
  )
}

function errors(example: Example): Element {
  const side = (label: string, cls: string, error: Example['errorBefore']) =>
    h(
      'div',
      { class: `answer ${error ? 'refused' : 'answered'}` },
      h('h5', null, h('span', { class: `tag ${cls}` }, label), error ? ' refused' : ' answered'),
      error
        ? h(
            'p',
            null,
            h('code', { class: 'sqlstate' }, captured(error.sqlstate)),
            ' ',
            h('bdi', null, captured(error.message)),
          )
        : h('p', { class: 'quiet' }, 'No error.'),
    )
  return h(
    'div',
    { class: 'answers' },
    side('V1', 'before', example.errorBefore),
    side('V2', 'after', example.errorAfter),
  )
}
