/** One suite that every provider passes against a real server: the rules of src/providers/provider.ts. */
import type { Provider } from '../../src/providers/provider.ts';
import { itTakesEmptySecrets } from './empty.ts';
import { itStandsFaults } from './faults.ts';
import { all, bytes, type Contract, freshName, kindOf, now, readOne, textOf } from './kit.ts';
import { itLosesNoAnswer } from './lost-answers.ts';
import { itKeepsStages } from './stages.ts';
import { sized } from '../size.ts';

export { type Contract, contextFor, kindOf, readOne } from './kit.ts';

/** More than a page of any service has. */
const LISTED = sized(60, 250);

export function itKeepsTheContract(contract: Contract): void {
  let provider: Provider;
  const separator = contract.separator ?? '/';
  const fresh = (): string => freshName(contract);
  const can = (capability: Parameters<Provider['capabilities']['has']>[0]): boolean =>
    provider.capabilities.has(capability);

  beforeAll(async () => {
    provider = await contract.open();
  });
  afterAll(() => provider.close());

  test.each([
    ['text', bytes('a plain value')],
    ['one byte', bytes('x')],
    ['unicode', bytes('héllo 🔑 \u0000 \u2028 end')],
    ['bytes that are not UTF-8', Uint8Array.from([0, 255, 254, 128, 10, 13])],
    ['a view into a larger buffer', new Uint8Array(Uint8Array.from([9, 0, 255, 120, 9]).buffer, 1, 3)],
    ['text with a byte order mark', bytes('\ufeffmarked')],
    ['a JSON array', bytes('[1,2]')],
    ['broken JSON', bytes('{"a":')],
    ['white space', bytes(' \n\t ')],
  ])('keeps %s as it is', async (_title, value) => {
    const name = fresh();
    if (provider.rules.blankValue === false && Buffer.from(value).toString().trim() === '') {
      expect(await kindOf(provider.put(name, { value }, now()))).toBe('Invalid');
      return;
    }
    const written = await provider.put(name, { value }, now());
    const read = await readOne(provider, { name });
    expect(Buffer.from(read.value)).toEqual(Buffer.from(value));
    expect(read.id).toBe(written.id);
  });

  test('keeps every key of a JSON object, __proto__ too', async () => {
    const name = fresh();
    await provider.put(
      name,
      { value: bytes('{"user":"u","n":1.5,"__proto__":{"a":true},"value":"v"}') },
      now(),
    );
    const { value } = await readOne(provider, { name });
    expect(Object.entries(JSON.parse(Buffer.from(value).toString()) as object).toSorted()).toEqual(
      Object.entries({ n: 1.5, user: 'u', value: 'v', ['__proto__']: { a: true } }).toSorted(),
    );
  });

  test('keeps the largest value, and refuses one byte more before any call', async () => {
    const name = fresh();
    const { maxValueBytes } = provider.rules;
    await provider.put(name, { value: Buffer.alloc(maxValueBytes, 'm') }, now());
    expect((await readOne(provider, { name })).value.length).toBe(maxValueBytes);
    expect(await kindOf(provider.put(name, { value: Buffer.alloc(maxValueBytes + 1, 'm') }, now()))).toBe(
      'Invalid',
    );
    expect((await readOne(provider, { name })).value.length).toBe(maxValueBytes);
  });

  test('an empty value is kept or refused, as the rules say', async () => {
    const name = fresh();
    const kind = await kindOf(provider.put(name, { value: bytes('') }, now()));
    expect(kind).toBe(provider.rules.emptyValue ? 'no error' : 'Invalid');
    const after = await kindOf(readOne(provider, { name }));
    expect(after).toBe(provider.rules.emptyValue ? 'no error' : 'NotFound');
  });

  test('takes the longest name and refuses a longer one', async () => {
    const name = `${fresh().replaceAll('/', '-')}-`.padEnd(provider.rules.maxNameLength, 'n');
    await provider.put(name, { value: bytes('long') }, now());
    expect(await textOf(provider, { name })).toBe('long');
    expect(await kindOf(provider.put(`${name}n`, { value: bytes('longer') }, now()))).toBe('Invalid');
    await provider.delete(name, {}, now());
  });

  test.each(['', 'a\u0000b', 'a\nb'])('refuses the name %j', async (name) => {
    expect(await kindOf(provider.put(name, { value: bytes('x') }, now()))).toBe('Invalid');
    expect(await kindOf(readOne(provider, { name }))).toBe('Invalid');
  });

  test('a secret that is not there is NotFound for every method', async () => {
    const name = fresh();
    expect(await kindOf(readOne(provider, { name }))).toBe('NotFound');
    expect(await kindOf(provider.describe(name, now()))).toBe('NotFound');
    expect(await kindOf(provider.delete(name, {}, now()))).toBe('NotFound');
    if (provider.history !== undefined && can('versions'))
      expect(await kindOf(all(provider.history(name, now())))).toBe('NotFound');
    if (provider.restore !== undefined && can('soft-delete'))
      expect(await kindOf(provider.restore(name, now()))).toBe('NotFound');
  });

  test('keeps versions, newest first, and reads each by its id', async () => {
    if (provider.history === undefined || !can('versions')) {
      expect(can('versions')).toBe(false);
      return;
    }
    const name = fresh();
    const ids: string[] = [];
    for (const text of ['one', 'two', 'three'])
      ids.push((await provider.put(name, { value: bytes(text) }, now())).id);
    expect(new Set(ids).size).toBe(3);
    const history = await all(provider.history(name, now()));
    const stagesOf = (id: string | undefined): readonly string[] =>
      history.find((one) => one.id === id)?.stages ?? [];
    expect(stagesOf(ids[2])).toContain('current');
    expect(stagesOf(ids[1])).toContain('previous');
    expect(await textOf(provider, { name, version: ids[1] })).toBe('two');
    expect(await textOf(provider, { name, stage: 'previous' })).toBe('two');
    expect(await kindOf(readOne(provider, { name, version: 'no-such-version' }))).toBe('NotFound');
    await provider.makeCurrent?.(name, ids[1] ?? '', now());
    expect(await textOf(provider, { name })).toBe('two');
  });

  test('writes under a condition only if it holds', async () => {
    if (!can('cas')) {
      const write = { value: bytes('x'), ifAbsent: true };
      expect(await kindOf(provider.put(fresh(), write, now()))).toBe('Unsupported');
      return;
    }
    const name = fresh();
    const first = await provider.put(name, { value: bytes('1'), ifAbsent: true }, now());
    expect(await kindOf(provider.put(name, { value: bytes('2'), ifAbsent: true }, now()))).toBe('Conflict');
    await provider.put(name, { value: bytes('3'), ifVersion: first.id }, now());
    expect(await kindOf(provider.put(name, { value: bytes('4'), ifVersion: first.id }, now()))).toBe(
      'Conflict',
    );
    expect(await textOf(provider, { name })).toBe('3');
  });

  test('ten writers with a condition lose no update', async () => {
    if (!can('cas')) {
      expect(can('cas')).toBe(false);
      return;
    }
    const name = fresh();
    await provider.put(name, { value: bytes('0') }, now());
    const add = async (): Promise<void> => {
      for (;;) {
        const { id, value } = await readOne(provider, { name });
        const next = bytes(String(Number(Buffer.from(value).toString()) + 1));
        const kind = await kindOf(provider.put(name, { value: next, ifVersion: id }, now()));
        if (kind === 'no error') return;
        expect(kind).toBe('Conflict');
      }
    };
    await Promise.all(Array.from({ length: 10 }, add));
    expect(await textOf(provider, { name })).toBe('10');
  });

  test('deletes softly, restores and purges', async () => {
    const name = fresh();
    await provider.put(name, { value: bytes('kept') }, now());
    await provider.delete(name, {}, now());
    expect(await kindOf(readOne(provider, { name }))).toBe('NotFound');
    expect((await all(provider.list({ prefix: name }, now()))).map((info) => info.name)).toEqual([]);
    if (!can('soft-delete')) return;
    expect(await kindOf(provider.delete(name, {}, now()))).toBe('NotFound');
    expect((await provider.describe(name, now())).deletedAt).toBeInstanceOf(Date);
    expect(
      (await all(provider.list({ prefix: name, deleted: true }, now()))).map((info) => info.name),
    ).toEqual([name]);
    await provider.restore?.(name, now());
    expect(await textOf(provider, { name })).toBe('kept');
    await provider.delete(name, {}, now());
    // A store may replace a deleted secret, or say what is in the way.
    const { deletedBlocks } = provider.rules;
    const outcome = (ifAbsent: boolean): Promise<string> =>
      provider.put(name, { value: bytes('new'), ...(ifAbsent && { ifAbsent }) }, now()).then(
        () => 'replaced',
        (thrown: unknown) => (thrown as Error).message,
      );
    const blocked = 'a deleted secret blocks this name';
    if (can('cas')) expect(await outcome(true)).toBe(deletedBlocks === undefined ? 'replaced' : blocked);
    if (deletedBlocks !== undefined)
      expect(await outcome(false)).toBe(deletedBlocks === 'writes' ? blocked : 'replaced');
    await provider.purge?.(name, undefined, now());
    expect(await kindOf(provider.describe(name, now()))).toBe('NotFound');
  });

  test('sets labels, keeps the others, and removes one with null', async () => {
    const name = fresh();
    if (!can('labels')) {
      const write = { value: bytes('x'), labels: { a: '1' } };
      expect(await kindOf(provider.put(name, write, now()))).toBe('Unsupported');
      return;
    }
    await provider.put(
      name,
      { value: bytes('1'), labels: { team: 'pay', tier: 'gold' }, description: 'd' },
      now(),
    );
    await provider.put(name, { value: bytes('2'), labels: { tier: null, zone: 'eu' } }, now());
    const info = await provider.describe(name, now());
    expect(info.labels).toEqual({ team: 'pay', zone: 'eu' });
    expect(info.description).toBe('d');
  });

  test(`lists ${LISTED} secrets under a prefix, each once, and a loop may end early`, async () => {
    const folder = fresh() + separator;
    const names = Array.from({ length: LISTED }, (_, index) => `${folder}s${String(index).padStart(3, '0')}`);
    const waiting = [...names];
    const writer = async (): Promise<void> => {
      for (let name = waiting.pop(); name !== undefined; name = waiting.pop())
        await provider.put(name, { value: bytes(name) }, now());
    };
    await Promise.all(Array.from({ length: 8 }, writer));
    const listed = (await all(provider.list({ prefix: folder }, now()))).map((info) => info.name);
    expect(listed.toSorted()).toEqual(names);
    expect((await all(provider.list({ prefix: `${folder}s00` }, now()))).length).toBe(10);
    let seen = 0;
    for await (const info of provider.list({ prefix: folder }, now())) {
      expect(info.name.startsWith(folder)).toBe(true);
      if ((seen += 1) === 3) break;
    }
    expect(seen).toBe(3);
  });

  test('reads 60 at once, three of them missing, in the order asked', async () => {
    const folder = fresh();
    const names = Array.from({ length: 57 }, (_, index) => `${folder}${separator}b${index}`);
    for (const name of names) await provider.put(name, { value: bytes(`value of ${name}`) }, now());
    const missing = [5, 30, 59];
    const asked = names.slice();
    for (const place of missing) asked.splice(place, 0, `${folder}${separator}missing${place}`);
    const results = await provider.get(
      asked.map((name) => ({ name })),
      now(),
    );
    expect(results.length).toBe(60);
    results.forEach((result, index) => {
      if (missing.includes(index)) expect(result.ok ? 'found' : result.error.kind).toBe('NotFound');
      else
        expect(result.ok ? Buffer.from(result.secret.value).toString() : result.error.message).toBe(
          `value of ${asked[index]}`,
        );
    });
  });

  test('an aborted signal ends the call as Unavailable, with nothing written', async () => {
    const name = fresh();
    const signal = AbortSignal.abort(new DOMException('time is up', 'TimeoutError'));
    expect(await kindOf(provider.put(name, { value: bytes('x') }, { signal }))).toBe('Unavailable');
    expect(await kindOf(provider.get([{ name }], { signal }))).toBe('Unavailable');
    expect(await kindOf(readOne(provider, { name }))).toBe('NotFound');
  });

  test('rotation by the service: nothing is set at first, and no other secret is there', async () => {
    expect(provider.nativeRotation !== undefined).toBe(can('native-rotation'));
    const rotations = await provider.nativeRotation?.();
    if (rotations === undefined) return;
    expect(rotations.watch !== undefined).toBe(rotations.start !== undefined);
    const name = fresh();
    expect(await kindOf(rotations.read(name, now()))).toBe('NotFound');
    await provider.put(name, { value: bytes('v') }, now());
    expect(await rotations.read(name, now())).toBeUndefined();
    expect((await provider.describe(name, now())).rotation).toBeUndefined();
    const aborted = { signal: AbortSignal.abort(new DOMException('time is up', 'TimeoutError')) };
    expect(await kindOf(rotations.read(name, aborted))).toBe('Unavailable');
  });

  test('says who it is, and diagnoses itself', async () => {
    expect((await provider.identity(now())).principal).not.toBe('');
    const findings = await provider.diagnose(now());
    expect(findings.filter(({ status }) => status === 'fail')).toEqual([]);
    expect(findings.length).toBeGreaterThan(0);
  });

  const others = [
    ['a credential nobody knows', 'Unauthenticated', contract.openStranger],
    ['a credential without rights', 'Denied', contract.openDenied],
    ['an address where nobody answers', 'Unavailable', contract.openUnreachable],
  ] as const;
  for (const [title, kind, open] of others) {
    if (open === undefined) continue;
    test(`with ${title} every call is ${kind}`, async () => {
      const other = await open();
      const name = fresh();
      try {
        expect(await kindOf(readOne(other, { name }))).toBe(kind);
        expect(await kindOf(other.put(name, { value: bytes('x') }, now()))).toBe(kind);
        expect(await kindOf(all(other.list({}, now())))).toBe(kind);
        expect(await kindOf(other.delete(name, {}, now()))).toBe(kind);
        const rotations = await other.nativeRotation?.();
        if (rotations !== undefined) expect(await kindOf(rotations.read(name, now()))).toBe(kind);
      } finally {
        await other.close();
      }
    });
  }

  itKeepsStages(contract, () => provider);
  itTakesEmptySecrets(contract, () => provider);
  itStandsFaults(contract);
  itLosesNoAnswer(contract);
}
