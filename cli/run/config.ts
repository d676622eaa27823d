/**
 * pgrehearse.yaml: everything `pgrehearse run` needs, in one file. Sections that carry the name of a command take that command's own
 * options (`max_rate` is `--max-rate`), as the command registered them, so that the two cannot drift apart.
 */
import type { Command, Option } from 'commander'
import { z } from 'zod'
import { EXIT, HarnessError } from '../../base/errors.js'
import { readYaml } from '../../reports/yaml.js'

type Scalar = string | number | boolean
/** Options of one command, by their names in the file. */
export type Section = Readonly<Record<string, Scalar | readonly Scalar[]>>

type SideConfig = {
  /** SQL files, folders of them, or commands; as in the file. */
  readonly migrate: readonly string[]
  /** `embedded`, or the URL of a server. */
  readonly server: string
}

export type RunConfig = {
  readonly recording: string
  readonly snapshot: string
  readonly out: string
  readonly serverBin?: string
  readonly v1: SideConfig
  readonly v2: SideConfig & { readonly mapping?: string }
  readonly noise: boolean
  /** Compare the recording with the baseline: how near its replay is to production. */
  readonly fidelity: boolean
  /** Look for personal values in what was recorded and made. */
  readonly audit: boolean
  readonly restore: Section
  /** Of each replay: what `replay` says, and what the replay's own section changes. */
  readonly baseline: Section
  readonly candidate: Section
  readonly compare: Section
  /** null: tables are not compared. */
  readonly verify: Section | null
  readonly report: Section
  readonly gate?: string
}

/** What `run` itself tells a command, and no file may. */
const OWNED: Readonly<Record<CommandName, readonly string[]>> = {
  restore: ['to', 'embedded', 'dataDir', 'serverBin', 'database', 'migrate', 'json'],
  replay: ['target', 'out', 'force', 'rewrite', 'role', 'json'],
  compare: ['noise', 'recording', 'fidelity', 'plansFrom', 'plansTo', 'out', 'explain', 'force', 'json'],
  verify: ['from', 'to', 'mapping', 'baseline', 'candidate', 'diff', 'json'],
  report: ['gate', 'compare', 'force'],
}

type CommandName = 'restore' | 'replay' | 'compare' | 'verify' | 'report'
export type Commands = Readonly<Record<CommandName, Command>>

const DEFAULT_OUT = 'rehearsal'
export const EMBEDDED = 'embedded'

/** `path` only names the file in messages; `env` is what `${NAME}` in a URL stands for. */
export function parseRunConfig(
  text: string,
  path: string,
  commands: Commands,
  env: Readonly<Record<string, string | undefined>>,
): RunConfig {
  const given = readYaml(text, path, schemaOf(commands), {
    code: 'RUN_CONFIG_INVALID',
    hint: 'Correct the file; docs/run.md lists every setting, and `pgrehearse init` writes a file to start from.',
  })
  const server = (own: string | undefined) => interpolated(own ?? given.server ?? EMBEDDED, path, env)
  const replay = given.replay ?? {}
  return {
    recording: given.recording,
    snapshot: given.snapshot,
    out: given.out ?? DEFAULT_OUT,
    ...(given.server_bin === undefined ? {} : { serverBin: given.server_bin }),
    v1: { migrate: listOf(given.v1?.migrate), server: server(given.v1?.server) },
    v2: {
      migrate: listOf(given.v2?.migrate),
      server: server(given.v2?.server),
      ...(given.v2?.mapping === undefined ? {} : { mapping: given.v2.mapping }),
    },
    noise: given.noise ?? true,
    fidelity: given.fidelity ?? true,
    audit: given.audit ?? true,
    restore: given.restore ?? {},
    baseline: { ...replay, ...given.baseline },
    candidate: { ...replay, ...given.candidate },
    compare: given.compare ?? {},
    verify: given.verify === false ? null : (given.verify ?? {}),
    report: withEnvironment(given.report ?? {}, ['alerts', 'postgres'], (url) => interpolated(url, path, env)),
    ...(given.gate === undefined ? {} : { gate: given.gate }),
  }
}

function schemaOf(commands: Commands) {
  const needed = (what: string) => z.string({ error: `is needed: ${what}` }).min(1)
  const migrate = z.union([z.string(), z.array(z.string())], { error: 'takes a path, a command, or a list of them' })
  const section = (name: CommandName) => sectionSchema(commands[name], OWNED[name])
  return z.strictObject({
    recording: needed('the folder that `record` made'),
    snapshot: needed('the folder that `snapshot take` made'),
    out: z.string().min(1).optional(),
    server: z.string().min(1).optional(),
    server_bin: z.string().min(1).optional(),
    v1: z.strictObject({ migrate: migrate.optional(), server: z.string().min(1).optional() }).optional(),
    v2: z
      .strictObject({
        migrate: migrate.optional(),
        mapping: z.string().min(1).optional(),
        server: z.string().min(1).optional(),
      })
      .optional(),
    noise: z.boolean().optional(),
    fidelity: z.boolean().optional(),
    audit: z.boolean().optional(),
    restore: section('restore').optional(),
    replay: section('replay').optional(),
    baseline: section('replay').optional(),
    candidate: section('replay').optional(),
    compare: section('compare').optional(),
    verify: z.union([z.literal(false), section('verify')]).optional(),
    report: section('report').optional(),
    gate: z.string().min(1).optional(),
  })
}

function sectionSchema(command: Command, owned: readonly string[]): z.ZodType<Section> {
  const shape: Record<string, z.ZodType> = {}
  for (const option of command.options) {
    if (!owned.includes(option.attributeName())) shape[keyOf(option)] = valueSchema(option).optional()
  }
  return z.strictObject(shape) as unknown as z.ZodType<Section>
}

function valueSchema(option: Option): z.ZodType {
  if (!option.required && !option.optional) return z.boolean({ error: 'takes true or false' })
  if (option.argChoices) return z.enum(option.argChoices as [string, ...string[]])
  const scalar = z.union([z.string(), z.number()])
  const repeatable = option.variadic || option.parseArg !== undefined
  return repeatable
    ? z.union([scalar, z.array(scalar)], { error: 'takes a text, or a list of them' })
    : z.union([scalar], { error: 'takes a text or a number' })
}

/** `--max-rate` is `max_rate`, `--no-socket` is `socket`. */
function keyOf(option: Option): string {
  const name = (option.long ?? '').slice(2)
  return (option.negate ? name.replace(/^no-/, '') : name).replaceAll('-', '_')
}

/** As the command would have been told by hand. */
export function toArguments(section: Section): string[] {
  return Object.entries(section).flatMap(([key, value]) => {
    const long = key.replaceAll('_', '-')
    if (value === true) return [`--${long}`]
    if (value === false) return long === 'socket' ? [`--no-${long}`] : []
    // With `=`, so that a value may begin with a dash.
    return (Array.isArray(value) ? value : [value]).map((one) => `--${long}=${one}`)
  })
}

function listOf(value: string | readonly string[] | undefined): readonly string[] {
  return value === undefined ? [] : typeof value === 'string' ? [value] : value
}

function withEnvironment(section: Section, names: readonly string[], fill: (text: string) => string): Section {
  const filled = Object.entries(section).filter(([name]) => names.includes(name))
  return { ...section, ...Object.fromEntries(filled.map(([name, value]) => [name, fill(String(value))])) }
}

/** Passwords do not belong in a file that is committed: `${SHADOW_URL}` is read from the environment. */
function interpolated(text: string, path: string, env: Readonly<Record<string, string | undefined>>): string {
  return text.replaceAll(/\$\{(\w+)\}/g, (_, name: string) => {
    const value = env[name]
    if (value !== undefined && value !== '') return value
    throw new HarnessError({
      code: 'RUN_CONFIG_INVALID',
      message: `cannot use ${path}`,
      detail: `\${${name}} stands in a URL, and the environment has no ${name}.`,
      hint: `Set ${name}, for instance to postgres://user@host:5432/postgres.`,
      exit: EXIT.usage,
    })
  })
}
