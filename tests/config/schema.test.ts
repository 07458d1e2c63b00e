/** schemas/secrets.schema.json: made from the loader's own schemas, and of one mind with the loader. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { configSchema, SCHEMA_FILE } from '../../scripts/config-schema.ts';
import { providers } from '../../src/providers/registry.ts';
import { ROOT } from '../e2e/program.ts';
import { makeMachine, type Machine } from './setup.ts';
import { sized } from '../size.ts';

const published = JSON.parse(readFileSync(join(ROOT, SCHEMA_FILE), 'utf8')) as object;
const validate = new Ajv2020({ strict: true, allowUnionTypes: true }).compile(published);

let machine: Machine;
beforeAll(() => {
  machine = makeMachine();
});
afterAll(() => machine.remove());

/** JSON is YAML, so a document can be given to both. */
async function loaderTakes(document: unknown): Promise<boolean> {
  machine.write('home/secrets.yaml', JSON.stringify(document));
  return machine.load('home').then(
    () => true,
    () => false,
  );
}

test('is up to date: node scripts/schema.mjs makes it', async () => {
  expect(published).toEqual(JSON.parse(JSON.stringify(await configSchema(providers))));
});

const vault = { provider: 'vault', address: 'https://v.example' };
test.each<[boolean, unknown]>([
  [true, {}],
  [true, { default: 'local' }],
  [true, { default: 'v', stores: { v: vault } }],
  [true, { stores: { v: { ...vault, auth: { method: 'approle', 'role-id': 'x' } } } }],
  [true, { stores: { a: { provider: 'aws', region: 'eu-west-1', 'assume-role': 'arn:aws:iam::1:role/x' } } }],
  [true, { stores: { l: { provider: 'local', key: { method: 'age', recipients: ['age1x'] } } } }],
  [true, { stores: null, env: null, profiles: null }],
  [true, { env: { A: 'x', B: { ref: 'local://b' }, C: { ref: 'c', as: 'file', optional: true } } }],
  [true, { profiles: { ci: { env: { A: 'x' }, stores: { v: vault }, default: 'v' } } }],
  [false, []],
  [false, { storez: {} }],
  [false, { stores: [] }],
  [false, { stores: { v: [] } }],
  [false, { stores: { v: {} } }],
  [false, { stores: { v: { provider: 'nope' } } }],
  [false, { stores: { v: { provider: 'vault', adress: 'x' } } }],
  [false, { stores: { v: { provider: 'vault', address: 1 } } }],
  [false, { stores: { v: { provider: 'vault', address: '' } } }],
  [false, { stores: { v: { provider: 'vault', region: 'eu-west-1' } } }],
  [false, { stores: { v: { provider: 'vault', 'kv-version': 3 } } }],
  [false, { stores: { V: vault } }],
  [false, { stores: { constructor: vault } }],
  [false, { stores: { a: { provider: 'aws', region: 'evil.example/' } } }],
  [false, { env: { 'A-B': 'x' } }],
  [false, { env: { prototype: 'x' } }],
  [false, { env: { A: 1 } }],
  [false, { env: { A: null } }],
  [false, { env: { A: {} } }],
  [false, { env: { A: { ref: '' } } }],
  [false, { env: { A: { ref: 'x', as: 'fil' } } }],
  [false, { env: { A: { ref: 'x', optional: 'yes' } } }],
  [false, { env: { A: { ref: 'x', more: 1 } } }],
  [false, { env: ['A'] }],
  [false, { default: 1 }],
  [false, { default: 'Team' }],
  [false, { profiles: { '-': {} } }],
  [false, { profiles: { ci: { profiles: {} } } }],
  [false, { profiles: { ci: null } }],
  [true, { rotation: {} }],
  [true, { rotation: { lease: '5m', 'team://a': { every: '30d', keys: ['b'], target: { type: 'none' } } } }],
  [false, { rotation: { 'team://a': { target: { type: 'none', host: 'x' } } } }],
  [true, { rotation: { lock: 'team', 'legacy://a': { lock: 'other' } } }],
  [false, { rotation: { lock: '' } }],
  [false, { rotation: { lock: ['team'] } }],
  [false, { rotation: { 'team://a': { evry: '30d' } } }],
  [true, { audit: {} }],
  [true, { audit: { report: { 'unused-after': '30d', 'broad-share': 0.5, 'hour-gap': 5 } } }],
  [false, { audit: { report: { 'unused-after': 30 } } }],
  [false, { audit: { report: { 'broad-share': 2 } } }],
  [false, { audit: { report: { unused: '30d' } } }],
  [true, { audit: { suppress: [{ rule: 'overdue', secret: 'a/*', reason: 'r', until: '2026-12-31' }] } }],
  [false, { audit: { suppress: [{ rule: 'overdue', secret: 'a/*', reason: ' ', until: '2027-01-31' }] } }],
  [false, { audit: { suppress: [{ rule: 'overdue', secret: 'a/*', reason: 'r', until: '2027-13-31' }] } }],
  [false, { audit: { suppress: [{ rule: 'overdue', secret: 'a/*', reason: 'r' }] } }],
  [true, { audit: { log: 'required', path: '~/audit.jsonl' } }],
  [true, { profiles: { ci: { audit: { log: 'off' } } } }],
  [false, { audit: { log: 'on' } }],
  [false, { audit: { log: 1 } }],
  [false, { audit: { path: '' } }],
  [false, { audit: { more: 1 } }],
  [false, { audit: 'off' }],
])('takes it %s, as the loader does: %j', async (expected, document) => {
  expect({ schema: validate(document), loader: await loaderTakes(document) }).toEqual({
    schema: expected,
    loader: expected,
  });
});

test('agrees with the loader about documents made of right and wrong parts', async () => {
  /** Mostly what is right, so that one document in a few is right as a whole. */
  const mostly = <T>(right: fc.Arbitrary<T>, wrong: fc.Arbitrary<T>): fc.Arbitrary<T> =>
    fc.oneof({ weight: 15, arbitrary: right }, { weight: 1, arbitrary: wrong });
  const odd = fc.constantFrom<unknown>(null, 1, true, '', 'x', [], {}, ['x']);
  const name = mostly(
    fc.constantFrom('team', 'v', 'a_b'),
    fc.constantFrom('T', '', 'constructor', 'x'.repeat(70)),
  );
  const settings = {
    vault: fc.record(
      {
        address: mostly<unknown>(fc.constant('https://v.example'), odd),
        mount: mostly<unknown>(fc.constant('kv'), odd),
        'kv-version': mostly<unknown>(fc.constantFrom(1, 2), odd),
      },
      { requiredKeys: [] },
    ),
    aws: fc.record(
      {
        region: mostly<unknown>(fc.constant('eu-west-1'), odd),
        prefix: mostly<unknown>(fc.constant('a/'), odd),
      },
      { requiredKeys: [] },
    ),
    local: fc.record(
      {
        names: mostly<unknown>(fc.constant('hidden'), odd),
        key: mostly<unknown>(fc.constant({ method: 'key-file' }), odd),
      },
      { requiredKeys: [] },
    ),
  };
  const store = fc
    .oneof(
      ...Object.entries(settings).map(([kind, more]) =>
        fc.tuple(mostly<unknown>(fc.constant(kind), odd), more),
      ),
    )
    .map(([provider, more]): unknown => ({ ...more, provider }));
  const variable = mostly<unknown>(
    fc.oneof(
      fc.constantFrom<unknown>('x', 'local://a'),
      fc.record(
        {
          ref: mostly<unknown>(fc.constant('local://a'), odd),
          as: mostly<unknown>(fc.constantFrom('file', 'value'), odd),
        },
        { requiredKeys: ['ref'] },
      ),
    ),
    odd,
  );
  const section = (names: fc.Arbitrary<string>, inner: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> =>
    mostly<unknown>(fc.dictionary(names, inner, { maxKeys: 2 }), odd);
  const parts = {
    // A name that no store has is for the loader alone.
    default: mostly<unknown>(
      fc.constant('local'),
      odd.filter((value) => value !== 'x'),
    ),
    stores: section(name, mostly(store, odd)),
    env: section(mostly(fc.constantFrom('A', 'b_1'), fc.constantFrom('A-B', '1A', '')), variable),
  };
  const document = fc
    .tuple(
      fc.record(
        { ...parts, profiles: section(name, fc.record(parts, { requiredKeys: [] })) },
        { requiredKeys: [] },
      ),
      mostly(fc.constant({}), fc.constant({ more: 1 })),
    )
    .map(([root, more]) => ({ ...root, ...more }));
  let taken = 0;
  await fc.assert(
    fc.asyncProperty(document, async (one) => {
      const loader = await loaderTakes(one);
      if (loader) taken += 1;
      expect(validate(one)).toBe(loader);
    }),
    { numRuns: sized(300, 1500) },
  );
  // Neither all nor none: else the agreement would say nothing.
  expect(taken).toBeGreaterThan(50);
  expect(taken).toBeLessThan(1450);
});

test.each([
  ['the default is not among the stores', { default: 'nope' }],
  ['a literal that looks like a secret', { env: { DB_PASSWORD: 'hunter22' } }],
  ['an unknown store in a reference', { env: { A: { ref: 'nope://a' } } }],
  ['a malformed reference', { env: { A: 'local://a/../b' } }],
  ['a provider’s name for another', { stores: { aws: { provider: 'vault' } } }],
])('only the loader knows: %s', async (_, document) => {
  expect({ schema: validate(document), loader: await loaderTakes(document) }).toEqual({
    schema: true,
    loader: false,
  });
});
