/**
 * AWS CloudTrail's records of a store: management events of Secrets Manager from the region's event history.
 * docs/aws.md lists the required rights and what is missing from the history.
 *
 * Events are looked up by their source and filtered here. A lookup accepts only one attribute, and a lookup by
 * ResourceName finds only events whose resources CloudTrail has recorded, by name or ARN depending on what the caller
 * wrote. Sources: https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html,
 * https://docs.aws.amazon.com/secretsmanager/latest/userguide/cloudtrail_log_entries.html
 */
import type { AuditAction, AuditEvent } from '../../core/audit/record.ts';
import { SecretsError, toSecretsError } from '../../core/errors.ts';
import { sleep } from '../../core/waiting.ts';
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
import { nextPage, understood } from './errors.ts';
import type { AwsService } from './service.ts';
import { nameInArn, type NamedSecret, TrailNames } from './trail-names.ts';

const SOURCE = 'secretsmanager.amazonaws.com';
/** How long the event history is kept. */
const KEPT_DAYS = 90;
const DELAY_MINUTES = 15;
/** An account may make two lookups a second in a region; slightly slower, because clocks differ. */
const PACE_MS = 520;
/** The maximum page size. */
const PAGE = 50;

const ACTIONS: Readonly<Record<string, AuditAction>> = {
  GetSecretValue: 'read',
  ListSecrets: 'list',
  DescribeSecret: 'describe',
  ListSecretVersionIds: 'describe',
  GetResourcePolicy: 'describe',
  CreateSecret: 'write',
  PutSecretValue: 'write',
  UpdateSecret: 'write',
  UpdateSecretVersionStage: 'promote',
  TagResource: 'label',
  UntagResource: 'label',
  DeleteSecret: 'delete',
  RestoreSecret: 'restore',
  StartSecretVersionDelete: 'delete',
  CancelSecretVersionDelete: 'restore',
  EndSecretVersionDelete: 'purge',
  RotateSecret: 'rotate',
  CancelRotateSecret: 'rotate',
  RotationStarted: 'rotate',
  RotationSucceeded: 'rotate',
  RotationFailed: 'rotate',
  RotationAbandoned: 'rotate',
  PutResourcePolicy: 'access',
  DeleteResourcePolicy: 'access',
};

export interface TrailSettings {
  readonly prefix: string;
  readonly context: Pick<ProviderContext, 'store' | 'warn' | 'now' | 'progress'>;
}

export async function* readTrail(
  service: AwsService,
  { prefix, context }: TrailSettings,
  query: TrailQuery,
  { signal }: CallOptions,
): AsyncIterable<AuditEvent> {
  checkPeriod(query);
  const { warn } = context;
  const now = context.now();
  const oldest = new Date(now.getTime() - KEPT_DAYS * 86_400_000);
  if (query.since < oldest)
    warn(
      `CloudTrail’s event history goes back ${KEPT_DAYS} days: nothing before ${oldest.toISOString()} is shown`,
    );
  warnOfDelay(warn, 'CloudTrail', DELAY_MINUTES, query.until, now);
  if (query.until < oldest) return;
  const since = query.since < oldest ? oldest : query.since;

  const { name } = query;
  const wantedId = name === undefined ? name : prefix + name;
  const names = new TrailNames(() => listSecrets(service, wantedId, warn, signal));
  const wanted = wantedId === undefined ? undefined : await names.resolve(wantedId);
  const isOurs = ({ account, name: found }: NamedSecret, own: string | undefined): boolean => {
    // The caller's trail also contains calls for secrets of other accounts.
    if (account !== undefined && own !== undefined && account !== own && account !== wanted?.account)
      return false;
    if (wanted === undefined) return found.startsWith(prefix);
    const isSameAccount = wanted.account === undefined || wanted.account === (account ?? own);
    return found === wanted.name && isSameAccount;
  };

  for await (const page of lookUp(service, { since, until: query.until }, context, signal))
    for (const entry of page) {
      const found = parse(entry);
      if (!isWithin(found.time, query)) continue;
      const base = describe(found, context.store);
      if (found.ids.length === 0) {
        if (wanted === undefined) yield eventOf(base);
        continue;
      }
      for (const id of found.ids) {
        const resolved = await names.resolve(id);
        if (!isOurs(resolved, found.account)) continue;
        yield eventOf({ ...base, secret: name ?? resolved.name.slice(prefix.length) });
      }
    }
}

/** The used fields of one CloudTrail event. */
interface Found {
  readonly time: string;
  readonly event: Fields;
  readonly name: string;
  /** The secrets' ids, as the caller wrote them. */
  readonly ids: readonly string[];
  /** The account that the trail belongs to. */
  readonly account: string | undefined;
}

/** @throws SecretsError Unavailable if it isn't a CloudTrail event */
function parse(entry: unknown): Found {
  let event: Fields;
  try {
    event = fieldsOf(JSON.parse(String(fieldsOf(entry)['CloudTrailEvent'])));
  } catch {
    event = {};
  }
  const time = timeOf(event['eventTime']);
  const name = textOf(event['eventName']);
  understood(time !== undefined && name !== undefined);
  const asked = fieldsOf(event['requestParameters']);
  const more = fieldsOf(event['additionalEventData']);
  const answered = fieldsOf(event['responseElements']);
  const account = textOf(event['recipientAccountId']);
  const arn = textOf(answered['arn']) ?? textOf(answered['aRN']);
  // A response about a secret of this account contains its name, whatever id was requested.
  const isOwn = arn === undefined || account === undefined || arn.split(':')[4] === account;
  const ids = [
    ...listOf(asked['secretIdList']),
    // The first one present: the response, the request, or a service's own action.
    [isOwn && answered['name'], asked['secretId'], asked['name'], arn, more['SecretId']].find(
      (id) => textOf(id) !== undefined,
    ),
  ].flatMap((id) => textOf(id) ?? []);
  return { time, event, name, ids: [...new Set(ids)], account };
}

function describe({ time, event, name }: Found, store: string): AuditEvent {
  const asked = fieldsOf(event['requestParameters']);
  const answered = fieldsOf(event['responseElements']);
  const more = fieldsOf(event['additionalEventData']);
  const error = textOf(event['errorCode']) ?? (name === 'RotationFailed' ? 'RotationFailed' : undefined);
  const isDenied = error !== undefined && /AccessDenied|Unauthorized/.test(error);
  return {
    time,
    origin: 'cloudtrail',
    action: actionOf(name, asked, error !== undefined),
    outcome: error === undefined ? 'allowed' : isDenied ? 'denied' : 'failed',
    error: isDenied ? 'Denied' : error === 'ResourceNotFoundException' ? 'NotFound' : error,
    actor: actorOf(fieldsOf(event['userIdentity']), event),
    store,
    provider: 'aws',
    version: [
      asked['versionId'],
      answered['versionId'],
      asked['moveToVersionId'],
      asked['clientRequestToken'],
      more['SecretVersionId'],
    ]
      .map(textOf)
      .find((version) => version !== undefined),
    address: textOf(event['sourceIPAddress']),
    client: textOf(event['userAgent']),
    requestId: textOf(event['requestID']),
  };
}

function actionOf(name: string, asked: Fields, failed: boolean): AuditAction {
  if (name === 'DeleteSecret' && asked['forceDeleteWithoutRecovery'] === true) return 'purge';
  // Each secret that a batch returns has its own GetSecretValue event; a refused one has none.
  if (name === 'BatchGetSecretValue') return failed ? 'read' : 'other';
  return Object.hasOwn(ACTIONS, name) ? (ACTIONS[name] as AuditAction) : 'other';
}

/** Source: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html */
function actorOf(identity: Fields, event: Fields): AuditEvent['actor'] {
  const invokedBy = textOf(identity['invokedBy']);
  const issuer = textOf(fieldsOf(fieldsOf(identity['sessionContext'])['sessionIssuer'])['arn']);
  const sources = [
    ...(issuer === undefined ? [] : [`role ${issuer}`]),
    ...(invokedBy === undefined ? [] : [`through ${invokedBy}`]),
  ];
  const principal =
    textOf(identity['arn']) ?? textOf(identity['userName']) ?? textOf(identity['principalId']) ?? invokedBy;
  const byItself = event['eventType'] === 'AwsServiceEvent' ? SOURCE : undefined;
  return {
    principal: principal ?? byItself ?? textOf(identity['type']),
    source: sources.length === 0 ? undefined : sources.join(', '),
  };
}

/** Pages of the region's event history, newest first, at the pace that AWS allows. */
async function* lookUp(
  service: AwsService,
  { since, until }: { readonly since: Date; readonly until: Date },
  { progress }: TrailSettings['context'],
  signal: AbortSignal,
): AsyncIterable<readonly unknown[]> {
  let token: string | undefined;
  let next = 0;
  let count = 0;
  do {
    const wait = next - performance.now();
    if (wait > 0) await sleep(wait, signal, true);
    next = performance.now() + PACE_MS;
    const page = await patiently(signal, () =>
      service.trail(signal, ({ sdk, client }, http) =>
        client.send(
          new sdk.LookupEventsCommand({
            LookupAttributes: [{ AttributeKey: 'EventSource', AttributeValue: SOURCE }],
            StartTime: since,
            EndTime: until,
            MaxResults: PAGE,
            ...(token !== undefined && { NextToken: token }),
          }),
          http,
        ),
      ),
    ).catch((thrown: unknown) => {
      throw refused(thrown);
    });
    const events: unknown = page.Events ?? [];
    understood(Array.isArray(events));
    token = nextPage(page.NextToken, token);
    count += events.length;
    progress?.(`${count} events of CloudTrail read`);
    yield events;
  } while (token !== undefined);
}

function refused(thrown: unknown): SecretsError {
  const { kind, message } = toSecretsError(thrown);
  if (kind === 'Denied')
    return new SecretsError(kind, message, {
      hint: 'its IAM policy must allow cloudtrail:LookupEvents on *',
      cause: thrown,
    });
  return toSecretsError(thrown);
}

/** Names and ARNs of the existing secrets; if one is wanted, only those that start with its name. */
async function* listSecrets(
  service: AwsService,
  wanted: string | undefined,
  warn: (message: string) => void,
  signal: AbortSignal,
): AsyncIterable<{ readonly arn: string; readonly name: string }> {
  let token: string | undefined;
  try {
    do {
      const page = await service.read(signal, ({ sdk, client }, http) =>
        client.send(
          new sdk.ListSecretsCommand({
            MaxResults: 100,
            IncludePlannedDeletion: true,
            ...(wanted !== undefined && { Filters: [{ Key: 'name', Values: [nameInArn(wanted)] }] }),
            ...(token !== undefined && { NextToken: token }),
          }),
          http,
        ),
      );
      understood(Array.isArray(page.SecretList));
      for (const { ARN: arn, Name: name } of page.SecretList)
        if (arn !== undefined && name !== undefined) yield { arn, name };
      token = nextPage(page.NextToken, token);
    } while (token !== undefined);
  } catch (thrown) {
    if (toSecretsError(thrown).kind !== 'Denied') throw thrown;
    warn(
      'without the right to list secrets, the name in an ARN is guessed: it is taken to end in six random characters',
    );
  }
}
