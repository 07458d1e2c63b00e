/** Converts an entry of Key Vault's log to an event. */
import type { AuditAction, AuditEvent } from '../../core/audit/record.ts';
import { type Fields, fieldsOf, textOf } from '../trail.ts';
import { principalOf } from './claims.ts';

/** Operations in Key Vault's log, in lower case: https://learn.microsoft.com/azure/key-vault/general/logging#interpret-your-key-vault-logs */
const ACTIONS: Readonly<Record<string, AuditAction>> = {
  secretget: 'read',
  // A backup is the encrypted value: anyone who has it can restore it in a vault of the same subscription and
  // geography.
  secretbackup: 'read',
  secretset: 'write',
  secretrestore: 'write',
  secretlist: 'list',
  secretlistdeleted: 'list',
  secretlistversions: 'describe',
  secretgetdeleted: 'describe',
  secretupdate: 'label',
  secretdelete: 'delete',
  secretrecover: 'restore',
  secretpurge: 'purge',
  vaultget: 'describe',
  vaultput: 'access',
  vaultpatch: 'access',
};
const ERRORS: Readonly<Record<number, string>> = {
  401: 'Unauthenticated',
  403: 'Denied',
  404: 'NotFound',
  409: 'Conflict',
  429: 'Throttled',
};

/** The secret and the version, by Azure's names. */
export function targetOf(
  row: Fields,
  operation: string,
): { name: string | undefined; version: string | undefined } {
  const parse = (value: unknown): readonly [string, string | undefined] | undefined => {
    const [, name, version] =
      /\/(?:deleted)?secrets\/([0-9A-Za-z-]{1,127})(?:\/([0-9a-fA-F]{32}))?(?:[/?]|$)/.exec(
        textOf(value) ?? '',
      ) ?? [];
    return name === undefined ? undefined : [name, version];
  };
  const byId = parse(row['Id']);
  // A restore's address names no secret.
  const byUri = /^secretrestore$/i.test(operation) ? undefined : parse(row['Uri']);
  const [name, version] = byUri ?? byId ?? [];
  // The id contains the version even if the newest one was requested.
  return {
    name,
    version: (
      version ?? (byId?.[0].toLowerCase() === name?.toLowerCase() ? byId?.[1] : undefined)
    )?.toLowerCase(),
  };
}

export function describe(time: string, operation: string, row: Fields): AuditEvent {
  const status = statusOf(row);
  const isDenied = status === 401 || status === 403;
  const failed = status === undefined || status >= 400;
  const name = operation.toLowerCase();
  return {
    time,
    origin: 'azure-monitor',
    action: Object.hasOwn(ACTIONS, name) ? (ACTIONS[name] as AuditAction) : 'other',
    outcome: isDenied ? 'denied' : failed ? 'failed' : 'allowed',
    error: failed ? (ERRORS[status ?? 0] ?? textOf(row['Result']) ?? 'unknown') : undefined,
    actor: actorOf(row['Claims']),
    provider: 'azure',
    address: textOf(row['Address']),
    client: textOf(row['Agent']),
    requestId: textOf(row['Correlation']),
  };
}

const SIGNATURES: Readonly<Record<string, number>> = {
  ok: 200,
  created: 201,
  accepted: 202,
  nocontent: 204,
  unauthorized: 401,
  forbidden: 403,
  notfound: 404,
  conflict: 409,
};

/** The HTTP status; older entries only have its name. */
function statusOf(row: Fields): number | undefined {
  const status = Number(row['Status']);
  if (Number.isInteger(status) && status >= 100) return status;
  const signature = (textOf(row['Result']) ?? '').toLowerCase().replaceAll(/\s/g, '');
  return Object.hasOwn(SIGNATURES, signature) ? SIGNATURES[signature] : undefined;
}

const OBJECT_ID = 'http://schemas.microsoft.com/identity/claims/objectidentifier';
const UPN = 'http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn';

/** The claims of the token: from the identity itself or from its `claim`. */
function actorOf(value: unknown): AuditEvent['actor'] {
  let parsed: Fields = {};
  try {
    parsed = fieldsOf(JSON.parse(textOf(value) ?? '{}'));
  } catch {
    // Cut off, or in another form: nothing is known then.
  }
  const claims = { ...parsed, ...fieldsOf(parsed['claim']) };
  const pick = (...keys: readonly string[]): string | undefined =>
    keys.map((key) => textOf(claims[key])).find((text) => text !== undefined);
  const known = {
    oid: pick('oid', OBJECT_ID),
    upn: pick('upn', UPN),
    unique_name: pick('unique_name'),
    appid: pick('appid', 'azp'),
  };
  if (Object.values(known).every((claim) => claim === undefined)) return {};
  const resource = pick('xms_mirid', 'xms_az_rid');
  return {
    principal: principalOf(known as Parameters<typeof principalOf>[0]),
    source: resource === undefined ? undefined : `managed identity of ${resource}`,
  };
}
