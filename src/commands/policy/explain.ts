import { realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import { EXIT_CODES, SecretsError } from '../../core/errors.ts';
import {
  actionFor,
  actionsOf,
  type CallKind,
  callsOf,
  isChange,
  type PolicyAction,
} from '../../core/policy/actions.ts';
import { nearest } from '../../core/reference/nearest.ts';
import { withoutStar } from '../../core/reference/reference.ts';
import { printTable } from '../../output/table.ts';
import { findProgram } from '../../platform/find-program.ts';
import { findPolicies } from '../../policy/find.ts';
import { Judge } from '../../policy/judge.ts';
import type { Decision } from '../../policy/policy.ts';
import type { CommonOptions } from '../../session/options.ts';
import { judgedStore } from '../../session/policies.ts';
import type { Target } from '../../session/resolver.ts';
import type { Session } from '../../session/session.ts';
import type { CommandModule, CommandSpec, Invocation, OptionSpec } from '../command.ts';
import { commonOptions } from '../common-options.ts';

interface ExplainOptions extends CommonOptions {
  readonly label?: readonly string[];
}

/** A command line, as far as decisions depend on it. */
interface Line {
  readonly verb: string;
  readonly references: readonly string[];
  /** The first of two sides, which the command leaves unchanged; the other one is written. */
  readonly source: string | undefined;
  /** It names none, and is about the whole default store. */
  readonly isStoreWide: boolean;
  readonly usesProject: boolean;
  readonly program: string | undefined;
  readonly reason: string | undefined;
}

interface Row {
  readonly reference: string;
  readonly action: PolicyAction;
  readonly decision: 'allow' | 'deny' | 'depends on labels';
  readonly policies: readonly string[];
  readonly why?: string | undefined;
}

export function explaining(commands: readonly CommandSpec[]): CommandModule {
  return {
    run: (session: Session, { args, options }: Invocation<never>) =>
      explain(session, readLine(commands, args), options),
  };
}

async function explain(session: Session, line: Line, options: ExplainOptions): Promise<number> {
  const { needs } = actionsOf(line.verb) ?? { needs: [] };
  const places = findPolicies(session.world, await session.config());
  if (places.length === 0 || needs.length === 0) {
    const why = places.length === 0 ? 'no policy file is in use' : `${line.verb} asks no store for a secret`;
    if (options.json === true) await session.printJson([]);
    else session.note(`allowed: ${why}`);
    return 0;
  }
  const { output, world } = session;
  const facts = {
    command: line.verb,
    program: line.program === undefined ? undefined : programOf(session, line.program),
    reason: line.reason ?? session.stores.records.reason(),
    terminal: output.canAsk,
  };
  const judge = Judge.load(world, places, () => facts);
  const rows: Row[] = [];
  let isDenied = false;
  for (const reference of await referencesOf(session, line)) {
    const { text, store: inStore, name, native } = await placeOf(session, reference);
    const store = judgedStore(await session.storeConfig(inStore), native);
    const isSource = reference === line.source;
    const isFor = new Set([
      needs[0],
      ...(line.source === undefined || isSource ? [] : ['write']),
      // What is below a prefix is listed first.
      ...(name.endsWith('/') ? ['list'] : []),
    ]);
    for (const call of callsOf(line.verb)) {
      // Only prefixes and stores are listed.
      if (call === 'list' && needs[0] !== 'list' && name !== '' && !name.endsWith('/')) continue;
      if (isSource && isChange(call)) continue;
      const row = rowFor(judge, line.verb, text, { store, call, name }, options.label);
      isDenied ||= row.decision === 'deny' && isFor.has(row.action);
      rows.push(row);
    }
  }
  if (rows.length === 0)
    throw new SecretsError('Usage', `${line.verb} names no secret here`, {
      hint: 'write the command line as you would run it',
    });
  await print(session, rows, options);
  return isDenied ? EXIT_CODES.Policy : 0;
}

interface Place {
  readonly text: string;
  readonly store: string;
  /** Empty: the whole store. */
  readonly name: string;
  readonly native: Target['native'];
}

async function placeOf(session: Session, text: string): Promise<Place> {
  if (text.endsWith('://')) return { text, store: text.slice(0, -3), name: '', native: undefined };
  const target = await session.target(text, false);
  return { text: target.text, store: target.store, name: target.reference.name, native: target.native };
}

function rowFor(
  judge: Judge,
  verb: string,
  reference: string,
  {
    store,
    call,
    name,
  }: { readonly store: ReturnType<typeof judgedStore>; readonly call: CallKind; readonly name: string },
  labels: readonly string[] | undefined,
): Row {
  const action = actionFor(verb, call);
  const named = name === '' ? undefined : name;
  if (labels === undefined && judge.needsLabels(store, call, named))
    return { reference, action, decision: 'depends on labels', policies: [], why: 'give them with --label' };
  const { allowed, policies, why }: Decision = judge.decide(store, call, named, labelsOf(labels));
  return { reference, action, decision: allowed ? 'allow' : 'deny', policies, why };
}

function labelsOf(texts: readonly string[] | undefined): Readonly<Record<string, string>> | undefined {
  if (texts === undefined) return undefined;
  return Object.fromEntries(
    texts.map((text) => {
      const at = text.indexOf('=');
      if (at < 1) throw new SecretsError('Usage', `--label ${text.slice(0, 64)}: write KEY=VALUE`);
      return [text.slice(0, at), text.slice(at + 1)];
    }),
  );
}

async function referencesOf(session: Session, line: Line): Promise<readonly string[]> {
  if (line.isStoreWide) return [`${await session.defaultStore()}://`];
  if (!line.usesProject) return line.references;
  const { env } = await session.config();
  const own = [...env.values()].flatMap((entry) => (entry.kind === 'ref' ? [entry.ref] : []));
  return [...new Set([...line.references, ...own])];
}

async function print(session: Session, rows: readonly Row[], { json }: CommonOptions): Promise<void> {
  if (json === true) return session.printJson(rows);
  await printTable(
    session,
    ['DECISION', 'ACTION', 'REFERENCE', 'POLICIES'],
    rows.map(({ decision, action, reference, policies, why }) => [
      decision,
      action,
      reference,
      why ?? policies.join(' '),
    ]),
  );
}

/** As exec finds it. */
function programOf({ world }: Session, command: string): string {
  const file = findProgram(command, world.env['PATH'], world.cwd);
  return typeof file === 'string' ? realpathSync(resolve(world.cwd, file)) : command;
}

/** The secret that an option's value names, by what its spec calls the value. */
function namedBy({ flags }: OptionSpec, value: string): string | undefined {
  if (flags.includes('<name=ref>')) return value.slice(value.indexOf('=') + 1);
  return flags.includes('<ref>') ? withoutStar(value) : undefined;
}

/** Arguments that name secrets, prefixes or stores, by what a spec calls them. */
const NAMING: ReadonlySet<string> = new Set([
  'ref',
  'source',
  'target',
  'a',
  'b',
  'prefix',
  'ref|store',
  'store',
]);

/** The references among the arguments, with the store of those that name none. */
function argumentsOf(
  { args = [] }: CommandSpec,
  words: readonly string[],
  store: string | undefined,
): readonly string[] {
  return words.flatMap((word, index) => {
    const arg = args[index] ?? args.findLast(({ name }) => name.includes('...'));
    const name = arg?.name.replaceAll(/[<>[\].]/g, '') ?? '';
    if (!NAMING.has(name)) return [];
    if (word.includes('://') || word.startsWith('arn:')) return [withoutStar(word)];
    if (name === 'store' || (name === 'ref|store' && !word.includes('/'))) return [`${word}://`];
    return [store === undefined ? withoutStar(word) : `${store}://${withoutStar(word)}`];
  });
}

/** Reads a command line by the spec of its command. @throws SecretsError Usage */
export function readLine(commands: readonly CommandSpec[], words: readonly string[]): Line {
  const [first = '', second = ''] = words;
  const noun = commandNamed(commands, first);
  const verb = noun.subcommands?.find(({ name, aliases }) => name === second || aliases?.includes(second));
  if (noun.load === undefined && verb === undefined)
    throw new SecretsError('Usage', `${noun.name} needs a verb`);
  const spec = verb ?? noun;
  const { positional, options } = split(spec, words.slice(verb === undefined ? 1 : 2));
  const isProgram = spec.passThrough === true;
  const named = options.flatMap(({ option, value = '' }) => namedBy(option, value) ?? []);
  const valueOf = (long: string): string | undefined =>
    options.findLast(({ option }) => option.flags.includes(`--${long} `))?.value;
  const store = valueOf('store');
  const given = isProgram ? [] : argumentsOf(spec, positional, store);
  // A command about a whole store that names none is about the default one.
  const isStoreWide =
    given.length === 0 && (spec.args ?? []).some(({ name }) => /^\[(prefix|store)\b/.test(name));
  return {
    verb: verb === undefined ? noun.name : `${noun.name} ${verb.name}`,
    source: spec.args?.[0]?.name === '<source>' ? given[0] : undefined,
    references: [...given, ...named, ...(isStoreWide && store !== undefined ? [`${store}://`] : [])],
    isStoreWide: isStoreWide && store === undefined,
    usesProject:
      (spec.name === 'exec' || spec.name === 'env') &&
      !options.some(({ option }) => option.flags === '--no-project'),
    program: isProgram ? positional[0] : undefined,
    reason: valueOf('reason'),
  };
}

function commandNamed(commands: readonly CommandSpec[], word: string): CommandSpec {
  const found = commands.find(({ name, aliases }) => name === word || aliases?.includes(word) === true);
  if (found !== undefined) return found;
  const near = nearest(
    word,
    commands.map(({ name }) => name),
  );
  throw new SecretsError('Usage', `no command is named ${word.slice(0, 64)}`, {
    hint: near === undefined ? 'see secrets help' : `did you mean ${near}?`,
  });
}

interface Split {
  readonly positional: readonly string[];
  readonly options: readonly { readonly option: OptionSpec; readonly value: string | undefined }[];
}

/** Separates options, with their values, from the rest. @throws SecretsError Usage for an unknown one */
function split(spec: CommandSpec, words: readonly string[]): Split {
  const all = [...(spec.options ?? []), ...commonOptions];
  const positional: string[] = [];
  const options: Split['options'][number][] = [];
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] as string;
    if (word === '--') return { positional: [...positional, ...words.slice(at + 1)], options };
    if (!word.startsWith('-') || word === '-') {
      // A program's own options come after its name.
      if (spec.passThrough === true) return { positional: words.slice(at), options };
      positional.push(word);
      continue;
    }
    const [flag = '', given] = word.startsWith('--') ? word.split(/=(.*)/s, 2) : [word];
    const option = all.find(({ flags }) => flags.split(/[ ,]+/).includes(flag));
    if (option === undefined)
      throw new SecretsError('Usage', `${spec.name} has no option ${flag.slice(0, 64)}`, {
        hint: `see secrets help ${spec.name}`,
      });
    const takes = /[<[]/.test(option.flags);
    if (takes && given === undefined) at += 1;
    options.push({ option, value: takes ? (given ?? words[at]) : undefined });
  }
  return { positional, options };
}
