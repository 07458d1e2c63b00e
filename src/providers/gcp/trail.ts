/**
 * Cloud Audit Logs' records of a store's secrets, read through Cloud Logging. docs/gcp.md lists the required rights and
 * what is missing from the logs. Sources: https://cloud.google.com/secret-manager/docs/audit-logging,
 * https://cloud.google.com/logging/docs/reference/v2/rest/v2/entries/list,
 * https://cloud.google.com/logging/docs/reference/audit/auditlog/rest/Shared.Types/AuditLog
 */
import type { AuditAction, AuditEvent } from '../../core/audit/record.ts';
import { SecretsError, toSecretsError } from '../../core/errors.ts';
import { checkPeriod } from '../../core/period.ts';
import type { CallOptions } from '../call.ts';
import type { ProviderContext } from '../descriptor.ts';
import type { TrailQuery } from '../capabilities/trail.ts';
import {
  eventOf,
  type Fields,
  fieldsOf,
  isWithin,
  listOf,
  patiently,
  textOf,
  timeOf,
  warnOfDelay,
} from '../trail.ts';
import { CODE } from './errors.ts';
import { isNumber, PENDING_SUFFIX, siblingOf } from './names.ts';
import type { GcpService, OtherService } from './service.ts';

const LOGGING: OtherService = { api: 'logging', title: 'Cloud Logging', method: 'entries.list' };
const PROJECTS: OtherService = {
  api: 'cloudresourcemanager',
  title: 'Cloud Resource Manager',
  method: 'projects.getIamPolicy',
};
const SERVICE = 'secretmanager.googleapis.com';
const DATA_ACCESS = 'cloudaudit.googleapis.com/data_access';
/** Also `policy`: requests that VPC Service Controls denied. */
const LOGS = [DATA_ACCESS, 'cloudaudit.googleapis.com/activity', 'cloudaudit.googleapis.com/policy'];
const PAGE = 500;
/** The maximum of consecutive pages without an entry: a service that never ends them is not Cloud Logging. */
const EMPTY_PAGES = 1000;
const DELAY_MINUTES = 5;

/** Methods of google.cloud.secretmanager.v1.SecretManagerService and its earlier versions. */
const ACTIONS: Readonly<Record<string, AuditAction>> = {
  AccessSecretVersion: 'read',
  ListSecrets: 'list',
  GetSecret: 'describe',
  GetSecretVersion: 'describe',
  ListSecretVersions: 'describe',
  GetIamPolicy: 'describe',
  TestIamPermissions: 'describe',
  CreateSecret: 'write',
  AddSecretVersion: 'write',
  UpdateSecret: 'label',
  DisableSecretVersion: 'delete',
  EnableSecretVersion: 'restore',
  DestroySecretVersion: 'purge',
  // Google deletes permanently.
  DeleteSecret: 'purge',
  SetIamPolicy: 'access',
};

export interface TrailSettings {
  readonly prefix: string;
  readonly location: string | undefined;
  readonly context: Pick<ProviderContext, 'store' | 'warn' | 'now' | 'progress'>;
}

export async function* readTrail(
  service: GcpService,
  { prefix, location, context }: TrailSettings,
  query: TrailQuery,
  { signal }: CallOptions,
): AsyncIterable<AuditEvent> {
  checkPeriod(query);
  const { warn, store } = context;
  warnOfDelay(warn, 'Cloud Logging', DELAY_MINUTES, query.until, context.now());
  const project = await service.project(signal);
  const wanted = query.name === undefined ? undefined : prefix + query.name;
  const place = { location, wanted, prefix };
  let dataAccess = false;
  for await (const page of entries(service, project, filterOf(LOGS, query, place), context, signal)) {
    for (const entry of page) {
      const fields = fieldsOf(entry);
      const logged = fieldsOf(fields['protoPayload']);
      const time = timeOf(fields['timestamp']);
      const method = textOf(logged['methodName']);
      if (time === undefined || method === undefined) throw notAnEntry();
      dataAccess ||= String(fields['logName']).endsWith(encodeURIComponent(DATA_ACCESS));
      const target = targetOf(logged);
      if (!isWithin(time, query) || !isOurs(target, place)) continue;
      const id =
        target.id?.endsWith(PENDING_SUFFIX) === true ? target.id.slice(0, -PENDING_SUFFIX.length) : target.id;
      yield eventOf({
        ...describe(time, method, logged),
        store,
        secret: id?.slice(prefix.length),
        // The log doesn't say which pending value it was, only that it isn't one of the secret's own versions.
        version: id === target.id ? target.version : 'pending',
        requestId: textOf(fields['insertId']),
      });
    }
  }
  await warnOfGaps(service, project, query, dataAccess, context, signal);
}

/**
 * A quoted string in the query language:
 * https://cloud.google.com/logging/docs/view/logging-query-language#comparison-operators
 */
export function quoted(text: string): string {
  if (/[\u0000-\u001f\u007f]/.test(text))
    throw new SecretsError('Invalid', 'a name holds control characters');
  return `"${text.replaceAll(/[\\"]/g, String.raw`\$&`)}"`;
}

/** Escapes a text for a regular expression (RE2). */
function literal(text: string): string {
  return text.replaceAll(/[^A-Za-z0-9_-]/g, String.raw`\$&`);
}

interface Place {
  readonly location: string | undefined;
  /** The id of the one requested secret. */
  readonly wanted: string | undefined;
  readonly prefix: string;
}

/** Names in the logs may contain the project's number instead of its id. */
function filterOf(
  logs: readonly string[],
  { since, until }: Pick<TrailQuery, 'since' | 'until'>,
  place?: Place,
): string {
  const terms = [
    `(${logs.map((log) => `log_id(${quoted(log)})`).join(' OR ')})`,
    `protoPayload.serviceName=${quoted(SERVICE)}`,
    `timestamp>=${quoted(since.toISOString())}`,
    `timestamp<=${quoted(until.toISOString())}`,
  ];
  if (place?.wanted !== undefined) {
    const { wanted, location } = place;
    const ids = [literal(wanted), literal(siblingIfAny(wanted) ?? wanted)].join('|');
    const parent = `^projects/[^/]+${location === undefined ? '' : `/locations/${literal(location)}`}`;
    terms.push(
      `(protoPayload.resourceName=~${quoted(`${parent}/secrets/(${ids})(/versions/[^/]+)?$`)} OR protoPayload.request.secretId=~${quoted(`^(${ids})$`)})`,
    );
  }
  return terms.join(' AND ');
}

function siblingIfAny(id: string): string | undefined {
  try {
    return siblingOf(id);
  } catch {
    return undefined;
  }
}

/** Pages of entries, newest first. */
async function* entries(
  service: GcpService,
  project: string,
  filter: string,
  { progress }: TrailSettings['context'],
  signal: AbortSignal,
  pageSize = PAGE,
): AsyncIterable<readonly unknown[]> {
  let pageToken: string | undefined;
  let count = 0;
  let empty = 0;
  do {
    const body = {
      resourceNames: [`projects/${project}`],
      filter,
      orderBy: 'timestamp desc',
      pageSize,
      ...(pageToken !== undefined && { pageToken }),
    };
    const page = await patiently(signal, () => service.ask(LOGGING, '/v2/entries:list', body, signal));
    const { entries: found = [], nextPageToken: next } = page;
    if (!Array.isArray(found) || (next !== undefined && typeof next !== 'string')) throw notAnEntry();
    empty = found.length === 0 ? empty + 1 : 0;
    if ((pageToken !== undefined && next === pageToken) || empty > EMPTY_PAGES)
      throw new SecretsError('Unavailable', 'Cloud Logging returns the same page of entries repeatedly');
    pageToken = next === '' ? undefined : next;
    count += found.length;
    progress?.(`${count} entries of the audit logs read`);
    yield found;
  } while (pageToken !== undefined);
}

function notAnEntry(): SecretsError {
  return new SecretsError('Unavailable', 'the response is not from Cloud Logging', {
    hint: 'check the endpoint and any proxy in between: secrets doctor',
  });
}

interface Target {
  readonly location: string | undefined;
  readonly id: string | undefined;
  readonly version: string | undefined;
}

function targetOf(logged: Fields): Target {
  const name = textOf(logged['resourceName']) ?? '';
  const request = fieldsOf(logged['request']);
  const [, location, id, version] =
    /^projects\/[^/]+(?:\/locations\/([^/]+))?(?:\/secrets\/([^/]+)(?:\/versions\/([^/]+))?)?$/.exec(name) ??
    [];
  // Only the response contains the number of an added version; for a request by `latest` or an alias, no entry has the
  // number.
  const [, answered] =
    /\/secrets\/[^/]+\/versions\/([^/]+)$/.exec(textOf(fieldsOf(logged['response'])['name']) ?? '') ?? [];
  const number = [version, answered].find((one) => one !== undefined && isNumber(one));
  return { location, id: id ?? textOf(request['secretId']), version: number };
}

function isOurs({ location, id }: Target, { location: wantedPlace, wanted, prefix }: Place): boolean {
  if (location !== wantedPlace) return false;
  if (id === undefined) return wanted === undefined;
  return wanted === undefined ? id.startsWith(prefix) : id === wanted || id === wanted + PENDING_SUFFIX;
}

function describe(time: string, method: string, logged: Fields): AuditEvent {
  const name = method.slice(method.lastIndexOf('.') + 1);
  const code = Number(fieldsOf(logged['status'])['code'] ?? 0);
  const refused = listOf(logged['authorizationInfo']).some((info) => fieldsOf(info)['granted'] === false);
  const isDenied =
    code === CODE.PERMISSION_DENIED || code === CODE.UNAUTHENTICATED || (code === 0 && refused);
  const request = fieldsOf(logged['requestMetadata']);
  return {
    time,
    origin: 'cloud-audit-logs',
    action: Object.hasOwn(ACTIONS, name) ? (ACTIONS[name] as AuditAction) : 'other',
    outcome: isDenied ? 'denied' : code === 0 ? 'allowed' : 'failed',
    error: isDenied ? 'Denied' : code === 0 ? undefined : errorName(code),
    actor: actorOf(fieldsOf(logged['authenticationInfo'])),
    provider: 'gcp',
    address: textOf(request['callerIp']),
    client: textOf(request['callerSuppliedUserAgent']),
  };
}

function errorName(code: number): string {
  if (code === CODE.NOT_FOUND) return 'NotFound';
  return Object.entries(CODE).find(([, known]) => known === code)?.[0] ?? `code ${code}`;
}

/** Source: https://cloud.google.com/logging/docs/reference/audit/auditlog/rest/Shared.Types/AuditLog#authenticationinfo */
function actorOf(who: Fields): AuditEvent['actor'] {
  const through = listOf(who['serviceAccountDelegationInfo']).flatMap((one) => {
    const info = fieldsOf(one);
    const first = textOf(fieldsOf(info['firstPartyPrincipal'])['principalEmail']);
    return first ?? textOf(info['principalSubject']) ?? [];
  });
  const key = /\/keys\/([^/]+)$/.exec(textOf(who['serviceAccountKeyName']) ?? '')?.[1];
  const sources = [
    ...(key === undefined ? [] : [`key ${key}`]),
    ...(through.length === 0 ? [] : [`impersonated by ${through.join(', by ')}`]),
  ];
  return {
    principal: textOf(who['principalEmail']) ?? textOf(who['principalSubject']),
    source: sources.length === 0 ? undefined : sources.join(', '),
  };
}

/** Reads are in the Data Access logs, which are off by default, so missing entries prove nothing then. */
async function warnOfGaps(
  service: GcpService,
  project: string,
  period: TrailQuery,
  seen: boolean,
  context: TrailSettings['context'],
  signal: AbortSignal,
): Promise<void> {
  const { warn } = context;
  const how = `switch DATA_READ on for ${SERVICE} in the audit configuration of project ${project}`;
  let config: { readonly on: boolean; readonly exempt: readonly string[] } | undefined;
  try {
    const body = { options: { requestedPolicyVersion: 3 } };
    const path = `/v1/projects/${encodeURIComponent(project)}:getIamPolicy`;
    config = configOf(await service.ask(PROJECTS, path, body, signal));
  } catch (thrown) {
    // This needs a separate right and an API that may be disabled; the logs themselves also show whether reads are
    // logged.
    if (signal.aborted) throw thrown;
    if (toSecretsError(thrown).kind === 'Unavailable') throw thrown;
  }
  if (config !== undefined && config.exempt.length > 0)
    warn(`reads by ${config.exempt.join(', ')} are not logged: the audit configuration exempts them`);
  if (seen || config?.on === true) return;
  // An organisation or a folder may have turned them on: other callers' entries exist then.
  for await (const page of entries(service, project, filterOf([DATA_ACCESS], period), context, signal, 1))
    if (page.length > 0) return;
  warn(
    config === undefined
      ? `no read of any secret is shown for this period: unless there was none, Data Access logs are off (${how}), or roles/logging.privateLogViewer is missing`
      : `Data Access logs are off, so that reads are not in the trail: ${how}`,
  );
}

/** Source: https://cloud.google.com/logging/docs/audit/configure-data-access#config-api */
function configOf(policy: Fields): { on: boolean; exempt: readonly string[] } {
  const configs = listOf(policy['auditConfigs'])
    .map(fieldsOf)
    .filter(({ service }) => service === 'allServices' || service === SERVICE)
    .flatMap(({ auditLogConfigs }) => listOf(auditLogConfigs).map(fieldsOf))
    .filter(({ logType }) => logType === 'DATA_READ');
  const exempt = configs.flatMap(({ exemptedMembers }) =>
    listOf(exemptedMembers).flatMap((one) => textOf(one) ?? []),
  );
  return { on: configs.length > 0, exempt: [...new Set(exempt)] };
}
