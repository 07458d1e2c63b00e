import { combineErrors, SecretsError, toSecretsError } from '../core/errors.ts';
import { inTurn } from '../core/in-turn.ts';
import { formatReference, isStoreName, withoutStar } from '../core/reference/reference.ts';
import { startProgress } from '../output/progress.ts';
import { jsonText, singleLine } from '../core/text/sanitize.ts';
import { secretJson } from '../output/shapes.ts';
import { printTable, shortDate } from '../output/table.ts';
import type { SecretInfo } from '../core/secret.ts';
import type { Session } from '../session/session.ts';
import { rememberNames } from './names-cache.ts';
import type { CommonOptions } from '../session/options.ts';
import type { Invocation } from './command.ts';
import { storeTitle } from './with-secret.ts';

interface ListOptions extends CommonOptions {
  readonly long?: boolean;
  readonly filter?: readonly string[];
  readonly deleted?: boolean;
  readonly allStores?: boolean;
}

/** For so long the lines of other stores wait for a store that is silent. */
const PATIENCE_MS = 2000;

export async function run(session: Session, { args, options }: Invocation<ListOptions>): Promise<void> {
  const config = await session.config();
  const { store, prefix } = await splitPrefix(args[0] ?? '', () =>
    options.allStores === true ? config.defaultStore : session.defaultStore(),
  );
  const names = options.allStores === true ? storesOf(config.stores) : [store];
  const filters = (options.filter ?? []).map(parseFilter);
  const rows: string[][] = [];
  const failures: (SecretsError | undefined)[] = names.map(() => undefined);
  const progress = startProgress(session);
  let count = 0;
  const show = async (info: SecretInfo, index: number): Promise<void> => {
    count += 1;
    const from = names[index] as string;
    const name = formatReference({ store: names.length > 1 ? from : undefined, name: info.name });
    if (options.json === true) await session.print(`${jsonText(secretJson(from, info))}\n`);
    else if (options.long === true) rows.push(longRow(name, info));
    else await session.print(`${singleLine(name)}\n`);
    progress.update(`${count} secrets`);
  };
  const sources = names.map(async function* (from, index) {
    try {
      yield* listed(session, from, { prefix, filters, options });
    } catch (thrown) {
      failures[index] = toSecretsError(thrown).forReference(`${from}://${prefix ?? ''}`);
    }
  });
  try {
    await inTurn({ sources, pass: show, patienceMs: PATIENCE_MS });
  } catch (thrown) {
    // Nobody reads what the other stores answer.
    session.run.abandonCalls();
    session.output.closeQuestions();
    throw thrown;
  }
  const errors = failures.filter((failure) => failure !== undefined);
  progress.done();
  rows.sort(([a = ''], [b = '']) => (a < b ? -1 : 1));
  if (rows.length > 0) await printTable(session, ['NAME', 'VERSION', 'UPDATED', 'EXPIRES', 'LABELS'], rows);
  if (errors.length > 0) throw combineErrors(errors, `${errors.length} of ${names.length} stores failed`);
}

interface Wanted {
  readonly prefix: string | undefined;
  readonly filters: readonly (readonly [string, string])[];
  readonly options: ListOptions;
}

/** The secrets of one store that pass every filter. */
async function* listed(
  session: Session,
  store: string,
  { prefix, filters, options }: Wanted,
): AsyncGenerator<SecretInfo> {
  const seen: string[] = [];
  session.asks(store, undefined, { name: prefix ?? '' });
  const provider = await session.open(store);
  if (filters.length > 0 && !provider.capabilities.has('labels'))
    throw new SecretsError('Unsupported', `${await storeTitle(session, store)} has no labels to filter by`, {
      hint: 'list by a prefix instead',
    });
  const details = options.long === true || filters.length > 0;
  for await (const info of provider.list({ prefix, deleted: options.deleted, details }, session.call())) {
    seen.push(formatReference({ name: info.name }));
    const { labels } = info;
    if (filters.every(([label, value]) => labels && Object.hasOwn(labels, label) && labels[label] === value))
      yield info;
  }
  if (prefix === undefined) rememberNames(session.world, store, seen);
}

function longRow(name: string, info: SecretInfo): string[] {
  const labels = Object.entries(info.labels ?? {}).map(([label, value]) => `${label}=${value}`);
  if (info.deletedAt !== undefined) labels.unshift(`(deleted ${shortDate(info.deletedAt)})`);
  return [
    name,
    info.currentVersion ?? '',
    shortDate(info.updatedAt),
    shortDate(info.expiresAt),
    labels.join(' '),
  ];
}

function parseFilter(text: string): [string, string] {
  const [, label, value] = /^(?:label:)?([^=]+)=(.*)$/s.exec(text) ?? [];
  if (label !== undefined && value !== undefined) return [label, value];
  throw new SecretsError('Usage', `${JSON.stringify(text)} is not a filter`, { hint: 'write LABEL=VALUE' });
}

async function splitPrefix(
  text: string,
  fallback: () => string | Promise<string>,
): Promise<{ store: string; prefix: string | undefined }> {
  const scheme = text.indexOf('://');
  const store = scheme === -1 ? await fallback() : text.slice(0, scheme);
  const prefix = withoutStar(scheme === -1 ? text : text.slice(scheme + 3));
  if (!isStoreName(store))
    throw new SecretsError('Usage', `${JSON.stringify(text)} does not start with the name of a store`);
  return { store, prefix: prefix === '' ? undefined : prefix };
}

/** The project's own stores, or the local one where there is no project. */
function storesOf(stores: ReadonlyMap<string, { readonly source: string }>): string[] {
  const own = [...stores].filter(([, { source }]) => source !== 'builtin').map(([name]) => name);
  return own.length > 0 ? own : ['local'];
}
