/** What a person at a terminal sees: the program runs under bash in a pseudo-terminal. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { heardIn } from '../heard.ts';
import { makePlace, type Place } from './program.ts';
import { Terminal } from './terminal.ts';

const CTRL_C = '\u0003';

describe('at a terminal', () => {
  let place: Place;
  let terminal: Terminal;
  beforeEach(async () => {
    place = await makePlace();
    await place.sh('printf v | secrets put --quiet app/db');
    terminal = new Terminal(place);
  });
  afterEach(async () => {
    terminal.close();
    await place.remove();
  });

  test.each([
    ['a hidden prompt', 'secrets put a', /Value/],
    ['a question', 'secrets purge app/db', /Type app\/db to go on/],
  ])('Ctrl-C at %s restores the terminal and exits 130', async (_, command, question) => {
    terminal.type('stty -a > before\n');
    terminal.type(`${command}; echo "code=$?"; stty -a > after; cmp before after && echo sa''me\n`);
    await terminal.until(question);
    await terminal.untilAsked();
    terminal.type(CTRL_C);
    const seen = await terminal.until(/code=\d+[^]*(?:same|differ)/);
    expect(seen).toContain('code=130');
    expect(seen).toContain('same');
    expect(seen).not.toContain('secrets:');
    // The cursor is shown again.
    expect(terminal.seen.lastIndexOf('\u001b[?25h')).toBeGreaterThanOrEqual(
      terminal.seen.lastIndexOf('\u001b[?25l'),
    );
    const { stdout } = await place.sh('secrets list');
    expect(stdout).toBe('app/db\n');
  });

  test.each([
    ['a hidden prompt', 'secrets put a', /Value/],
    ['a question', 'secrets purge app/db', /Type app\/db to go on/],
  ])('SIGINT of another process ends %s, too', async (_, command, question) => {
    terminal.type(`(echo $BASHPID > pid; exec ${command}); echo "code=$?"\n`);
    await terminal.until(question);
    await terminal.untilAsked();
    await place.sh('kill -INT "$(cat pid)"');
    expect(await terminal.until(/code=\d+/)).toContain('code=130');
    expect(terminal.seen).not.toContain('secrets:');
  });

  test.each([
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ])('%s at a prompt ends it, and the cursor is shown', async (signal, code) => {
    terminal.type('stty -a > before; (echo $BASHPID > pid; exec secrets put a); echo "code=$?"\n');
    await terminal.until(/Value/);
    await terminal.untilAsked();
    await place.sh(`kill -${signal.slice(3)} "$(cat pid)"`);
    expect(await terminal.until(/code=\d+/)).toContain(`code=${code}`);
    const [shown, hidden] = ['h', 'l'].map((end) => terminal.seen.lastIndexOf(`\u001b[?25${end}`));
    expect(shown).toBeGreaterThan(hidden ?? 0);
    terminal.type('stty -a > after; cmp before after && echo sa""me\n');
    await terminal.until(/same/);
  });

  const makeShut = async (others = {}): Promise<void> => {
    const shut = { provider: 'local', path: join(place.root, 'shut'), key: { method: 'passphrase' } };
    await writeFile(join(place.cwd, 'secrets.yaml'), JSON.stringify({ stores: { shut, ...others } }));
    expect((await place.sh('secrets trust --yes')).code).toBe(0);
    await place.sh('printf v | secrets put --quiet shut://a', { SECRETS_PASSPHRASE: 'a passphrase' });
  };

  test('SIGTERM at a prompt ends the watch of a template as elsewhere', async () => {
    await makeShut();
    await writeFile(join(place.cwd, 't'), '{{ shut://a }}');
    terminal.type('(echo $BASHPID > pid; exec secrets inject -i t -o out --watch); echo "code=$?"\n');
    await terminal.until(/Passphrase of store shut/);
    await terminal.untilAsked();
    await place.sh('kill -TERM "$(cat pid)"');
    expect(await terminal.until(/code=\d+/)).toContain('code=0');
  });

  test('SIGTERM at a prompt ends a command that waits for a plugin as well, and the plugin', async () => {
    await writeFile(
      join(place.cwd, 'secrets-provider-slow'),
      `#!/bin/sh\necho $$ > '${place.cwd}/plugin'\nexec sleep 600\n`,
      { mode: 0o755 },
    );
    await makeShut({ slow: { provider: 'exec', plugin: 'slow' } });
    terminal.type('PATH=$PWD:$PATH\n');
    terminal.type('(echo $BASHPID > pid; exec secrets --trust get shut://a slow://a); echo "code=$?"\n');
    await terminal.until(/Passphrase of store shut/);
    await terminal.untilAsked();
    const signalled = await place.sh(
      'for n in $(seq 400); do [ -s plugin ] && break; sleep 0.05; done; kill -TERM "$(cat pid)"; timeout 20 tail --pid="$(cat plugin)" -f /dev/null',
    );
    expect(signalled.code).toBe(0);
    expect(await terminal.until(/code=\d+/)).toContain('code=143');
  });

  test('SIGTERM at a prompt of a rotation counts once, as elsewhere: the step under way has its time', async () => {
    await makeShut();
    const heard = heardIn(place.root);
    const person = new Terminal(place, heard.env);
    try {
      const rotate = 'secrets rotate shut://a --generate hex:8';
      person.type(`(echo $BASHPID > pid; exec ${rotate}); echo "code=$?"\n`);
      await person.until(/Passphrase of store shut/);
      await person.untilAsked();
      await place.sh('kill -TERM "$(cat pid)"');
      const seen = await person.until(/code=\d+/);
      expect(seen).toContain('stopping after the current step');
      expect(heard.lines().filter((line) => line === 'got SIGTERM')).toHaveLength(1);
      const [shown, hidden] = ['h', 'l'].map((end) => person.seen.lastIndexOf(`\u001b[?25${end}`));
      expect(shown).toBeGreaterThan(hidden ?? 0);
    } finally {
      person.close();
    }
  });

  test('a list that nobody reads on closes the question of another store', async () => {
    const stores = {
      open: { provider: 'local', path: join(place.root, 'open'), key: { method: 'key-file' } },
      shut: { provider: 'local', path: join(place.root, 'shut'), key: { method: 'passphrase' } },
    };
    await writeFile(join(place.cwd, 'secrets.yaml'), JSON.stringify({ stores }));
    expect((await place.sh('secrets trust --yes')).code).toBe(0);
    await place.sh('printf v | secrets put --quiet shut://a', { SECRETS_PASSPHRASE: 'a passphrase' });
    for (const name of ['a', 'b', 'c']) await place.sh(`printf v | secrets put --quiet open://${name}`);
    // What reads the list has ended before its first line: how much is written before `head -1` ends is chance.
    terminal.type('secrets list --all-stores | true; echo "code=${PIPESTATUS[0]}"\n');
    expect(await terminal.until(/code=\d+/)).toContain('code=0');
  });

  test('a value is asked for twice and never shown', async () => {
    terminal.type('secrets put typed; echo "code=$?"\n');
    await terminal.until(/Value/);
    await terminal.untilAsked();
    terminal.type('c4nary-value\r');
    await terminal.until(/again/);
    await terminal.untilAsked();
    terminal.type('c4nary-value\r');
    await terminal.until(/code=0/);
    expect(terminal.seen).not.toContain('c4nary');
    const { stdout } = await place.sh('secrets get typed');
    expect(stdout).toBe('c4nary-value');
  });

  test('a note says how a Kubernetes Secret is applied, on a terminal and nowhere else', async () => {
    const env = 'secrets env -e DB=app/db --format kubernetes';
    terminal.type(`${env} | sha256sum; echo "code=$?"\n`);
    const seen = await terminal.until(/code=0/);
    expect(
      seen.match(/kubectl apply --server-side: a plain apply stores the values a second time/g),
    ).toHaveLength(1);
    expect((await place.sh(env)).stderr).toBe('');
    terminal.type(`${env} --quiet | sha256sum; echo "quiet=$?"\n`);
    expect(await terminal.until(/quiet=0/)).not.toContain('--server-side');
  });

  test('a piped value that ends in a line break is stored with it, and that is said once', async () => {
    terminal.type(
      'echo v | secrets put piped; printf v | secrets put bare; printf "v\\n\\n" | secrets put two; echo v | secrets put --trim cut; echo "code=$?"\n',
    );
    await terminal.until(/code=0/);
    expect(terminal.seen.match(/ends in a line break.*--trim/g)).toHaveLength(1);
    const { stdout } = await place.sh(
      'for name in piped bare two cut; do secrets get $name | od -An -tx1; done',
    );
    expect(stdout.replaceAll(/ +/g, ' ').trim()).toBe('76 0a\n 76\n 76 0a 0a\n 76');
  });

  test('stores that are opened at the same time ask for their passphrases one after the other', async () => {
    const passphrases = { one: 'first passphrase', two: 'second passphrase' };
    const stores = Object.keys(passphrases).map((name) => [
      name,
      { provider: 'local', path: join(place.root, name), key: { method: 'passphrase' } },
    ]);
    await writeFile(join(place.cwd, 'secrets.yaml'), JSON.stringify({ stores: Object.fromEntries(stores) }));
    expect((await place.sh('secrets trust --yes')).code).toBe(0);
    for (const [name, passphrase] of Object.entries(passphrases))
      await place.sh(`printf ${name} | secrets put --quiet ${name}://x`, { SECRETS_PASSPHRASE: passphrase });
    terminal.type('secrets get one://x two://x; echo "code=$?"\n');
    for (const [name, passphrase] of Object.entries(passphrases)) {
      await terminal.until(new RegExp(`\\?.*Passphrase of store ${name}`));
      await terminal.untilAsked();
      terminal.type(`${passphrase}\r`);
    }
    expect(await terminal.until(/code=\d+/)).toMatch(/one\r\ntwo\r\ncode=0/);
    // Ctrl-C at the first question is the end of all of them.
    terminal.type('secrets get one://x two://x; echo "code=$?"\n');
    await terminal.until(/\?.*Passphrase of store one/);
    await terminal.untilAsked();
    terminal.type(CTRL_C);
    expect(await terminal.until(/code=\d+/)).toMatch(/^(?:(?!store two)[^])*code=130/);
  });

  test('two different values write nothing', async () => {
    terminal.type('secrets put typed; echo "code=$?"\n');
    await terminal.until(/Value/);
    await terminal.untilAsked();
    terminal.type('one\r');
    await terminal.until(/again/);
    await terminal.untilAsked();
    terminal.type('two\r');
    expect(await terminal.until(/code=2/)).toContain('the two values differ');
    expect((await place.sh('secrets get typed')).code).toBe(3);
  });

  test('purge goes on only for the right name', async () => {
    for (const [answer, code] of [
      ['app/d', 1],
      ['app/db', 0],
    ] as const) {
      terminal.type('secrets purge app/db; echo "code=$?"\n');
      await terminal.until(/to go on/);
      await terminal.untilAsked();
      terminal.type(`${answer}\r`);
      await terminal.until(new RegExp(`code=${code}`));
    }
    expect((await place.sh('secrets list --deleted')).stdout).toBe('');
  });

  test('a value with control characters is refused, and printed with --raw', async () => {
    await place.sh(String.raw`printf '\033]0;pwned\007' | secrets put evil`);
    terminal.type('secrets get evil; echo "code=$?"\n');
    const seen = await terminal.until(/code=\d/);
    expect(seen).toContain('code=2');
    expect(seen).toContain('use --out FILE, a pipe, or --raw');
    expect(seen).not.toContain('\u001b]0;');
    terminal.type('secrets get evil --raw; echo "code=$?"\n');
    expect(await terminal.until(/code=0/)).toContain('\u001b]0;pwned\u0007');
  });

  test('a table has a bold head, and none of it with NO_COLOR', async () => {
    terminal.type('secrets list --long; echo "code=$?"\n');
    expect(await terminal.until(/code=0/)).toMatch(/\u001b\[1mNAME\u001b\[22m/);
    terminal.type('NO_COLOR=1 secrets list --long; echo "code=$?"\n');
    const plain = await terminal.until(/code=0/);
    expect(plain).toMatch(/NAME +VERSION +UPDATED/);
    expect(plain).not.toContain('\u001b[1m');
  });

  test('a value ends with a newline, so that the prompt starts on its own line', async () => {
    terminal.type('secrets get app/db; echo "code=$?"\n');
    expect(await terminal.until(/code=0/)).toMatch(/v\r\n(?:\u001b\S*)*code=0/);
  });
});
