import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { plainGet } from '../../src/cli/cli.ts';
import { createProgram, type Line, parseLine } from '../../src/cli/command-line.ts';
import { get } from '../../src/commands/get.cli.ts';
import { commands } from '../../src/commands/index.ts';
import type { CommandSpec } from '../../src/commands/command.ts';
import { commonOptions } from '../../src/commands/common-options.ts';
import type { ProgramWorld } from '../../src/config/kinds.ts';
import { ROOT } from '../e2e/program.ts';

interface Parsed {
  readonly name: string;
  readonly args: readonly string[];
}

function makeWorld(argv: readonly string[] = []): { world: ProgramWorld; written: () => string } {
  const out = new PassThrough();
  const world: ProgramWorld = {
    argv,
    env: {},
    cwd: '/',
    home: '/',
    machineFolder: '/nonexistent',
    uid: 0,
    names: () => ({ user: 'ann', host: 'laptop' }),
    stdin: new PassThrough(),
    stdout: out,
    stderr: out,
    now: () => new Date(0),
    providers: [],
    targets: async () => [],
    onSignal: () => () => {},
  };
  return { world, written: () => String(out.read() ?? '') };
}

/** Parses a command line as the program would, without doing it. Rejects when it does not parse. */
async function parse(words: readonly string[]): Promise<{ parsed: Parsed | undefined; output: string }> {
  const { world, written } = makeWorld(words);
  let parsed: Parsed | undefined;
  const code = await parseLine(world, commands, (spec, args) => {
    parsed = { name: spec.name, args };
    return Promise.resolve();
  });
  if (code !== undefined && code !== 0) throw new Error(written());
  return { parsed, output: written() };
}

/** The words of the call of `secrets` in an example: quotes undone, cut at pipes, redirections and brackets. */
function wordsOf(example: string): string[] {
  const call = /(?:^|[|(] ?)(?:\w+=\S+ )*secrets (.*)$/.exec(example)?.[1];
  if (call === undefined) throw new Error(`no call of secrets in ${example}`);
  const words = [...call.matchAll(/'([^']*)'|"([^"]*)"|[^\s'"]+/g)].map(
    ([word, single, double]) => single ?? double ?? word,
  );
  const end = words.findIndex((word) => /^[|>&)]/.test(word));
  return (end === -1 ? words : words.slice(0, end)).map((word) => word.replace(/\)$/, ''));
}

function flatten(
  specs: readonly CommandSpec[],
  path: readonly string[] = [],
): { path: string[]; spec: CommandSpec }[] {
  return specs.flatMap((spec) => [
    { path: [...path, spec.name], spec },
    ...flatten(spec.subcommands ?? [], [...path, spec.name]),
  ]);
}

const all = flatten(commands).map(({ path, spec }) => ({ title: path.join(' '), path, spec }));

describe('--help', () => {
  test.each(all)('of $title shows its options and examples', async ({ path, spec }) => {
    // A noun without work of its own has its verbs' examples.
    expect(spec.examples.length).toBeGreaterThan(spec.load === undefined ? -1 : 0);
    const { output } = await parse([...path, '--help']);
    for (const { command, does } of spec.examples) {
      expect(output).toContain(`$ ${command}`);
      expect(output).toContain(`# ${does}`);
    }
    for (const { flags } of spec.options ?? []) expect(output).toContain(flags);
  });

  test.each(all)('of $title names the common options in one line, below its own', async ({ path, spec }) => {
    const { output } = await parse([...path, '--help']);
    const line = output.indexOf('\nCommon options: secrets help options\n');
    for (const { flags } of [...(spec.options ?? []), { flags: '-h, --help' }])
      expect(output.slice(0, line)).toContain(flags);
    for (const { name } of (spec.subcommands ?? []).filter(({ hidden }) => hidden !== true))
      expect(output.slice(0, line)).toMatch(new RegExp(`^  ${name}\\b`, 'm'));
    for (const { flags } of commonOptions) expect(output).not.toContain(`\n  ${flags}`);
  });

  const examples = all.flatMap(({ path, spec }) =>
    spec.examples.map(({ command }) => ({ command, path, spec })),
  );
  test.each(examples)('the example parses: $command', async ({ command, spec }) => {
    const { parsed } = await parse(wordsOf(command));
    expect(parsed?.name).toBe(spec.name);
  });

  test('an example that does not parse would be found', async () => {
    await expect(parse(wordsOf('secrets get a --no-such-option'))).rejects.toThrow('unknown option');
    await expect(parse(wordsOf('secrets purge'))).rejects.toThrow('missing required argument');
  });

  test('lists every command', async () => {
    const { output } = await parse(['--help']);
    for (const { name } of commands) expect(output).toMatch(new RegExp(`^  ${name}\\b`, 'm'));
    expect(output).toContain('\nCommon options: secrets help options\n');
  });
});

describe('help', () => {
  test('options: shows the common options', async () => {
    const { output } = await parse(['help', 'options']);
    for (const { flags, description } of commonOptions)
      expect(output.replace(/\s+/g, ' ')).toContain(`${flags} ${description}`);
  });

  test.each(all)('$title is its --help', async ({ path }) => {
    const { output } = await parse(['help', ...path]);
    expect(output).toBe((await parse([...path, '--help'])).output);
  });

  test('finds a command by its alias, and refuses what is none', async () => {
    expect((await parse(['help', 'rm'])).output).toContain('Usage: secrets delete|rm');
    await expect(parse(['help', 'no-such-command'])).rejects.toThrow(
      "secrets: unknown command 'no-such-command'; see secrets help\n",
    );
    await expect(parse(['help', 'rotate', 'rm'])).rejects.toThrow("unknown command 'rotate rm'");
  });

  test('a mistyped common option is still suggested', async () => {
    await expect(parse(['get', 'a', '--jsno'])).rejects.toThrow('did you mean --json?');
  });

  test.each([
    [['get'], "missing required argument 'ref'", 'see secrets help get'],
    [['rotate', 'resume'], "missing required argument 'ref'", 'see secrets help rotate resume'],
    [['env', '--format', 'ini'], 'Allowed choices are dotenv,', 'see secrets help env'],
    [['lits'], "unknown command 'lits'", 'did you mean list?'],
    [['exec'], "missing required argument 'command'", 'see secrets help exec'],
  ])('a line that does not parse is one line, and JSON with --json: %j', async (words, what, hint) => {
    const refused = await parse(words).catch((thrown: Error) => thrown.message);
    expect(refused).toMatch(/^secrets: [^\n]+\n$/);
    expect(refused).toContain(what);
    expect(refused).toContain(`; ${hint}`);
    const json = await parse([...words, '--json']).catch((thrown: Error) => thrown.message);
    expect(JSON.parse(json as string)).toEqual({
      error: { kind: 'Usage', message: expect.stringContaining(what), hint, exitCode: 2 },
    });
  });
});

describe('a get without options', () => {
  async function parsedAs(argv: readonly string[]): Promise<Line | undefined> {
    let line: Line | undefined;
    const program = createProgram(makeWorld().world, [get], (...given) => {
      line = given;
      return Promise.resolve();
    });
    await program.parseAsync([...argv], { from: 'user' });
    return line;
  }

  test.each([[['get', 'a']], [['get', 'a', 'b', 'get', 'aws://c#d', 'help', '']]])(
    'comes to what the parser makes of it: %j',
    async (argv) => {
      const plain = plainGet(argv);
      expect(plain).toBeDefined();
      expect(plain).toEqual(await parsedAs(argv));
    },
  );

  test.each([
    [['get']],
    [['get', '-']],
    [['get', '--', 'a']],
    [['get', 'a', '--json']],
    [['list', 'a']],
    [[]],
  ])('anything else is the parser’s: %j', (argv: string[]) => {
    expect(plainGet(argv)).toBeUndefined();
  });
});

describe('the specs', () => {
  // These only change what a shell or a file of the user's own sees.
  const WRITERS = ['put', 'delete', 'restore', 'purge', 'stores rekey', 'init', 'trust'];
  test.each(WRITERS)('%s has --dry-run', (title) => {
    const found = all.find((entry) => entry.title === title);
    expect(found?.spec.options?.map(({ flags }) => flags)).toContain('--dry-run');
  });

  test.each(all.filter(({ path }) => path.length === 1))('docs/commands.md describes $title', ({ spec }) => {
    const page = readFileSync(join(ROOT, 'docs/commands.md'), 'utf8');
    expect(page).toMatch(new RegExp(`^## .*\`${spec.name}\``, 'm'));
  });
});
