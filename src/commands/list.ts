import { combineErrors, SecretsError, toSecretsError } from '../core/errors.ts';
import { formatReference, isStoreName } from '../core/reference/reference.ts';
import { startProgress } from '../output/progress.ts';
import { jsonText, singleLine } from '../core/text/sanitize.ts';
import { secretJson } from '../output/shapes.ts';
import { printTable, shortDate } from '../output/table.ts';
import type { SecretInfo } from '../core/secret.ts';
import type { Session } from '../session/session.ts';
import { rememberNames } from './names-cache.ts';
import type { CommonOptions } from '../session/options.ts';
import type { Invocation } from './command.ts';
import { readerIsGone, storeTitle } from './with-secret.ts';

interface ListOptions extends CommonOptions {
  readonly long?: boolean;
  readonly filter?: readonly string[];
  readonly deleted?: boolean;
  readonly allStores?: boolean;
}

export async function run(session: Session, { args, options }: Invocation<ListOptions>): Promise<void> {
  const config = await session.config();
  const { store, prefix } = await splitPrefix(args[0] ?? '', () =>
    options.allStores === true ? config.defaultStore : session.defaultStore(),
  );
  const names = options.allStores === true ? storesOf(config.stores) : [store];
  const filters = (options.filter ?? []).map(parseFilter);
  const rows: string[][] = [];
  const errors: SecretsError[] = [];
  const progress = startProgress(session);
  let count = 0;
  const show = async (from: string, info: SecretInfo): Promise<void> => {
    if (
      !filters.every(
        ([label, value]) =>
          info.labels !== undefined && Object.hasOwn(info.labels, label) && info.labels[label] === value,
      )
    )
      return;
    count += 1;
    const name = formatReference({ store: names.length > 1 ? from : undefined, name: info.name });
    if (options.json === true) await session.print(`${jsonText(secretJson(from, info))}\n`);
    else if (options.long === true) rows.push(longRow(name, info));
    else await session.print(`${singleLine(name)}\n`);
    progress.update(`${count} secrets`);
  };
  for (const from of names) {
    const seen: string[] = [];
    try {
      session.asks(from, undefined, { name: prefix ?? '' });
      const provider = await session.open(from);
      if (filters.length > 0 && !provider.capabilities.has('labels')) {
        throw new SecretsError(
          'Unsupported',
          `${await storeTitle(session, from)} has no labels to filter by`,
          {
            hint: 'list by a prefix instead',
          },
        );
      }
      const details = options.long === true || filters.length > 0;
      for await (const info of provider.list({ prefix, deleted: options.deleted, details }, session.call())) {
        seen.push(formatReference({ name: info.name }));
        await show(from, info);
      }
      if (prefix === undefined) rememberNames(session.world, from, seen);
    } catch (thrown) {
      if (readerIsGone(thrown)) throw thrown;
      errors.push(toSecretsError(thrown).forReference(`${from}://${prefix ?? ''}`));
    }
  }
  progress.done();
  rows.sort(([a = ''], [b = '']) => (a < b ? -1 : 1));
  if (rows.length > 0) await printTable(session, ['NAME', 'VERSION', 'UPDATED', 'EXPIRES', 'LABELS'], rows);
  if (errors.length > 0) throw combineErrors(errors, `${errors.length} of ${names.length} stores failed`);
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
  // As for copy: `PREFIX*` is the prefix without its star.
  const prefix = (scheme === -1 ? text : text.slice(scheme + 3)).replace(/\*$/, '');
  if (!isStoreName(store))
    throw new SecretsError('Usage', `${JSON.stringify(text)} does not start with the name of a store`);
  return { store, prefix: prefix === '' ? undefined : prefix };
}

/** The project's own stores, or the local one where there is no project. */
function storesOf(stores: ReadonlyMap<string, { readonly source: string }>): string[] {
  const own = [...stores].filter(([, { source }]) => source !== 'builtin').map(([name]) => name);
  return own.length > 0 ? own : ['local'];
}
