/** The checks of `secrets doctor --plugin`: the core of the contract in src/providers/provider.ts. */
import { randomBytes } from 'node:crypto';
import { toSecretsError } from '../../core/errors.ts';
import { all, type Check, expect, expectKind, type Trial } from './trial.ts';

const keeps = (title: string, make: (trial: Trial) => Uint8Array): Check => ({
  name: `keeps ${title}`,
  run: async (trial) => {
    const { rules } = trial.provider;
    const value = make(trial);
    const name = trial.fresh();
    if (value.length === 0 && !rules.emptyValue) {
      trial.note(name, value);
      await expectKind(trial.raw('put', { name, value: '' }), ['Invalid'], 'put of an empty value');
      await expectKind(trial.read({ name }), ['NotFound'], 'get after a refused put');
      return;
    }
    if (value.length > rules.maxValueBytes) return;
    const written = await trial.put(name, value);
    const read = await trial.read({ name });
    expect(Buffer.from(read.value).equals(value), 'get gives other bytes than were put');
    expect(read.id === written.id, 'get and put give different ids for the same version');
    const second = await trial.put(name, trial.text());
    expect(second.id !== written.id, 'two versions have the same id');
    expect((await trial.read({ name })).id === second.id, 'get does not give what was put last');
  },
});

const missing: Check = {
  name: 'NotFound',
  run: async (trial) => {
    const name = trial.fresh();
    const { provider } = trial;
    await expectKind(trial.read({ name }), ['NotFound'], 'get');
    await expectKind(provider.describe(name, trial.call()), ['NotFound'], 'describe');
    await expectKind(provider.delete(name, {}, trial.call()), ['NotFound'], 'delete');
    if (provider.history !== undefined)
      await expectKind(all(provider.history(name, trial.call())), ['NotFound'], 'history');
    if (provider.restore !== undefined)
      await expectKind(provider.restore(name, trial.call()), ['NotFound'], 'restore');
  },
};

const tooLarge: Check = {
  name: 'refuses a value that is too large',
  run: async (trial) => {
    const name = trial.fresh();
    const mark = Buffer.from(trial.text());
    const value = Buffer.alloc(trial.provider.rules.maxValueBytes + 1, mark);
    trial.note(name, value);
    await expectKind(
      trial.raw('put', { name, value: value.toString('base64') }, { value: mark }),
      ['Invalid'],
      'put',
    );
    await expectKind(trial.read({ name }), ['NotFound'], 'get after a refused put');
  },
};

const remove: Check = {
  name: 'delete',
  run: async (trial) => {
    const name = trial.fresh();
    await trial.put(name, trial.text());
    const { name: described } = await trial.provider.describe(name, trial.call());
    expect(described === name, 'describe gives another name');
    await trial.provider.delete(name, {}, trial.call());
    await expectKind(trial.read({ name }), ['NotFound'], 'get after delete');
    const listed = await all(trial.provider.list({ prefix: name }, trial.call()));
    expect(listed.length === 0, 'list shows a deleted secret');
  },
};

const list: Check = {
  name: 'list with a prefix',
  run: async (trial) => {
    const [one, other] = [`${trial.fresh()}a`, `${trial.fresh()}b`];
    const names = Array.from({ length: 12 }, (_, index) => `${one}${String(index).padStart(2, '0')}`);
    for (const name of [...names, `${other}00`]) await trial.put(name, trial.text());
    // Bypasses the provider, which would reject an unrequested name without saying what is wrong.
    const found: unknown[] = [];
    const collect = {
      ...trial.call(),
      onItem: (item: unknown) => found.push((item as { name: unknown }).name),
    };
    await trial.provider.connection.raw('list', { prefix: one }, collect);
    expect(!found.includes(`${other}00`), 'list gives names that do not start with the prefix');
    expect(new Set(found).size === found.length, 'list gives a name twice');
    const listed = (await all(trial.provider.list({ prefix: one }, trial.call()))).map(({ name }) => name);
    expect(listed.toSorted().join() === names.join(), 'list does not give each of the names');
    for await (const { name } of trial.provider.list({ prefix: one }, trial.call())) {
      expect(names.includes(name), 'list gives another name');
      break;
    }
    expect(
      (await trial.provider.identity(trial.call())).principal !== '',
      'no answer after a list that was left',
    );
  },
};

const batch: Check = {
  name: 'get of 60, 3 of them missing',
  run: async (trial) => {
    const base = trial.fresh();
    const gone = new Set([5, 30, 59]);
    const asked = Array.from({ length: 60 }, (_, index) => `${base}n${index}`);
    const values = new Map<string, string>();
    for (const [index, name] of asked.entries()) {
      if (gone.has(index)) continue;
      values.set(name, trial.text());
      await trial.put(name, values.get(name) as string);
    }
    const results = await trial.provider.get(
      asked.map((name) => ({ name })),
      trial.call(),
    );
    for (const [index, result] of results.entries()) {
      if (gone.has(index))
        expect(!result.ok && result.error.kind === 'NotFound', `request ${index}: not NotFound`);
      else
        expect(
          result.ok && Buffer.from(result.secret.value).toString() === values.get(asked[index] as string),
          `request ${index}: ${result.ok ? 'the value of another' : result.error.message}`,
        );
    }
  },
};

/** Each part is legal in a file name, a URL or a shell, and has a special meaning there. */
const HOSTILE = [
  '../up',
  'a/../../b',
  'a//b',
  './here',
  '-rf',
  '$(id)',
  '`id`',
  "it's",
  '"q"',
  'a b',
  'a\\b',
  '%2e%2e%2f',
  '%00',
  'ünï-🔑',
  '{"a":1}',
  'a;b|c&d',
  '*?[x]',
  '#k',
];

const hostile: Check = {
  name: 'names of any characters',
  run: async (trial) => {
    const base = trial.fresh();
    const kept: string[] = [];
    for (const part of HOSTILE) {
      const name = `${base}${part}`;
      try {
        const value = trial.text();
        await trial.put(name, value);
        kept.push(name);
        expect((await trial.textOf({ name })) === value, `the name ${JSON.stringify(part)}: another value`);
      } catch (thrown) {
        const error = toSecretsError(thrown);
        if (thrown !== error || error.kind !== 'Invalid') throw thrown;
      }
    }
    const listed = (await all(trial.provider.list({ prefix: base }, trial.call()))).map(({ name }) => name);
    for (const name of kept)
      expect(listed.includes(name), `list does not give the name ${JSON.stringify(name.slice(base.length))}`);
    expect(listed.length === kept.length, 'list gives names that were not put');
  },
};

const badNames: Check = {
  name: 'refuses names against its rules',
  run: async (trial) => {
    const { maxNameLength } = trial.provider.rules;
    for (const [what, name] of [
      ['an empty name', ''],
      ['a name with a NUL', `${trial.fresh()}\0`],
      ['a name with a line break', `${trial.fresh()}\nx`],
      ['a name that is too long', trial.fresh().padEnd(maxNameLength + 1, 'n')],
    ] as const) {
      const value = Buffer.from(trial.text());
      trial.note(name, value);
      const params = { name, value: value.toString('base64') };
      await expectKind(trial.raw('put', params, { value }), ['Invalid'], `put of ${what}`);
      trial.names.delete(name);
    }
    const longest = trial.fresh().padEnd(maxNameLength, 'n');
    await trial.put(longest, trial.text());
    await trial.read({ name: longest });
  },
};

const undeclared: Check = {
  name: 'refuses what it can’t keep',
  run: async (trial) => {
    const { capabilities } = trial.provider;
    const tries = [
      ['cas', 'ifAbsent', true],
      ['stages', 'stage', 'pending'],
      ['labels', 'labels', { team: 'web' }],
    ] as const;
    for (const [capability, field, given] of tries) {
      if (capabilities.has(capability)) continue;
      const name = trial.fresh();
      const value = Buffer.from(trial.note(name, trial.text()));
      await expectKind(
        trial.raw('put', { name, value: value.toString('base64'), [field]: given }, { value }),
        ['Unsupported'],
        `put with ${field}, which is not declared,`,
      );
      await expectKind(trial.read({ name }), ['NotFound'], `get after a put with ${field}`);
    }
    const name = trial.fresh();
    try {
      await trial.put(name, trial.text(), { description: 'words' });
    } catch (thrown) {
      if (toSecretsError(thrown).kind !== 'Unsupported') throw thrown;
      await expectKind(trial.read({ name }), ['NotFound'], 'get after a put with a description');
      return;
    }
    const { description } = await trial.provider.describe(name, trial.call());
    expect(description === 'words', 'put takes a description, describe does not give it');
  },
};

const deadline: Check = {
  name: 'begins nothing after its deadline',
  run: async (trial) => {
    const name = trial.fresh();
    const value = Buffer.from(trial.note(name, trial.text()));
    const params = { name, value: value.toString('base64') };
    const past = { sentDeadline: Date.now() - 1000, value };
    await expectKind(trial.raw('put', params, past), ['Unavailable'], 'put whose deadline has passed');
    await expectKind(trial.read({ name }), ['NotFound'], 'get after a put whose deadline had passed');
  },
};

const cancel: Check = {
  name: 'cancel',
  run: async (trial) => {
    const name = trial.fresh();
    await trial.put(name, trial.text());
    const { connection } = trial.provider;
    for (let turn = 0; turn < 3; turn += 1) {
      const stop = new AbortController();
      const get = trial.raw('get', { requests: [{ name }] }, { signal: stop.signal });
      stop.abort();
      await expectKind(get, ['Unavailable'], 'a cancelled get');
    }
    await trial.read({ name });
    const patience = Date.now() + 5000;
    while (connection.unanswered > 0 && Date.now() < patience && connection.broken === undefined)
      await new Promise((resolve) => setTimeout(resolve, 20));
    expect(connection.broken === undefined, `the plugin ${connection.broken ?? ''}`);
    expect(connection.unanswered === 0, 'a cancelled request is not answered within 5 s');
  },
};

const parallel: Check = {
  name: 'ten requests at the same time',
  run: async (trial) => {
    const secrets = Array.from({ length: 10 }, () => [trial.fresh(), trial.text()] as const);
    await Promise.all(secrets.map(([name, value]) => trial.put(name, value)));
    const read = await Promise.all(secrets.map(([name]) => trial.textOf({ name })));
    for (const [index, [, value]] of secrets.entries())
      expect(read[index] === value, 'an answer belongs to another request');
  },
};

const unknown: Check = {
  name: 'unknown methods and fields',
  run: async (trial) => {
    await expectKind(trial.raw('no-such-method', {}), ['Unsupported'], 'an unknown method');
    const name = trial.fresh();
    const value = trial.text();
    await trial.put(name, value);
    expect((await trial.textOf({ name })) === value, 'no answer after an unknown method');
    await trial.raw('get', { requests: [{ name, unheard: 1 }], unheard: { of: true } });
    await trial.raw('list', { prefix: name, unheard: 1 });
  },
};

const self: Check = {
  name: 'identity and diagnose',
  run: async (trial) => {
    await trial.provider.identity(trial.call());
    const findings = await trial.provider.diagnose(trial.call());
    const failed = findings.find(({ status }) => status === 'fail');
    expect(failed === undefined, `${failed?.check}: ${failed?.detail}`);
  },
};

export const checks: readonly Check[] = [
  keeps('text', (trial) => Buffer.from(trial.text())),
  keeps('bytes that are not text', () =>
    Buffer.concat([Buffer.from([0, 255, 254, 128, 10, 13]), randomBytes(26)]),
  ),
  keeps('unicode', (trial) => Buffer.from(`\ufeffhéllo 🔑 \u0000 \u2028 ${trial.text()} \n`)),
  keeps('an empty value', () => Buffer.alloc(0)),
  keeps('the largest value', (trial) => randomBytes(trial.provider.rules.maxValueBytes)),
  tooLarge,
  missing,
  remove,
  list,
  batch,
  hostile,
  badNames,
  undeclared,
  deadline,
  cancel,
  parallel,
  unknown,
  self,
];
