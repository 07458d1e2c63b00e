/** What the real Vault and the door are asked; STORE is the name of the mount. */
import type { Asked } from './kit.ts';

/** The secrets that both have. KV version 1 has no versions, so the last of each is what it has. */
export const SECRETS: readonly (readonly [name: string, ...versions: readonly object[]])[] = [
  [
    'app/db',
    { password: 'first' },
    { password: 'hunter<2>&', user: 'ünï', z: 1, a: { y: 1.5, b: [1, true, null] } },
  ],
  [
    'app/odd',
    { u: '\u2028 é \u0001\b\f\u007f 😀 " \\ /\t\n\r', 'a<b': '', é: 'x', E: 'y', '10': 'ten', '9': 'nine' },
  ],
  ['app/deep/er/key', { k: 'v' }],
  ['app', { k: 'a secret and a folder' }],
  ['plain', { value: 'text' }],
  ['timed', { value: 'a', ttl: '1h' }],
  ['seconds', { value: 'a', ttl: 90 }],
  ['past/kept', { k: 'v' }],
  ['past/gone', { k: 'old' }, { k: 'new' }],
];
/** Deleted in both, after its last version was written. */
export const DELETED = 'past/gone';

export type Case = readonly [path: string, asked?: Asked];
export const get = (path: string): Case => [path];
export const list = (path: string): Case => [path, { method: 'LIST' }];
export const post = (path: string, body?: object | string): Case => [
  path,
  {
    method: 'POST',
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  },
];

export const READS: readonly Case[] = [
  ...[
    'app/db',
    'app/odd',
    'app/deep/er/key',
    'app',
    'plain',
    'nothing',
    DELETED,
    'app/db%2f',
    '%61pp/db',
  ].map((name) => get(`STORE/data/${name}`)),
  ...[
    '1',
    '2',
    '0',
    '',
    '-1',
    '3',
    'abc',
    '1.5',
    '0x1',
    '01',
    '%22',
    '99999999999999999999',
    '1&version=2',
  ].map((version) => get(`STORE/data/app/db?version=${version}`)),
  ...['app/db', 'app/odd', 'nothing', 'app/db?depth=1', 'app/db?version=1'].map((name) =>
    get(`STORE/subkeys/${name}`),
  ),
  ...['app/db', 'app/db/', 'plain', 'nothing', ''].map((name) => get(`STORE/metadata/${name}`)),
  ...['', 'app', 'app/', 'app/deep', 'app/deep/er/', 'nothing', 'app/db'].map((name) =>
    list(`STORE/metadata/${name}`),
  ),
  ...[
    '?list=true',
    'app?list=true',
    'app/?list=True',
    'app/?list=1',
    'app?list=yes',

    'none/?list=t',
  ].map((name) => get(`STORE/metadata/${name}`)),
  ...['', 'bogus', 'app/db', 'data', 'data/', 'data/app/db/', 'subkeys/'].map((name) => get(`STORE/${name}`)),
  get('STORE'),
  list('STORE'),
  list('STORE/'),
  list('STORE/data/app'),
  list('STORE/bogus'),
  ...['app/db', 'app/odd', 'plain', 'timed', 'seconds', 'nothing', 'app/db/', ''].map((name) =>
    get(`kv1/STORE/${name}`),
  ),
  list('kv1/STORE'),
  list('kv1/STORE/app'),
  list('kv1/STORE/nothing'),
  get('kv1/STORE/app?list=true'),
  ...['STORE/data/app/db', 'STORE/data/new', 'kv1/STORE/x', 'nomount/x'].map((path) =>
    post(path, { data: { a: 'b' } }),
  ),
  ...['DELETE', 'HEAD', 'OPTIONS', 'TRACE', 'SEARCH', 'PROPFIND'].map((method): Case => [
    'STORE/data/app/db',
    { method },
  ]),
  get('nomount/x'),
  get('kv1'),
  get('sys/nothing'),
  get('sys/mounts'),
  get('sys/internal/ui/mounts/'),
  ...['STORE', 'STORE/app/db', 'STORE/data/app/db', 'kv1/STORE/app/db', 'kv1', 'nomount/app'].map((path) =>
    get(`sys/internal/ui/mounts/${path}`),
  ),
  get('sys/health'),
  ['sys/health', { method: 'HEAD' }],
  post('sys/health'),
  get('sys/seal-status'),
  post('sys/seal-status'),
  ['sys/seal-status', { method: 'HEAD' }],
  get('sys/leader'),
  ['sys/leader', { method: 'HEAD' }],
  post('sys/leader'),
];

export const TOKENS: readonly Case[] = [
  get('auth/token/lookup-self'),
  ...['lookup-self', 'lookup', 'create-orphan', 'create/role', 'revoke', 'renew'].map((path) =>
    post(`auth/token/${path}`, {}),
  ),
  get('auth/token/create'),
  get('auth/token/renew-self'),
  get('auth/token/revoke-self'),
  post('auth/approle/login', {}),
  post('auth/token/create', {
    display_name: 'terraform',
    ttl: '1200s',
    explicit_max_ttl: '1200s',
    renewable: false,
  }),
  ...[1200, '1200', '9h', '1h30m', '0.5h', 'abc', -5, '-1h'].map((ttl) => post('auth/token/create', { ttl })),
  post('auth/token/create', { ttl: '9h', explicit_max_ttl: '1h' }),
  post('auth/token/create', { ttl: '1h', renewable: 'false', num_uses: 3 }),
  ...[['root'], ['default'], ['secrets-read'], 'secrets-read,default', ['other', 'default']].map((policies) =>
    post('auth/token/create', { policies, ttl: '1h' }),
  ),
  post('auth/token/create', { policies: ['secrets-read'], no_default_policy: true, ttl: '1h' }),
  post('auth/token/create', { ttl: '1h', meta: { b: '1', a: '2' }, display_name: 'we ird/name!' }),
  ...[{ id: 'x' }, { no_parent: true }, { period: '1h' }, { type: 'nope' }].map((body) =>
    post('auth/token/create', body),
  ),
  // As Vault's command line asks.
  post('auth/token/create', {
    ttl: '1h',
    period: '0s',
    explicit_max_ttl: '0s',
    num_uses: 0,
    no_parent: false,
  }),
  ...['', 0, '0', 'abc', '-1h'].map((period) => post('auth/token/create', { ttl: '1h', period })),
  post('auth/token/renew-self'),
  post('auth/token/renew-self', { increment: '60s' }),
  post('auth/token/renew-self', { increment: 'xx' }),
  post('auth/token/renew-self', { increment: -5 }),
  post('auth/token/renew-self', { increment: '3600s' }),
  ...['renew', 'revoke', 'lookup'].flatMap((call) => [
    post(`sys/leases/${call}`, { lease_id: 'x' }),
    post(`sys/leases/${call}`, {}),
  ]),
  get('sys/capabilities-self'),
  post('sys/capabilities-self', {}),
  post('sys/capabilities-self', { paths: [] }),
];

export const CAPABILITIES = [
  [
    'STORE/data/app/db',
    'STORE/metadata/app',
    'STORE/metadata/',
    'kv1/STORE/x',
    'nomount/x',
    'sys/mounts',
    'sys/internal/ui/mounts',
  ],
  [
    'auth/token/create',
    'auth/token/lookup-self',
    'auth/token/renew-self',
    'auth/token/revoke-self',
    'sys/capabilities-self',
    'sys/leases/renew',
  ],
  ['STORE/data/app/db'],
];

export const WRITES: readonly Case[] = [
  post('STORE/data/new/a', { data: { a: 'b', n: 1 } }),
  get('STORE/data/new/a'),
  post('STORE/data/new/a', { data: { value: 'c' }, options: { cas: 1 } }),
  get('STORE/data/new/a'),
  ...[0, 1, 7, 'abc', '2'].map((cas) => post('STORE/data/new/a', { data: { a: 'd' }, options: { cas } })),
  post('STORE/data/new/b', { data: { a: 'd' }, options: { cas: 0 } }),
  ['STORE/data/new/b', { method: 'PUT', body: '{"data":{"a":"e"}}' }],
  ...[{}, { data: 'text' }].map((body) => post('STORE/data/new/a', body)),
  post('STORE/data/new/a'),
  post('STORE/data/app/db', { data: { a: 'b' } }),
  post('kv1/STORE/new/x', { a: 'b' }),
  get('kv1/STORE/new/x'),
  post('kv1/STORE/new/x', {}),
  post('kv1/STORE/new/x'),
  post('kv1/STORE/other', { a: 'b' }),
];
