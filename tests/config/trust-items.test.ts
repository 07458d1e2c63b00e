/** Every setting of every provider either needs trust, or stands here with the reason why it does not. */
import * as v from 'valibot';
import { providers } from '../../src/providers/registry.ts';
import type { ProviderDescriptor, StoreSettings } from '../../src/providers/provider.ts';
import { trustItemsFor } from '../../src/providers/trust.ts';

const SAME_SERVER = 'chooses among what is on the server that the user chose';
/**
 * Settings that can't send a credential, or what the user writes, to a place that the user did not choose, nor use a
 * credential for something else.
 */
const HARMLESS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  local: {
    names: 'shows names of files',
    'key.method': 'all methods keep the key with the user',
  },
  aws: {
    region: 'its form admits AWS’s own regions alone',
    profile: 'one of the user’s own',
    prefix: SAME_SERVER,
    'external-id': 'says something with a role, which needs trust',
  },
  azure: {
    vault: 'a name is one of Azure’s vaults, which takes no token of another tenant; other URLs need trust',
    cloud: 'its form admits Microsoft’s own clouds alone',
    names: 'shows how names are written',
    'service-version': SAME_SERVER,
    'trail.workspace': 'read with the user’s own rights, by a token that goes to Microsoft’s own server',
    'auth.method': 'those whose file or server is not the user’s own need trust',
    'auth.tenant-id': 'Microsoft itself says who is known there',
    'auth.client-id': 'Microsoft itself says whose it is',
    'auth.resource-id': 'one of the machine’s own identities',
    'auth.object-id': 'one of the machine’s own identities',
    'auth.send-certificate-chain': 'sends what is public of a certificate',
    'auth.subscription': 'one of the user’s own',
  },
  conjur: {
    account: SAME_SERVER,
    policy: SAME_SERVER,
    'auth.method': SAME_SERVER,
    'auth.service-id': SAME_SERVER,
    'auth.login': SAME_SERVER,
    'auth.region': 'stands in what is signed for the server that the user chose',
  },
  gcp: {
    location: 'its form admits Google’s own regions alone',
    prefix: SAME_SERVER,
    transport: 'two ways to the same server',
    'replication.locations': 'Google’s own regions, in the project that the user chose',
    'version-destroy-days': 'only delays what the user destroys',
  },
  vault: {
    mount: SAME_SERVER,
    'kv-version': SAME_SERVER,
    'auth.method': 'those that send what the machine holds need trust',
    'auth.region': 'its form admits AWS’s own regions alone',
    'auth.server-id': 'stands in what is signed for the server that the user chose',
    'auth.role': SAME_SERVER,
    'auth.role-id': SAME_SERVER,
    'auth.username': SAME_SERVER,
    'auth.wrapped': 'a way to read the user’s own token',
    'trail.device': SAME_SERVER,
  },
};

/** The same of what stands under `native:` of a policy. The policy itself always needs trust. */
const HARMLESS_NATIVE: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  aws: { duration: 'how long AWS’s window for the schedule lasts, which needs trust' },
  azure: {
    reminder: 'the one way there is',
    after: 'a date on the secret that the policy, which needs trust, rotates',
  },
  gcp: {},
};

/** The settings of a schema by their dotted names, each with a value of its kind. */
function leavesOf(
  schema: unknown,
  at: readonly string[] = [],
): readonly { readonly name: string; readonly settings: StoreSettings }[] {
  const { entries, wrapped, type, options } = schema as {
    readonly entries?: Readonly<Record<string, unknown>>;
    readonly wrapped?: unknown;
    readonly type: string;
    readonly options?: readonly unknown[];
  };
  if (wrapped !== undefined) return leavesOf(wrapped, at);
  if (entries !== undefined)
    return Object.entries(entries).flatMap(([key, inner]) => leavesOf(inner, [...at, key]));
  const objects = (options ?? []).filter((option) => typeof option === 'object');
  if (objects.length > 0) return objects.flatMap((option) => leavesOf(option, at));
  const value = type === 'array' ? ['x'] : type === 'boolean' ? true : type === 'number' ? 1 : 'x';
  const settings = at.reduceRight<unknown>((inner, key) => ({ [key]: inner }), value) as StoreSettings;
  return [{ name: at.join('.'), settings }];
}

describe.each(providers.map((provider) => ({ kind: provider.kind, provider })))(
  '$kind',
  ({ kind, provider }) => {
    test('every setting needs trust or is known to be harmless', async () => {
      const leaves = leavesOf(await provider.schema());
      expect(leaves.length).toBeGreaterThan(0);
      const harmless = Object.keys(HARMLESS[kind] ?? {});
      const open = leaves
        .filter(({ settings }) => provider.trustItems(settings).length === 0)
        .map(({ name }) => name);
      expect(open.toSorted()).toEqual(harmless.toSorted());
    });

    test('so does every setting of native', async () => {
      const { nativeRotation: own } = provider;
      if (own === undefined) {
        expect(HARMLESS_NATIVE).not.toHaveProperty(kind);
        return;
      }
      const leaves = leavesOf(await own.schema());
      const open = leaves.filter(({ settings }) => own.trustItems(settings).length === 0);
      expect(open.map(({ name }) => name).toSorted()).toEqual(
        Object.keys(HARMLESS_NATIVE[kind] ?? {}).toSorted(),
      );
      for (const { name, settings } of leaves)
        for (const { setting, value, effect } of own.trustItems(settings)) {
          expect([setting, value]).toEqual([name, 'x']);
          expect(effect).toMatch(/^[a-zA-Z].{15,}[^.]$/);
        }
    });

    test('a line that needs trust names its setting, its value and what it means', async () => {
      for (const { name, settings } of leavesOf(await provider.schema())) {
        for (const { setting, value, effect } of provider.trustItems(settings)) {
          expect(setting).toBe(name);
          expect(value).not.toBe('');
          expect(effect).toMatch(/^[a-z].{15,}[^.]$/);
        }
      }
    });
  },
);

test('a new kind of provider says what needs trust in one place', () => {
  const plugin = {
    trustItems: trustItemsFor({
      command: 'this program is run',
      'env.names': 'these variables are given to it',
    }),
  } satisfies Partial<ProviderDescriptor>;
  expect(plugin.trustItems({ command: 'x', env: { names: ['A'] }, other: 1 })).toEqual([
    { setting: 'command', value: 'x', effect: 'this program is run' },
    { setting: 'env.names', value: '["A"]', effect: 'these variables are given to it' },
  ]);
  expect(plugin.trustItems({ env: ['names'] })).toEqual([]);
  expect(plugin.trustItems({ env: 'x' })).toEqual([]);
});

test('the walk over a schema finds what is in it', () => {
  const schema = v.strictObject({
    a: v.optional(v.pipe(v.string(), v.nonEmpty())),
    b: v.optional(v.strictObject({ c: v.array(v.string()), d: v.boolean() })),
  });
  expect(leavesOf(schema)).toEqual([
    { name: 'a', settings: { a: 'x' } },
    { name: 'b.c', settings: { b: { c: ['x'] } } },
    { name: 'b.d', settings: { b: { d: true } } },
  ]);
});
