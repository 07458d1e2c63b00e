/** How a report is gathered: on a store in memory that counts what it is asked, and has a trail. */
import { setTimeout as sleep } from 'node:timers/promises';
import { buildReport, type ReportWanted } from '../../src/report/build.ts';
import { storesInUse } from '../../src/report/collect.ts';
import type { ReportData } from '../../src/core/findings/report.ts';
import type { AuditEvent } from '../../src/core/audit/record.ts';
import { SecretsError } from '../../src/core/errors.ts';
import type { Capability, Provider, SecretRequest } from '../../src/providers/provider.ts';
import type { ProviderDescriptor } from '../../src/providers/descriptor.ts';
import type { SecretInfo, VersionInfo } from '../../src/core/secret.ts';
import { Session } from '../../src/session/session.ts';
import { makeMachine, type Machine } from '../config/setup.ts';
import { daysAgo, NOW } from './kit.ts';

interface Shelf {
  readonly infos: readonly SecretInfo[];
  readonly versions?: (name: string) => readonly VersionInfo[];
  readonly values?: Readonly<Record<string, string>>;
  readonly events?: readonly AuditEvent[];
  readonly grantsFail?: SecretsError;
  readonly historyFails?: SecretsError;
  readonly listFails?: SecretsError;
  readonly trailFails?: SecretsError;
  /** How reading the value of one secret fails, and after how long. */
  readonly getFails?: { readonly error: SecretsError; readonly afterMs: (name: string) => number };
}

/** What was asked of the store. */
class Asked {
  readonly gets: (readonly string[])[] = [];
  calls = 0;
  atOnce = 0;
  #now = 0;

  async call<T>(work: () => T): Promise<T> {
    this.calls += 1;
    this.#now += 1;
    this.atOnce = Math.max(this.atOnce, this.#now);
    await new Promise((resolve) => setTimeout(resolve, 1));
    this.#now -= 1;
    return work();
  }
}

function fail(error: SecretsError | undefined): void {
  if (error !== undefined) throw error;
}

function shelfProvider(shelf: Shelf, asked: Asked): Provider {
  const unused = (): never => {
    throw new Error('a report changes nothing');
  };
  return {
    capabilities: new Set<Capability>([
      'versions',
      'stages',
      'labels',
      ...(shelf.events === undefined ? [] : ['trail' as const]),
    ]),
    rules: { maxNameLength: 100, nameRule: 'any', maxValueBytes: 1000, emptyValue: true },
    checkName: () => {},
    get: async (requests: readonly SecretRequest[]) => {
      const { getFails } = shelf;
      if (getFails !== undefined) {
        await sleep(Math.max(...requests.map(({ name }) => getFails.afterMs(name))));
        return requests.map(() => ({ ok: false as const, error: getFails.error }));
      }
      return asked.call(() => {
        asked.gets.push(requests.map(({ name }) => name));
        return requests.map(({ name }) => ({
          ok: true as const,
          secret: {
            name,
            id: '1',
            state: 'enabled' as const,
            stages: ['current'],
            value: Buffer.from(shelf.values?.[name] ?? `${name} Zk3#q!v9`),
          },
        }));
      });
    },
    put: unused,
    delete: unused,
    async *list() {
      fail(shelf.listFails);
      yield* shelf.infos;
    },
    describe: unused,
    identity: async () => ({ principal: 'p', source: 's' }),
    diagnose: async () => [],
    async *history(name: string) {
      await asked.call(() => fail(shelf.historyFails));
      yield* (
        shelf.versions?.(name) ?? [{ id: '1', state: 'enabled', stages: ['current'], createdAt: daysAgo(1) }]
      );
    },
    grants: () =>
      asked.call(() => {
        fail(shelf.grantsFail);
        return [];
      }),
    ...(shelf.events !== undefined && {
      async *trail() {
        fail(shelf.trailFails);
        yield* shelf.events ?? [];
      },
    }),
    close: async () => {},
  } as Provider;
}

async function* none(): AsyncIterable<AuditEvent> {}

let machine: Machine;
beforeEach(() => {
  machine = makeMachine();
});
afterEach(() => machine.remove());

async function report(
  shelf: Shelf,
  more: Partial<ReportWanted> & { readonly yaml?: string } = {},
): Promise<{ readonly data: ReportData; readonly asked: Asked }> {
  const asked = new Asked();
  const shelfKind: ProviderDescriptor = {
    kind: 'shelf',
    title: 'Shelf',
    credentialVariables: [],
    trustItems: () => [],
    schema: async () => (await import('../../src/rotation/targets/none/settings.ts')).settingsSchema,
    load: async () => ({ open: () => shelfProvider(shelf, asked) }),
  };
  machine.write('p/secrets.yaml', more.yaml ?? 'default: shelf');
  const session = new Session(machine.world('p', { providers: [shelfKind], now: () => NOW }), {
    trust: true,
  });
  const stores = await storesInUse(session);
  const data = await buildReport(session, {
    stores,
    since: daysAgo(120),
    own: none(),
    values: false,
    trail: false,
    failOn: undefined,
    known: new Set(),
    progress: () => {},
    ...more,
  });
  await session.close();
  return { data, asked };
}

const rules = ({ findings }: ReportData): readonly string[] =>
  findings.map(({ rule, secret }) => `${rule} ${secret ?? ''}`);
const old = { createdAt: daysAgo(200) };

test('many secrets are asked for a few at a time', async () => {
  const infos = Array.from({ length: 120 }, (_, n) => ({ name: `s${n}`, ...old }));
  const { data, asked } = await report({ infos });
  expect(data.stores).toEqual([{ name: 'shelf', provider: 'shelf', secrets: 120, errors: [] }]);
  expect(asked.calls).toBe(240);
  expect(asked.atOnce).toBeLessThanOrEqual(8);
  expect(asked.gets).toEqual([]);
});

test('with --values they are read twenty at a time, but for honey secrets', async () => {
  const infos = Array.from({ length: 50 }, (_, n) => ({
    name: `s${n}`,
    ...old,
    labels: n === 7 ? { honey: 'true' } : {},
  }));
  const { data, asked } = await report(
    { infos, values: { s1: 'changeme', s7: 'changeme' } },
    { values: true },
  );
  expect(asked.gets.map(({ length }) => length).toSorted()).toEqual([20, 20, 9]);
  expect(asked.gets.flat()).not.toContain('s7');
  expect(rules(data)).toEqual(['default-value s1']);
});

test('a service’s word of the last read, a policy without verification, and a version that is disabled', async () => {
  const infos = [
    { name: 'a', ...old, lastReadAt: 'never' as const },
    { name: 'b', ...old },
    { name: 'c', ...old, deletedAt: daysAgo(1) },
  ];
  const versions = (name: string): readonly VersionInfo[] =>
    name === 'b'
      ? [
          { id: '2', state: 'disabled', stages: [], createdAt: daysAgo(2) },
          { id: '1', state: 'enabled', stages: [], createdAt: daysAgo(200) },
        ]
      : [
          { id: '2', state: 'enabled', stages: ['current'], createdAt: daysAgo(40) },
          { id: '1', state: 'enabled', stages: ['previous'], createdAt: daysAgo(200) },
        ];
  const yaml = `
default: shelf
rotation:
  a: { every: 30d, target: { type: program, apply: [/bin/true] } }
`;
  const { data } = await report({ infos, versions }, { yaml });
  expect(rules(data)).toEqual(['overdue a', 'disabled-current b', 'never-read a', 'unverified-rotation a']);
});

test('what may not be seen is a note, what fails is an error', async () => {
  const infos = [
    { name: 'a', ...old },
    { name: 'b', ...old },
  ];
  const { data } = await report({
    infos,
    grantsFail: new SecretsError('Denied', 'no'),
    historyFails: new SecretsError('Unavailable', 'gone', { hint: 'try again' }),
  });
  expect(data.notes).toContainEqual({
    rule: 'broad-access',
    store: 'shelf',
    message: 'broad-access is not known of its secrets: the caller may not see it',
  });
  expect(data.stores[0]?.errors).toEqual(
    ['a', 'b'].map((name) => ({
      kind: 'Unavailable',
      message: 'gone',
      reference: `shelf://${name}`,
      hint: 'try again',
    })),
  );
  const failed = await report({ infos, listFails: new SecretsError('Denied', 'no list') });
  expect(failed.data.stores[0]).toMatchObject({
    secrets: 0,
    errors: [{ kind: 'Denied', reference: 'shelf://' }],
  });
});

test('many failures are counted, not all listed', async () => {
  const infos = Array.from({ length: 60 }, (_, n) => ({ name: `s${n}`, ...old }));
  const { data } = await report({ infos, historyFails: new SecretsError('Unavailable', 'gone') });
  expect(data.stores[0]?.errors).toHaveLength(21);
  expect(data.stores[0]?.errors[20]).toEqual({ kind: 'Partial', message: '40 more failed' });
});

test('values that can’t be read are listed by their names, whichever failed first', async () => {
  const names = Array.from({ length: 45 }, (_, n) => `s${String(n).padStart(2, '0')}`);
  const getFails = {
    error: new SecretsError('Unavailable', 'gone'),
    afterMs: (name: string) => (name === 's00' ? 200 : 1),
  };
  const { data } = await report(
    { infos: names.map((name) => ({ name, ...old })), getFails },
    { values: true },
  );
  expect(data.stores[0]?.errors.map(({ reference }) => reference)).toEqual(
    names.map((name) => `shelf://${name}`),
  );
});

describe('--trail', () => {
  const infos = [
    { name: 'used', ...old },
    { name: 'unused', createdAt: daysAgo(110) },
    { name: 'trap', ...old, labels: { honey: 'yes' } },
  ];
  const event = (secret: string, days: number, more: Partial<AuditEvent> = {}): AuditEvent => ({
    time: daysAgo(days).toISOString(),
    origin: 'shelftrail',
    action: 'read',
    outcome: 'allowed',
    actor: { principal: 'arn:x' },
    secret,
    address: '198.51.100.7',
    ...more,
  });
  // Newest first, as services give it.
  const events = [
    event('trap', 1),
    ...Array.from({ length: 115 }, (_, n) => event('used', n + 2, { requestId: `r${n}` })),
  ];

  test('tells who read, and what nobody reads', async () => {
    const { data } = await report({ infos, events }, { trail: true });
    expect(rules(data)).toEqual(['honey-read trap', 'never-read unused']);
    expect(data.access).toMatchObject({ events: 116, origins: { shelftrail: 116 }, principals: 1 });
  });
  test('what our log tells too is one access', async () => {
    async function* own(): AsyncIterable<AuditEvent> {
      yield event('used', 2, { origin: 'secrets', store: 'shelf', requestId: 'r0' });
      yield event('used', 2, { origin: 'secrets', store: 'shelf', requestId: 'mine' });
      yield event('used', 2, { origin: 'secrets', store: 'other' });
    }
    const { data } = await report({ infos, events }, { trail: true, own: own() });
    expect(data.access.origins).toEqual({ shelftrail: 116, secrets: 1 });
  });
  test('is not read without the flag', async () => {
    const { data } = await report({ infos, events });
    expect(data.access.events).toBe(0);
    expect(rules(data)).toEqual([]);
  });
  test('a store without one is told of, one that fails is an error', async () => {
    const without = await report({ infos }, { trail: true });
    expect(without.data.notes).toContainEqual({
      store: 'shelf',
      message: 'the store has no trail of its own that can be read',
    });
    const failing = await report(
      { infos, events, trailFails: new SecretsError('Denied', 'no trail') },
      { trail: true },
    );
    expect(failing.data.stores[0]?.errors).toMatchObject([{ kind: 'Denied', message: 'no trail' }]);
    const unset = await report(
      { infos, events, trailFails: new SecretsError('Usage', 'no workspace', { hint: 'name it' }) },
      { trail: true },
    );
    expect(unset.data.stores[0]?.errors).toEqual([]);
    expect(unset.data.notes).toContainEqual({
      store: 'shelf',
      message: 'its trail is not read: no workspace; name it',
    });
  });
});
