/** The collection secrets.cli, run by ansible-playbook with the built program and the local store. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ANSIBLE, COLLECTION, type Controller, packedIn, startController } from '../backends/ansible.ts';
import { describeWith } from '../backends/server.ts';
import { ROOT } from '../e2e/program.ts';
import { findFiles, formsOf, watchProcesses } from '../e2e/leak-watch.ts';

const page = readFileSync(join(ROOT, 'docs/ansible.md'), 'utf8');
const lookup = (terms: string, options = ''): string =>
  `{{ query('secrets.cli.secrets', ${terms}${options}) | to_json }}`;
/** Writes what a lookup gives to a file: its result is shown nowhere. */
const keep = (content: string, file = 'out.json'): object => ({
  'ansible.builtin.copy': { content, dest: `{{ playbook_dir }}/${file}`, mode: '0600' },
  no_log: true,
});
/** The lines that a diff removes and adds, for a reference. */
const diffOf = (stdout: string, reference: string): readonly string[] => {
  const [, ...after] = stdout.split(`+++ after: ${reference}\n`);
  return (after[0] ?? '').split('\n').slice(1, 3);
};
const write = (args: object, more: object = {}): object => ({ 'secrets.cli.secrets': args, ...more });

describeWith('the collection for Ansible', [ANSIBLE], () => {
  let ansible: Controller;
  beforeAll(async () => {
    ansible = await startController();
  });
  afterAll(() => ansible.place.remove());
  const output = (name = 'out.json'): unknown =>
    JSON.parse(readFileSync(join(ansible.place.cwd, name), 'utf8'));
  const stored = async (reference: string): Promise<string> => {
    const { stdout } = await ansible.sh(`secrets get '${reference}'`);
    return stdout;
  };

  test('packs the plugins and nothing else, with the version of the program', () => {
    expect(packedIn(ansible).toSorted()).toEqual([
      'FILES.json',
      'MANIFEST.json',
      'README.md',
      'meta/runtime.yml',
      'plugins/action/secrets.py',
      'plugins/lookup/secrets.py',
      'plugins/module_utils/cli.py',
      'plugins/modules/secrets.py',
    ]);
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
    const galaxy = readFileSync(join(ROOT, 'integrations/ansible/galaxy.yml'), 'utf8');
    expect(galaxy).toContain(`\nversion: ${version}\n`);
  });

  test('ansible-doc describes every option that the plugins take', async () => {
    const described = async (type: string): Promise<readonly string[]> => {
      const { stdout } = await ansible.sh(`ansible-doc --json -t ${type} secrets.cli.secrets`);
      const docs = JSON.parse(stdout) as Record<string, { doc: { options: object } }>;
      return Object.keys(docs['secrets.cli.secrets']?.doc.options ?? {}).toSorted();
    };
    const action = readFileSync(join(COLLECTION, 'plugins/action/secrets.py'), 'utf8');
    const shared = [...(/^SHARED = \((.*)\)$/m.exec(action)?.[1] ?? '').matchAll(/"(\w+)"/g)];
    const own = [...action.matchAll(/^ {4}"(\w+)": \{/gm)];
    const taken = [...shared, ...own].map(([, name]) => name);
    expect(taken).toHaveLength(13);
    expect(await described('module')).toEqual(taken.toSorted());
    const read = ['_terms', 'as', 'default', ...shared.map(([, name]) => name)];
    expect(await described('lookup')).toEqual(read.toSorted());
  }, 60_000);

  test('the first example of docs/ansible.md works as printed', async () => {
    const [, store = ''] = /```sh\n([^`]*put[^`]*)```/.exec(page) ?? [];
    const [, playbook = ''] = /```yaml\n# site\.yml\n([^`]*)```/.exec(page) ?? [];
    expect(store).toContain('secrets put payments/db#password');
    writeFileSync(join(ansible.place.cwd, 'site.yml'), playbook);
    const { code, stdout } = await ansible.sh(`${store}\nansible-playbook site.yml`);
    expect({ code, stdout }).toMatchObject({ code: 0 });
    const password = await stored('payments/db#password');
    expect(password).toMatch(/^\w{24}$/);
    expect(readFileSync(join(ansible.place.cwd, 'app.env'), 'utf8')).toBe(`DB_PASSWORD=${password}\n`);
    expect(stdout).not.toContain(password);
  }, 300_000);

  test('a lookup of 100 references is one process, and every value stays as it is', async () => {
    const values: Record<string, string> = {
      template: 'a{{ 7*7 }}b{% raw %}',
      lines: 'one\ntwo\r\n\n',
      empty: '',
      quotes: `'"\\$x é漢 `,
      json: '{"n":1,"t":"{{ 1 }}"}',
    };
    for (let index = 0; index < 95; index += 1) values[`n${index}`] = `v${index}`;
    const names = Object.keys(values);
    const input = join(ansible.place.cwd, 'values.json');
    writeFileSync(input, JSON.stringify(values));
    const imported = await ansible.sh(
      "secrets import --quiet values.json local:// >/dev/null && printf 'a\\0\\377b' | secrets put --quiet bytes",
    );
    expect(imported).toMatchObject({ code: 0 });
    ansible.calls();
    const done = await ansible.play([
      keep(lookup(names.map((name) => `'${name}'`).join(','))),
      keep(lookup("'bytes'", ", as='base64'"), 'bytes.json'),
      keep(lookup("'json'", ", as='json'"), 'parsed.json'),
      keep(lookup("'json#t', 'no/such', 'json#x'", ", default='-'"), 'default.json'),
    ]);
    expect({ code: done.code, stdout: done.stdout }).toMatchObject({ code: 0 });
    expect(output()).toEqual(Object.values(values));
    expect(output('bytes.json')).toEqual([Buffer.from('a\0\u00ffb', 'latin1').toString('base64')]);
    expect(output('parsed.json')).toEqual([{ n: 1, t: '{{ 1 }}' }]);
    expect(output('default.json')).toEqual(['{{ 1 }}', '-', '-']);
    // One each for the four lookups.
    expect(ansible.calls()).toHaveLength(4);
  }, 300_000);

  test('a lookup that fails names every reference and the exit code, and no value', async () => {
    await ansible.sh(
      "printf 'a\\377canary-b' | secrets put --quiet bytes; printf canary-t | secrets put --quiet t",
    );
    const failing = [
      lookup("'no/such', 't', 'none'"),
      lookup("'bytes'"),
      lookup("'t'", ", as='json'"),
      lookup("'t'", ", executable='/no/such/program'"),
      lookup("'t'", ", executable='/bin/echo'"),
      lookup("'--help'"),
    ];
    const { stdout } = await ansible.play(
      failing.map((content) => ({ 'ansible.builtin.debug': { msg: content }, ignore_errors: true })),
    );
    const messages = [...stdout.matchAll(/^fatal: .*$/gm)].map(([line]) => line.replaceAll('\\"', '"'));
    expect(messages).toHaveLength(failing.length);
    expect(messages[0]).toMatch(/no\/such: .*none: .*\(exit code 3\)/);
    expect(messages[1]).toContain("bytes: the value is not UTF-8; use as='base64'");
    expect(messages[2]).toContain('t: the value is not JSON');
    expect(messages[3]).toContain('was not found on the controller');
    expect(messages[4]).toContain('is it the secrets command?');
    expect(messages[5]).toMatch(/exit code [23]/);
    expect(stdout).not.toContain('canary');
  }, 300_000);

  test('the module changes only what differs, keeps other keys, and is idempotent', async () => {
    const tasks = [
      write({ name: 'm/text', value: 'a{{ \'\' }}\n "b"' }),
      write({ name: 'm/json#user', value: 'app' }),
      write({ name: 'm/json#password', value: '0123' }),
      write({ name: 'm/bytes', value_base64: '/wAK' }),
      write({ name: 'm/empty', value: '', allow_empty: true }),
      write({ name: 'm/once', value: 'first', if_absent: true }),
      write({ name: 'm/made', generate: 'alnum:40', if_absent: true }),
      write({ name: 'm/made2#key', generate: 'alnum:40', if_absent: true }),
    ];
    const count = tasks.length;
    const rehearsed = await ansible.play(tasks, '--check --diff');
    expect(rehearsed.stdout).toMatch(new RegExp(`ok=${count} +changed=${count} .*failed=0`));
    expect(diffOf(rehearsed.stdout, 'm/text')).toEqual(['-absent', '+a new version']);
    expect((await ansible.sh('secrets list m/')).stdout).toBe('');
    const first = await ansible.play(tasks);
    expect(first.stdout).toMatch(new RegExp(`ok=${count} +changed=${count} .*failed=0`));
    const made = await stored('m/made');
    const other = await ansible.play([write({ name: 'm/text', value: 'other' })], '--check --diff');
    expect(diffOf(other.stdout, 'm/text')).toEqual(['-version 1', '+a new version']);
    const again = await ansible.play([...tasks, write({ name: 'm/once', value: 'second', if_absent: true })]);
    expect(again.stdout).toMatch(new RegExp(`ok=${count + 1} +changed=0 .*failed=0`));
    expect(await stored('m/text')).toBe('a\n "b"');
    expect(JSON.parse(await stored('m/json'))).toEqual({ user: 'app', password: '0123' });
    expect(await stored('m/once')).toBe('first');
    expect(await stored('m/empty')).toBe('');
    expect([made, await stored('m/made')]).toEqual([expect.stringMatching(/^\w{40}$/), made]);
    expect((await ansible.sh('secrets get m/bytes | od -An -tx1')).stdout.trim()).toBe('ff 00 0a');
  }, 600_000);

  test('the module deletes once, and check mode deletes nothing', async () => {
    await ansible.sh('printf v | secrets put --quiet d/x');
    const task = [write({ name: 'd/x', state: 'absent' })];
    const rehearsed = await ansible.play(task, '--check --diff');
    expect(rehearsed.stdout).toMatch(/changed=1 /);
    expect(diffOf(rehearsed.stdout, 'd/x')).toEqual(['-present', '+deleted']);
    expect(await stored('d/x')).toBe('v');
    expect((await ansible.play([...task, ...task])).stdout).toMatch(/ok=2 +changed=1 .*failed=0/);
    expect((await ansible.sh('secrets get d/x')).code).toBe(3);
  }, 300_000);

  test('if_absent is only ok if there is a secret that can be read', async () => {
    const error = (kind: string, message: string): string => JSON.stringify({ error: { kind, message } });
    // A store as a service would be: what it says of the secret, and of a write.
    const stores = {
      deleted: {
        metadata: '{"deletedAt":"2026-01-01"}',
        put: [5, error('Conflict', 'a deleted secret blocks it')],
      },
      declared: { metadata: '{"name":"x"}', put: [0, '{"version":"1"}'] },
      raced: { metadata: '', put: [5, error('Conflict', 'already exists')] },
      plain: { metadata: '{"name":"x"}', put: [2, error('Unsupported', 'no conditional write')] },
    } as const;
    const bin = join(ansible.place.root, 'stores');
    mkdirSync(bin);
    for (const [name, { metadata, put }] of Object.entries(stores)) {
      // Whoever was first in a race is there at the second look.
      const look =
        name === 'raced' ? `[ -e '${bin}/there' ] && echo '{"currentVersion":"7"}'` : `echo '${metadata}'`;
      const script = `#!/bin/sh
case "$*" in
  *' get --metadata '*) ${look} && exit 0; exit 3 ;;
  *' get '*) echo '{"value":"theirs","encoding":"utf8","version":"4"}' ;;
  *) : > '${bin}/there'; echo '${put[1]}' >${put[0] === 0 ? '&1' : '&2'}; exit ${put[0]} ;;
esac
`;
      writeFileSync(join(bin, name), script, { mode: 0o755 });
    }
    const { stdout } = await ansible.play(
      Object.keys(stores).map((name) =>
        write(
          { name: 'x', value: 'mine', if_absent: true, executable: join(bin, name) },
          { name, ignore_errors: true },
        ),
      ),
    );
    const results = [...stdout.matchAll(/^TASK \[(\w+)\][^]*?^(ok|changed|fatal): (.*)$/gm)];
    expect(results.map(([, name, outcome]) => [name, outcome])).toEqual([
      ['deleted', 'fatal'],
      ['declared', 'changed'],
      ['raced', 'ok'],
      ['plain', 'ok'],
    ]);
    expect(results[0]?.[3]).toContain('a deleted secret blocks it');
  }, 300_000);

  test('a fact of a host chooses neither the program nor the store', async () => {
    const evil = join(ansible.place.root, 'evil');
    writeFileSync(evil, `#!/bin/sh\n: > '${evil}-ran'\n`, { mode: 0o755 });
    // Among the facts, as those that a module on the host returns.
    const facts = (more: object): object => ({
      'ansible.builtin.set_fact': { ...more, cacheable: true },
    });
    const use = (name: string): readonly object[] => [
      { ...write({ name, value: 'v' }), ignore_errors: true },
      { 'ansible.builtin.debug': { msg: lookup("'t'") }, ignore_errors: true },
    ];
    await ansible.sh('printf v | secrets put --quiet t');
    const program = await ansible.play([facts({ secrets_executable: evil }), ...use('f/one')]);
    expect(program.stdout).toMatch(/ok=3 +changed=1 .*failed=0/);
    const store = await ansible.play([facts({ secrets_profile: 'x' }), ...use('f/two')]);
    expect(store.stdout.match(/secrets_profile is a fact of the host/g)?.length).toBeGreaterThanOrEqual(2);
    expect(existsSync(`${evil}-ran`)).toBe(false);
    const configured = await ansible.play(
      [{ ...write({ name: 'f/x', value: 'v' }), ignore_errors: true }],
      '',
      {
        SECRETS_EXECUTABLE: evil,
      },
    );
    expect(existsSync(`${evil}-ran`)).toBe(true);
    expect(configured.stdout).toMatch(/failed=0/);
  }, 300_000);

  test('no value of a loop is shown by a failure, whatever failed', async () => {
    const value = 'canary-loop';
    const looped = (args: object, more: object = {}): object =>
      write({ value: '{{ item }}', ...args }, { loop: [value], ignore_errors: true, ...more });
    const foreign = join(ansible.place.root, 'foreign');
    writeFileSync(foreign, "#!/bin/sh\necho '[1]'\n", { mode: 0o755 });
    const tasks = [
      looped({ name: 'l/one' }, { vars: { secrets_reason: '{{ nothing }}' } }),
      looped({ name: "l/two{{ '%c' | format(0) }}" }),
      looped({ name: 'l/three', executable: foreign }),
      looped({ name: 'l/four' }, { async: 5 }),
      looped({ name: 'l/five', reason: "{{ '%c' | format(55296) }}" }),
    ];
    const { stdout, stderr } = await ansible.play(tasks, '-vvv');
    expect(stdout).toMatch(/ignored=5/);
    expect(stdout + stderr).not.toContain('canary');
  }, 300_000);

  test('the module refuses what would be lost, and says so without the value', async () => {
    const tasks = [
      write({ name: 'r/number', value: 4711 }),
      write({ name: 'r/map', value: { password: 'canary-map' } }),
      write({ name: 'r/empty', value: '' }),
      write({ name: 'r/both', value: 'canary-both', generate: 'hex:8' }),
      write({ name: 'r/generated', generate: 'hex:8' }),
      write({ name: 'r/base64', value_base64: 'canary!' }),
      write({ name: 'r/../up', value: 'canary-name' }),
      write({ name: 'r/x#key', state: 'absent' }),
      write({ name: 'r/typo', valeu: 'x' }),
    ].map((task) => ({ ...task, ignore_errors: true }));
    const { stdout } = await ansible.play(tasks);
    const messages = [...stdout.matchAll(/^fatal: .*$/gm)].map(([line]) => line);
    expect(messages).toHaveLength(tasks.length);
    const said = [
      /value is a number, not text; quote a number/,
      /value is a mapping, not text/,
      /the value is empty.*exit code 2/,
      /takes one of value, value_base64 and generate/,
      /set if_absent: true/,
      /value_base64 is not base64/,
      /exit code 2/,
      /omit #key.*exit code 2/,
      /Unsupported parameters.*valeu/,
    ];
    for (const [index, pattern] of said.entries()) expect(messages[index]).toMatch(pattern);
    expect(stdout).not.toMatch(/canary|4711/);
    expect((await ansible.sh('secrets list r/')).stdout).toBe('');
  }, 300_000);

  test('no value is in -vvv, callbacks, logs, facts, temporary files or any process', async () => {
    const canary = 'canary-Zq7x{{ 1 }}9LmP';
    const { place } = ansible;
    const input = join(place.root, 'canary');
    writeFileSync(input, canary);
    expect((await ansible.sh(`secrets put --quiet leak/source --from-file '${input}'`)).code).toBe(0);
    const value = "{{ lookup('secrets.cli.secrets', 'leak/source') }}";
    const folders = {
      ANSIBLE_LOG_PATH: join(place.root, 'ansible.log'),
      ANSIBLE_CALLBACKS_ENABLED: 'ansible.builtin.junit,ansible.builtin.tree',
      JUNIT_OUTPUT_DIR: join(place.root, 'junit'),
      ANSIBLE_CALLBACK_TREE_DIR: join(place.root, 'tree'),
      ANSIBLE_CACHE_PLUGIN: 'jsonfile',
      ANSIBLE_CACHE_PLUGIN_CONNECTION: join(place.root, 'facts'),
      ANSIBLE_KEEP_REMOTE_FILES: '1',
    };
    const work = () =>
      ansible.play(
        [
          { 'ansible.builtin.setup': { gather_subset: '!all' } },
          { 'ansible.builtin.set_fact': { password: value }, no_log: true },
          write({ name: 'leak/one', value }),
          write({ name: 'leak/one', value: '{{ password }}' }, { register: 'told' }),
          { 'ansible.builtin.debug': { var: 'told' } },
          write(
            { name: '{{ item.name }}', value: '{{ item.value }}' },
            { loop: [{ name: 'leak/two#key', value }] },
          ),
          write({ name: 'leak/../three', value }, { ignore_errors: true }),
          write(
            { name: 'leak/four', value: '{{ item }}', if_absent: 'perhaps' },
            { loop: [value], ignore_errors: true },
          ),
        ],
        '-vvv --diff',
        folders,
      );
    const forms = formsOf(canary);
    const { result, sightings, seen } = await watchProcesses(work, forms, () => false);
    expect({ code: result.code, stdout: result.stdout }).toMatchObject({ code: 0 });
    expect(result.stdout).toMatch(/ok=8 +changed=2 .*ignored=2/);
    expect(await stored('leak/one')).toBe(canary);
    expect(sightings).toEqual([]);
    expect([...seen].some((command) => command.includes('ansible-playbook'))).toBe(true);
    for (const path of ['ansible.log', 'junit', 'tree', 'facts'])
      expect({ path, there: existsSync(join(place.root, path)) }).toEqual({ path, there: true });
    expect(forms.filter((form) => `${result.stdout}${result.stderr}`.includes(form))).toEqual([]);
    expect(findFiles([place.root], forms, [input])).toEqual([]);
  }, 600_000);
});
