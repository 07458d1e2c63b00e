import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { commands } from '../../src/commands/index.ts';
import { makePlace, type Place } from '../e2e/program.ts';
import { program, testNeeding } from '../needs.ts';

const CACHE = { SECRETS_COMPLETION_CACHE: '1' };

/** What each shell offers for a line, the cursor at its end. */
const SHELLS: Readonly<Record<string, (line: string) => string>> = {
  bash: (line) => `
    source ./completion.bash
    COMP_LINE=${quote(line)}; COMP_POINT=\${#COMP_LINE}
    # readline breaks words at these too
    IFS=' ' read -ra COMP_WORDS <<< "$(sed 's/:/ : /g' <<< "$COMP_LINE")"
    [[ $COMP_LINE == *' ' ]] && COMP_WORDS+=('')
    COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
    _secrets; printf '%s\\n' "\${COMPREPLY[@]}"`,
  fish: (line) =>
    `LINE=${quote(line)} fish --no-config -c 'source ./completion.fish; complete -C "$LINE"' | cut -f1`,
  zsh: (line) => `
    cat > run.zsh <<'END'
    # compadd of the completion system is replaced by one that prints what it is offered
    compdef() { :; }
    source ./completion.zsh
    compadd() { [[ $1 == -- ]] && shift; print -l -- "$@" | grep -- "^\${words[CURRENT]}"; return 0 }
    _files() { print _files }
    _command_names() { print _command_names }
    words=("\${(@s: :)LINE}"); CURRENT=$#words
    _secrets
END
    LINE=${quote(line)} zsh -f run.zsh`,
};

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

describe.each(Object.keys(SHELLS))('completion in %s', (shell) => {
  const testHere = testNeeding(program(shell));
  let place: Place;
  beforeAll(async () => {
    place = await makePlace();
    for (const name of ['app/db', 'app/web', 'other'])
      await place.sh(`printf x | secrets put --quiet ${name}`);
    await place.sh(`secrets completion ${shell} > completion.${shell}`);
    await place.sh('secrets list', CACHE);
  });
  afterAll(() => place.remove());

  const complete = async (line: string, env = {}): Promise<string[]> => {
    const { stdout, stderr } = await place.sh((SHELLS[shell] as (line: string) => string)(line), env);
    expect(stderr).toBe('');
    return stdout.split('\n').filter((word) => word !== '');
  };

  testHere('offers every command', async () => {
    const offered = await complete('secrets ');
    for (const { name } of commands) expect(offered).toContain(name);
  });

  testHere('completes the beginning of a command', async () => {
    expect((await complete('secrets hist')).map((word) => word.trim())).toEqual(['history']);
  });

  testHere('offers the options of a command', async () => {
    const offered = await complete('secrets put a --gen');
    expect(offered).toEqual(['--generate']);
  });

  testHere('offers verbs of a noun and shells of completion', async () => {
    expect(await complete('secrets stores re')).toContain('rekey');
    expect(await complete('secrets completion z')).toContain('zsh');
  });

  testHere('offers names from the cache when the user turned it on', async () => {
    expect((await complete('secrets get app/', CACHE)).toSorted()).toEqual(['app/db', 'app/web']);
  });

  testHere('offers no name otherwise', async () => {
    expect(await complete('secrets get app/')).toEqual([]);
  });
});

describe('the cache of names', () => {
  let place: Place;
  const file = (): string => join(place.home, '.cache/secrets/names/local');
  beforeEach(async () => {
    place = await makePlace();
    await place.sh('printf canary-value | secrets put --quiet app/db');
  });
  afterEach(() => place.remove());

  test('does not exist unless it is asked for', async () => {
    await place.sh('secrets list');
    expect(existsSync(join(place.home, '.cache'))).toBe(false);
  });

  test('holds names and no values, for the user alone', async () => {
    await place.sh('secrets list', CACHE);
    expect(await readFile(file(), 'utf8')).toBe('app/db\n');
    expect((await stat(file())).mode & 0o777).toBe(0o600);
    expect((await stat(join(place.home, '.cache/secrets/names'))).mode & 0o777).toBe(0o700);
    expect(await readdir(join(place.home, '.cache/secrets/names'))).toEqual(['local']);
  });

  test('is read at TAB without asking the store', async () => {
    await place.sh('secrets list', CACHE);
    await place.sh('rm -r ~/.local');
    const { stdout } = await place.sh('secrets completion names', CACHE);
    expect(stdout.split('\n')).toEqual(expect.arrayContaining(['app/db', 'local://app/db', 'local://']));
    expect(existsSync(join(place.home, '.local'))).toBe(false);
  });

  test('does not offer a name that a shell would take for more than a word', async () => {
    await place.sh('secrets list', CACHE);
    await writeFile(file(), 'good\n$(touch pwned)\n`x`\na b\n;ls\n');
    const { stdout } = await place.sh('secrets completion names', CACHE);
    expect(stdout.split('\n').filter((name) => !name.includes('://'))).toEqual(['good', '']);
  });
});
