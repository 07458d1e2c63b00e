/**
 * Azure Monitor's records of a vault's secrets: Key Vault's audit events in a Log Analytics workspace. The vault's
 * diagnostic setting decides whether they are in the table AZKVAuditLogs (resource-specific), in AzureDiagnostics, or
 * in both. docs/azure.md lists the required rights and what is missing from the log. Sources:
 * https://learn.microsoft.com/azure/azure-monitor/reference/tables/azkvauditlogs,
 * https://learn.microsoft.com/azure/key-vault/general/logging
 */
import { bearerTokenAuthenticationPolicy } from '@azure/core-rest-pipeline';
import type { LogsQueryClient } from '@azure/monitor-query-logs';
import type { AuditEvent } from '../../core/audit/record.ts';
import { SecretsError } from '../../core/errors.ts';
import { checkPeriod } from '../../core/period.ts';
import type { CallOptions } from '../call.ts';
import type { ProviderContext } from '../descriptor.ts';
import type { TrailQuery } from '../capabilities/trail.ts';
import {
  eventOf,
  type Fields,
  fieldsOf,
  isWithin,
  patiently,
  textOf,
  timeOf,
  warnOfDelay,
} from '../trail.ts';
import { CLOUDS, type CloudName, cloudOfHost, VAULT_NAME } from './clouds.ts';
import { isSibling, type Names, PENDING_SUFFIX, siblingIfAny } from './names.ts';
import { PENDING_PREFIX } from './pending.ts';
import type { AzureService } from './service.ts';
import type { TrailSettings } from './settings.ts';
import { isCertificateError, makePipeline } from './transport.ts';
import { describe, targetOf } from './trail-entry.ts';
import { COLUMNS, queryOf } from './trail-query.ts';

const DELAY_MINUTES = 15;
const PAGE = 1000;
/** The maximum of rows with the same time that can be told apart; a page of them is a few MB. */
const LARGEST_PAGE = 8000;

export interface Reading {
  readonly trail: TrailSettings | undefined;
  readonly cloud: CloudName | undefined;
  readonly names: Names;
  readonly context: Pick<ProviderContext, 'store' | 'warn' | 'now' | 'progress'>;
}

export async function* readTrail(
  service: AzureService,
  { trail, cloud, names, context }: Reading,
  query: TrailQuery,
  { signal }: CallOptions,
): AsyncIterable<AuditEvent> {
  checkPeriod(query);
  if (trail === undefined)
    throw new SecretsError('Usage', 'the store has no setting for its vault’s log', {
      hint: 'set trail.workspace to the id of the Log Analytics workspace',
    });
  const { warn, store } = context;
  const vault = vaultOf(service.vaultUrl);
  const wanted = query.name === undefined ? undefined : names.toAzure(query.name);
  const logs = await openLogs(service, trail, cloud ?? cloudOfHost(new URL(service.vaultUrl).hostname));
  warnOfDelay(warn, 'Azure Monitor', DELAY_MINUTES, query.until, context.now());
  const secrets = wanted === undefined ? undefined : [wanted, siblingIfAny(wanted) ?? wanted];
  const isNew = duplicateFilter();
  for await (const row of rows(service, logs, { vault, secrets, ...query }, context, signal)) {
    const time = timeOf(row['Time']);
    const operation = textOf(row['Operation']);
    if (time === undefined || operation === undefined) throw notARow();
    if (!isWithin(time, query) || !isNew(time, row)) continue;
    const { name, version } = targetOf(row, operation);
    if (secrets !== undefined && !secrets.some((one) => one.toLowerCase() === name?.toLowerCase())) continue;
    yield eventOf({
      ...describe(time, operation, row),
      store,
      secret: query.name ?? ourName(name, names),
      version: name !== undefined && isSibling(name) ? `${PENDING_PREFIX}${version ?? ''}` : version,
    });
  }
}

/**
 * Filters duplicates: a vault may send its log to both tables, so the nth of several equal entries in one table is the
 * same as the nth in the other. Entries have to be passed in the order of their times.
 */
function duplicateFilter(): (time: string, row: Fields) => boolean {
  let moment: string | undefined;
  let counts = new Map<string, number>();
  const count = (key: string): number => {
    const one = (counts.get(key) ?? 0) + 1;
    counts.set(key, one);
    return one;
  };
  return (time, row) => {
    if (time !== moment) counts = new Map();
    moment = time;
    const { Operation, Status, Correlation, Uri, Source } = row;
    const key = JSON.stringify([Operation, Status, Correlation, Uri]);
    if (count(`${key}${String(Source)}`) <= (counts.get(key) ?? 0)) return false;
    count(key);
    return true;
  };
}

/**
 * Our name for a secret, or for the secret whose pending version a sibling holds; Azure's name if no name of ours maps
 * to it.
 */
function ourName(name: string | undefined, names: Names): string | undefined {
  if (name === undefined) return undefined;
  const plain = isSibling(name) ? name.slice(0, -PENDING_SUFFIX.length) : name;
  return names.fromAzure(plain) ?? plain;
}

/**
 * The vault's name, which is globally unique. @throws SecretsError Usage for a server that isn't one of Azure's vaults
 */
function vaultOf(url: string): string {
  const [name = ''] = new URL(url).hostname.split('.');
  if (VAULT_NAME.test(name)) return name;
  throw new SecretsError('Usage', 'only Azure’s own vaults have a log', {
    hint: 'name the vault by its own URL',
  });
}

interface Logs {
  readonly client: LogsQueryClient;
  readonly workspace: string;
}

async function openLogs(
  service: AzureService,
  { workspace, endpoint }: TrailSettings,
  cloud: CloudName = 'public',
): Promise<Logs> {
  const { logs } = CLOUDS[cloud];
  const url = endpoint ?? logs;
  if (!URL.canParse(url) || new URL(url).protocol !== 'https:')
    throw new SecretsError('Usage', 'trail.endpoint must be an https URL', { hint: CLOUDS.public.logs });
  const { origin } = new URL(url);
  const { transport, signIn } = await service.reach(origin, isLogsAnswer);
  const scopes = [`${logs}/.default`];
  const pipeline = makePipeline();
  pipeline.addPolicy(bearerTokenAuthenticationPolicy({ credential: signIn, scopes }));
  const { LogsQueryClient: Client } = await import('@azure/monitor-query-logs');
  const client = new Client(signIn, {
    endpoint: `${origin}/v1`,
    credentials: { scopes },
    httpClient: transport,
    pipeline,
  } as ConstructorParameters<typeof Client>[1]);
  return { client, workspace };
}

/**
 * Whether a successful response has the form of a query result:
 * https://learn.microsoft.com/azure/azure-monitor/logs/api/response-format
 */
function isLogsAnswer(_request: unknown, _path: string, body: Fields): boolean {
  const isTable = (table: unknown): boolean => {
    const { columns, rows: all } = fieldsOf(table);
    return Array.isArray(columns) && Array.isArray(all) && all.every((row) => Array.isArray(row));
  };
  return Array.isArray(body['tables']) && body['tables'].every(isTable);
}

interface Asked {
  readonly vault: string;
  readonly secrets: readonly string[] | undefined;
  readonly since: Date;
  readonly until: Date;
}

/**
 * Rows, newest first. Queries have no pages: the next query ends at the time of the last row, and as many rows of
 * exactly that time are skipped as have already been returned.
 */
async function* rows(
  service: AzureService,
  logs: Logs,
  asked: Asked,
  { progress }: Reading['context'],
  signal: AbortSignal,
): AsyncIterable<Fields> {
  let until = asked.until.toISOString();
  let size = PAGE;
  let count = 0;
  /** The returned rows with the time `until`, and how often each occurred. */
  let given = new Map<string, number>();
  for (;;) {
    const text = queryOf({ ...asked, until, size });
    const timespan = { startTime: asked.since, endTime: new Date(Date.parse(until) + 1) };
    const { found, failure } = await patiently(signal, () =>
      service.ask(
        signal,
        (options) => ask(logs, text, timespan, options),
        (thrown, who) => refused(thrown, who, logs.workspace),
      ),
    );
    const left = new Map(given);
    const last = textOf(found.at(-1)?.['Time']);
    const next = new Map<string, number>();
    let fresh = 0;
    let before = comparable(until);
    for (const row of found) {
      const at = comparable(String(row['Time']));
      if (at > before) throw endless();
      before = at;
      const key = JSON.stringify(row);
      if (row['Time'] === last) next.set(key, (next.get(key) ?? 0) + 1);
      const again = left.get(key) ?? 0;
      if (again > 0) {
        left.set(key, again - 1);
        continue;
      }
      fresh += 1;
      yield row;
    }
    count += fresh;
    progress?.(`${count} entries of the vault’s log read`);
    if (failure !== undefined) throw failure;
    if (found.length < size) return;
    // A full page with a single time: request a larger page.
    if (fresh === 0 || last === until) size *= 2;
    if (last === undefined || size > LARGEST_PAGE) throw endless();
    until = last;
    given = next;
  }
}

/** A time with all its digits, so that texts sort like times. */
function comparable(time: string): string {
  return time.replace(/(?:\.(\d{1,7}))?Z$/, (_, fraction: string = '') => `.${fraction.padEnd(7, '0')}Z`);
}

function endless(): SecretsError {
  return new SecretsError('Unavailable', 'Azure Monitor returns the same entries repeatedly', {
    hint: 'ask for a shorter period',
  });
}

interface Page {
  readonly found: readonly Fields[];
  /** The reason why the result is incomplete. */
  readonly failure: SecretsError | undefined;
}

async function ask(
  { client, workspace }: Logs,
  text: string,
  timespan: { startTime: Date; endTime: Date },
  options: { abortSignal: AbortSignal },
): Promise<Page> {
  const answer = await client.queryWorkspace(workspace, text, timespan, options);
  const failed = 'partialError' in answer ? answer.partialError : undefined;
  const [table] = 'partialTables' in answer ? answer.partialTables : answer.tables;
  const columns = (table?.columnDescriptors ?? []).map(({ name }) => name);
  if (table !== undefined && !COLUMNS.every((column) => columns.includes(column))) throw notARow();
  const found = (table?.rows ?? []).map((row): Fields =>
    Object.fromEntries(row.map((value, index) => [columns[index] ?? '', value])),
  );
  if (failed === undefined) return { found, failure: undefined };
  const code = textOf(fieldsOf(failed)['code']) ?? '';
  return {
    found,
    failure: new SecretsError(
      'Unavailable',
      `Azure Monitor returned only part of the log (${code.slice(0, 60)})`,
      {
        hint: 'ask for a shorter period',
      },
    ),
  };
}

function notARow(): SecretsError {
  return new SecretsError('Unavailable', 'the response is not from Azure Monitor', {
    hint: 'check trail.endpoint and any proxy in between',
  });
}

/** Source: https://learn.microsoft.com/azure/azure-monitor/logs/api/errors */
function refused(thrown: unknown, who: string, workspace: string): SecretsError {
  if (thrown instanceof SecretsError) return thrown;
  const { statusCode, code, details } = thrown as { statusCode?: number; code?: string; details?: unknown };
  const error = fieldsOf(fieldsOf(details)['error']);
  const name = textOf(error['code']) ?? '';
  const fail = (kind: SecretsError['kind'], line: string, hint?: string): SecretsError =>
    new SecretsError(kind, line, { hint, cause: thrown });
  if (statusCode === 401 || /^(AuthenticationFailed|InvalidAuthenticationToken)/.test(name))
    return fail(
      'Unauthenticated',
      `Azure Monitor does not accept the token (${who})`,
      'is the workspace in the tenant that you sign in to?',
    );
  if (statusCode === 403)
    return fail(
      'Denied',
      `not allowed to read the workspace (${who})`,
      `grant it the role Log Analytics Reader on workspace ${workspace}`,
    );
  if (statusCode === 404)
    return fail(
      'Usage',
      `there is no Log Analytics workspace ${workspace}`,
      'trail.workspace is its id, a GUID',
    );
  if (statusCode === 400)
    return /failed to resolve/i.test(JSON.stringify(error))
      ? fail(
          'Usage',
          'no log of a key vault goes to this workspace',
          'give the vault a diagnostic setting that sends its audit logs there',
        )
      : fail('Failed', `Azure Monitor refuses the query (${name || 'status 400'})`);
  if (statusCode === 429) return fail('Throttled', 'Azure Monitor asks to slow down', 'try again later');
  if (statusCode === 504) return fail('Unavailable', 'the query took too long', 'ask for a shorter period');
  if (code !== undefined && isCertificateError(code))
    return fail(
      'Unavailable',
      `the certificate of Azure Monitor is not to be trusted (${code})`,
      'the store’s ca names the authority of a proxy that inspects TLS',
    );
  const why = statusCode === undefined ? (code ?? 'no answer') : `status ${statusCode}`;
  return fail(
    'Unavailable',
    `Azure Monitor can’t be reached or failed (${why})`,
    'check the network, and try again',
  );
}
