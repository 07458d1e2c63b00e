/** How often the stores are asked, counted in a provider of the test's own. */
import { Session } from '../../src/session/session.ts';
import type { ProgramWorld } from '../../src/config/kinds.ts';
import { resolveVariables, type SourceOptions } from '../../src/exec/sources.ts';
import type { GetResult, Provider, SecretRequest } from '../../src/providers/provider.ts';
import type { ProviderDescriptor } from '../../src/providers/descriptor.ts';
import { SecretsError } from '../../src/core/errors.ts';
import { PassThrough } from 'node:stream';

interface Call {
  readonly kind: string;
  readonly names: readonly string[];
}

/** Where calls wait for each other, until so many are under way at the same time. */
function meetingOf(count: number): () => Promise<void> {
  let there = 0;
  let go: () => void = () => {};
  const all = new Promise<void>((resolve) => (go = resolve));
  return () => {
    there += 1;
    if (there === count) go();
    return all;
  };
}

/** A store whose every secret holds its own name; names with `missing` are not there. */
function counting(kind: string, calls: Call[], meet: () => Promise<void>): ProviderDescriptor {
  const answer = ({ name }: SecretRequest): GetResult =>
    name.includes('missing')
      ? { ok: false, error: new SecretsError('NotFound', 'not found') }
      : {
          ok: true,
          secret: { name, id: '1', state: 'enabled', stages: [], value: Buffer.from(`${kind}:${name}`) },
        };
  const refuse = (): never => {
    throw new Error('not asked for');
  };
  const provider: Provider = {
    capabilities: new Set(['batch-get']),
    rules: { maxNameLength: 100, nameRule: 'any', maxValueBytes: 1000, emptyValue: true },
    checkName: () => {},
    async get(requests) {
      calls.push({ kind, names: requests.map(({ name }) => name) });
      await meet();
      return requests.map(answer);
    },
    async *list({ prefix = '' }) {
      calls.push({ kind: `${kind} list`, names: [prefix] });
      for (const name of ['one', 'two']) yield { name: prefix + name };
      await Promise.resolve();
    },
    put: refuse,
    delete: refuse,
    describe: refuse,
    identity: refuse,
    diagnose: refuse,
    close: () => Promise.resolve(),
  };
  return {
    kind,
    title: kind,
    credentialVariables: [`${kind.toUpperCase()}_TOKEN`],
    trustItems: () => [],
    schema: refuse,
    load: () => Promise.resolve({ open: () => provider }),
  };
}

async function resolve(
  options: SourceOptions,
  env: ProgramWorld['env'] = {},
  atOnce = 1,
): Promise<{ calls: Call[]; values: Record<string, string> }> {
  const calls: Call[] = [];
  const meet = meetingOf(atOnce);
  const world: ProgramWorld = {
    argv: [],
    env,
    cwd: '/',
    home: '/nonexistent',
    machineFolder: '/nonexistent',
    uid: 0,
    names: () => ({ user: 'ann', host: 'laptop' }),
    stdin: new PassThrough(),
    stdout: new PassThrough(),
    stderr: new PassThrough(),
    now: () => new Date(0),
    providers: [counting('red', calls, meet), counting('blue', calls, meet)],
    targets: async () => [],
    onSignal: () => () => {},
  };
  const { list } = await resolveVariables(new Session(world, {}), options, new Set(['RED_TOKEN']));
  return {
    calls,
    values: Object.fromEntries(list.map(({ name, value }) => [name, Buffer.from(value).toString()])),
  };
}

describe('the calls to the stores', () => {
  test('fifty references into one store are one batch', async () => {
    const { calls, values } = await resolve({
      env: Array.from({ length: 50 }, (_, index) => `V${index}=red://app/${index}`),
    });
    expect(calls).toHaveLength(1);
    expect(calls[0]?.names).toHaveLength(50);
    expect(values['V49']).toBe('red:app/49');
  });

  test('several keys of one secret, and one reference twice, are asked for once', async () => {
    const { calls, values } = await resolve({
      env: ['A=red://one', 'B=red://one', 'C=red://two', 'D=red://one?version=2', 'E=red://two'],
    });
    expect(calls.map(({ names }) => names)).toEqual([['one', 'two', 'one']]);
    expect(values).toEqual({ A: 'red:one', B: 'red:one', C: 'red:two', D: 'red:one', E: 'red:two' });
  });

  test('two stores are asked once each, at the same time', async () => {
    const env = Array.from(
      { length: 10 },
      (_, index) => `V${index}=${index % 2 === 0 ? 'red' : 'blue'}://n${index}`,
    );
    // Neither gets an answer before both are asked.
    const { calls } = await resolve({ env }, {}, 2);
    expect(calls.map(({ kind }) => kind).toSorted()).toEqual(['blue', 'red']);
  });

  test('a prefix costs one listing and joins the same batch', async () => {
    const { calls, values } = await resolve({ env: ['A=red://x'], from: ['red://svc/'], prefix: 'P_' });
    expect(calls.map(({ kind }) => kind)).toEqual(['red list', 'red']);
    expect(values).toEqual({ A: 'red:x', P_ONE: 'red:svc/one', P_TWO: 'red:svc/two' });
  });

  test('one that fails fails all, and each failure is in the error', async () => {
    const failed = resolve({ env: ['A=red://missing1', 'B=blue://missing2', 'C=red://there'] });
    await expect(failed).rejects.toMatchObject({
      kind: 'NotFound',
      errors: [{ reference: 'red://missing1' }, { reference: 'blue://missing2' }],
    });
  });

  test('credentials of a store that hold references are not resolved into the child', async () => {
    const { values } = await resolve(
      { resolveEnv: true },
      { RED_TOKEN: 'red://x', BLUE_TOKEN: 'blue://y', WEB: 'http://red' },
    );
    expect(values).toEqual({ BLUE_TOKEN: 'blue:y' });
  });
});
