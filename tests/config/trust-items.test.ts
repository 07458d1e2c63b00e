/** Every setting of every provider needs trust, but for the few that its descriptor calls harmless, with a reason. */
import * as v from 'valibot';
import { providers } from '../../src/providers/registry.ts';
import type { ProviderDescriptor } from '../../src/providers/descriptor.ts';
import type { StoreSettings } from '../../src/core/trust.ts';
import { trustItemsFor } from '../../src/providers/trust.ts';

/** Settings whose descriptions speak of paths and files of other kinds. */
const NO_PATHS = new Set([
  'profile',
  'mount',
  'auth.mount',
  'names',
  'project',
  'trail.device',
  'account',
  'plugin',
  'env',
]);

/** What an untrusted file may set to any text of the right form. */
const OPEN: Readonly<Record<string, readonly string[]>> = {
  aws: ['region', 'prefix'],
  azure: ['names'],
  gcp: ['location', 'prefix', 'transport'],
};

test.each([
  ['aws', 'prefix', 'arn:aws:secretsmanager:eu-west-1:666666666666:secret:'],
  ['aws', 'prefix', 'arn:'],
  ['aws', 'prefix', 'arn%3Aaws'],
  ['aws', 'prefix', 'https://x.example/'],
  ['aws', 'prefix', ' a'],
  ['aws', 'prefix', 'a\n'],
  ['gcp', 'prefix', 'projects/evil/secrets/'],
  ['gcp', 'prefix', '../'],
  ['local', 'names', 'visible'],
])('%s: %s %j needs trust', (kind, setting, value) => {
  const provider = providers.find((one) => one.kind === kind);
  expect(provider?.trustItems({ [setting]: value })).toHaveLength(1);
});

/** The settings of a schema by their dotted names, each with a value of its kind. */
function leavesOf(
  schema: unknown,
  at: readonly string[] = [],
  said = '',
): readonly { readonly name: string; readonly settings: StoreSettings; readonly said: string }[] {
  const { entries, wrapped, type, options, pipe } = schema as {
    readonly entries?: Readonly<Record<string, unknown>>;
    readonly wrapped?: unknown;
    readonly type: string;
    readonly options?: readonly unknown[];
    readonly pipe?: readonly { readonly type: string; readonly description?: string }[];
  };
  const text = pipe?.find((one) => one.type === 'description')?.description ?? said;
  if (wrapped !== undefined) return leavesOf(wrapped, at, text);
  if (entries !== undefined)
    return Object.entries(entries).flatMap(([key, inner]) => leavesOf(inner, [...at, key]));
  const objects = (options ?? []).filter((option) => typeof option === 'object');
  if (objects.length > 0) return objects.flatMap((option) => leavesOf(option, at, text));
  const value = type === 'array' ? ['x'] : type === 'boolean' ? true : type === 'number' ? 1 : 'x';
  const settings = at.reduceRight<unknown>((inner, key) => ({ [key]: inner }), value) as StoreSettings;
  return [{ name: at.join('.'), settings, said: text }];
}

describe.each(providers.map((provider) => ({ kind: provider.kind, provider })))(
  '$kind',
  ({ kind, provider }) => {
    test('every setting needs trust, but for those here', async () => {
      const leaves = leavesOf(await provider.schema());
      expect(leaves.length).toBeGreaterThan(0);
      const open = leaves
        .filter(({ settings }) => provider.trustItems(settings).length === 0)
        .map(({ name }) => name);
      expect(open).toEqual(OPEN[kind] ?? []);
      for (const [name, { reason }] of Object.entries(provider.harmless ?? {})) {
        expect(leaves.map((leaf) => leaf.name)).toContain(name);
        expect(reason).toMatch(/^[a-z].{15,}[^.]$/);
      }
    });

    test('so does every setting of native', async () => {
      const { nativeRotation: own } = provider;
      if (own === undefined) return;
      const leaves = leavesOf(await own.schema());
      expect(leaves.length).toBeGreaterThan(0);
      for (const { name, settings } of leaves) {
        const items = own.trustItems(settings);
        expect(items.map(({ setting, value }) => [setting, value])).toEqual([[name, 'x']]);
        for (const { effect } of items) expect(effect).toMatch(/^[a-zA-Z].{15,}[^.]$/);
      }
    });

    test('none is without words of its own, nor is one that a later version may add without trust', async () => {
      for (const { settings } of leavesOf(await provider.schema()))
        for (const { effect } of provider.trustItems(settings)) expect(effect).not.toMatch(/^this setting/);
      expect(provider.trustItems({ new: { inner: 'x' } })).toHaveLength(1);
    });

    test('every setting that holds a path says so', async () => {
      const paths = leavesOf(await provider.schema()).filter(({ said }) =>
        /\b(PEM file|file|path|folder)\b/i.test(said),
      );
      const named = Object.keys(provider.files ?? {});
      expect(
        paths
          .map(({ name }) => name)
          .filter((name) => !NO_PATHS.has(name))
          .toSorted(),
      ).toEqual(named.toSorted());
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
  expect(plugin.trustItems({ command: 'x', env: { names: ['A'] }, other: 1 })).toMatchObject([
    { setting: 'command', value: 'x', effect: 'this program is run' },
    { setting: 'env.names', value: '["A"]', effect: 'these variables are given to it' },
    { setting: 'other', value: '1' },
  ]);
  expect(plugin.trustItems({ env: ['names'] })).toHaveLength(1);
  expect(plugin.trustItems({ env: 'x' })).toHaveLength(1);
});

test('the walk over a schema finds what is in it', () => {
  const schema = v.strictObject({
    a: v.pipe(v.optional(v.pipe(v.string(), v.nonEmpty())), v.description('a file')),
    b: v.optional(v.strictObject({ c: v.array(v.string()), d: v.boolean() })),
  });
  expect(leavesOf(schema)).toEqual([
    { name: 'a', settings: { a: 'x' }, said: 'a file' },
    { name: 'b.c', settings: { b: { c: ['x'] } }, said: '' },
    { name: 'b.d', settings: { b: { d: true } }, said: '' },
  ]);
});
