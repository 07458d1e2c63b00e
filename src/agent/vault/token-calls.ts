/** auth/token: who am I, a child, longer, no more. */
import { type Answer, envelope, failed, NO_CONTENT, NOT_ALLOWED } from './answers.ts';
import { goDuration, shortDuration } from './durations.ts';
import { type GoValue, goTime } from './go-json.ts';
import { type DoorRequest, field } from './request.ts';
import { DEFAULT_POLICY } from './scope.ts';
import { DEFAULT_TTL, MAX_TTL, type NewToken, type Token, type Tokens } from './tokens.ts';

export function tokenCall(request: DoorRequest, tokens: Tokens): Answer {
  const { path, method } = request;
  const isWrite = method === 'POST' || method === 'PUT';
  if (path === 'auth/token/lookup-self' && method === 'GET') return lookup(request, tokens);
  if (path === 'auth/token/renew-self' && isWrite) return renew(request, tokens);
  if (path === 'auth/token/revoke-self' && isWrite) {
    tokens.revoke(request.token);
    return NO_CONTENT;
  }
  if (path === 'auth/token/create' && isWrite) return create(request, tokens);
  return NOT_ALLOWED;
}

function lookup({ token, secret }: DoorRequest, tokens: Tokens): Answer {
  const { expiresAt, createdAt, renewedAt } = token;
  const data = new Map<string, GoValue>([
    ['accessor', token.accessor],
    ['creation_time', Math.floor(createdAt / 1000)],
    ['creation_ttl', token.ttl ?? 0],
    ['display_name', token.displayName],
    ['entity_id', ''],
    // Clients look for the key, also where there is no end.
    ['expire_time', expiresAt === undefined ? null : goTime(new Date(expiresAt))],
    ['explicit_max_ttl', token.explicitMaxTtl ?? 0],
    ['id', secret],
    ['issue_time', goTime(new Date(createdAt))],
    ['meta', token.meta ?? null],
    ['num_uses', token.usesLeft ?? 0],
    ['orphan', false],
    ['path', 'auth/token/create'],
    ['policies', token.policies],
    ['renewable', token.renewable ?? false],
    ['ttl', tokens.ttlOf(token)],
    ['type', 'service'],
  ]);
  if (renewedAt !== undefined) {
    data.set('last_renewal', goTime(new Date(renewedAt)));
    data.set('last_renewal_time', Math.floor(renewedAt / 1000));
  }
  return envelope(data, { mount: 'token' });
}

function renew({ token, secret, body }: DoorRequest, tokens: Tokens): Answer {
  const increment = field(body, 'increment');
  const wrong = 'Field validation failed: error converting input for field "increment":';
  const read = increment === undefined ? { seconds: 0 } : goDuration(increment);
  if ('error' in read) return failed(400, `${wrong} ${read.error}`);
  if (read.seconds < 0) return failed(400, `${wrong} cannot provide negative value '${read.seconds}'`);
  if (token.renewable !== true) return failed(400, 'lease is not renewable');
  const seconds = tokens.renew(token, read.seconds === 0 ? undefined : read.seconds);
  return envelope(null, { auth: authOf(token, secret, seconds), mount: 'token' });
}

function authOf(token: Token, secret: string, seconds: number): GoValue {
  return {
    client_token: secret,
    accessor: token.accessor,
    policies: token.policies,
    token_policies: token.policies,
    metadata: token.meta ?? null,
    lease_duration: seconds,
    renewable: token.renewable ?? false,
    entity_id: '',
    token_type: 'service',
    orphan: false,
    mfa_requirement: null,
    num_uses: token.uses ?? 0,
  };
}

/** A child of the token that asks. It can do what its parent can, or less, and ends with it. */
function create(request: DoorRequest, tokens: Tokens): Answer {
  const { token: parent, body } = request;
  if (!parent.rights.mayMakeTokens) return NOT_ALLOWED;
  // Its children would have no such limit.
  if ((parent.uses ?? 0) > 0) return failed(400, 'restricted use token cannot generate child tokens');
  if (!tokens.mayHaveChildren(parent)) return failed(400, 'too many tokens follow from one another');
  const wanted = wantedToken(request);
  if (typeof wanted === 'string') return failed(400, wanted);
  const { ttl, warnings } = ttlOf(field(body, 'ttl') ?? field(body, 'lease'), wanted.explicitMaxTtl ?? 0);
  if (ttl === undefined) return failed(400, warnings[0] ?? '');
  const made = tokens.issue({ ...wanted, ttl });
  if (made === undefined) return failed(503, 'too many tokens: revoke those that are not needed');
  return envelope(null, {
    auth: authOf(made.token, made.secret, ttl),
    mount: 'token',
    warnings: warnings.length === 0 ? undefined : warnings,
  });
}

/** What only Vault's root may ask for, or what this door doesn't have. */
const REFUSED: Readonly<Record<string, string>> = {
  id: 'root or sudo privileges required to specify token id',
  no_parent: 'root or sudo privileges required to create orphan token',
  entity_alias: 'entity aliases are not supported by secrets agent',
};

function wantedToken({ token: parent, body }: DoorRequest): NewToken | string {
  for (const [name, message] of Object.entries(REFUSED)) {
    const value = field(body, name);
    if (value !== undefined && value !== false && value !== '' && value !== 0) return message;
  }
  const period = wrongPeriod(field(body, 'period'));
  if (period !== undefined) return period;
  const type = field(body, 'type') ?? 'service';
  if (type === 'batch') return 'batch tokens are not supported by secrets agent';
  if (type !== 'service' && type !== 'default' && type !== '') return "invalid 'token_type' value";
  const policies = childPolicies(parent, field(body, 'policies'), field(body, 'no_default_policy') === true);
  if (policies === undefined) return 'child policies must be subset of parent';
  const meta = metaOf(field(body, 'meta'));
  if (typeof meta === 'string') return meta;
  const longest = goDuration(field(body, 'explicit_max_ttl') ?? 0);
  if ('error' in longest) return longest.error;
  if (longest.seconds < 0) return 'explicit_max_ttl must be positive';
  const uses = Number(field(body, 'num_uses') ?? 0);
  if (!Number.isSafeInteger(uses) || uses < 0) return 'number of uses cannot be negative';
  const name = String(field(body, 'display_name') ?? '').slice(0, 100);
  return {
    scope: parent.scope,
    policies,
    displayName: name === '' ? 'token' : `token-${name.replaceAll(/[^a-zA-Z0-9-]/g, '-').replace(/-$/, '')}`,
    explicitMaxTtl: longest.seconds,
    renewable: !['false', 'f', '0', ''].includes(String(field(body, 'renewable') ?? true).toLowerCase()),
    uses,
    meta,
    parent,
  };
}

/** What is wrong with a period. Vault's command line always sends one, `0s` by default, which is none. */
function wrongPeriod(asked: unknown): string | undefined {
  const period = goDuration(asked ?? 0);
  if ('error' in period) return period.error;
  if (period.seconds < 0) return 'period must be positive';
  return period.seconds > 0 ? 'root or sudo privileges required to create periodic token' : undefined;
}

function childPolicies(parent: Token, asked: unknown, noDefault: boolean): readonly string[] | undefined {
  const texts = typeof asked === 'string' ? [asked] : (asked ?? []);
  if (!Array.isArray(texts)) return undefined;
  const names = texts.map((text: unknown) => String(text).trim().toLowerCase()).filter((text) => text !== '');
  if (names.length === 0) return parent.policies;
  if (!names.every((name) => parent.policies.includes(name))) return undefined;
  const all = noDefault ? names : [...names, DEFAULT_POLICY];
  return [...new Set(all)].toSorted((one, other) => (one < other ? -1 : 1));
}

function metaOf(meta: unknown): ReadonlyMap<string, string> | undefined | string {
  if (meta === undefined) return undefined;
  const wrong = 'Field validation failed: error converting input for field "meta":';
  if (typeof meta !== 'object' || meta === null || Array.isArray(meta)) return `${wrong} it must be a map`;
  const entries = Object.entries(meta).map(([key, value]): readonly [string, string] => [key, String(value)]);
  if (entries.length > 64 || JSON.stringify(entries).length > 4096) return `${wrong} it is too large`;
  return new Map(entries);
}

/** The life of a new token; without one, what is wrong is the only warning. */
function ttlOf(
  asked: unknown,
  explicitMax: number,
): { readonly ttl: number | undefined; readonly warnings: readonly string[] } {
  const read = goDuration(asked ?? 0);
  if ('error' in read) return { ttl: undefined, warnings: [read.error] };
  if (read.seconds < 0) return { ttl: undefined, warnings: ['ttl must be positive'] };
  const longest = explicitMax === 0 ? MAX_TTL : Math.min(explicitMax, MAX_TTL);
  if (read.seconds === 0) return { ttl: Math.min(DEFAULT_TTL, longest), warnings: [] };
  if (read.seconds <= longest) return { ttl: read.seconds, warnings: [] };
  const [had, has] = [shortDuration(read.seconds), shortDuration(longest)];
  return {
    ttl: longest,
    warnings: [`TTL of "${had}" exceeded the effective max_ttl of "${has}"; TTL value is capped accordingly`],
  };
}
