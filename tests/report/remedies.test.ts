/** What a finding tells to do can be typed as it stands. */
import { commands } from '../../src/commands/index.ts';
import type { CommandSpec } from '../../src/commands/command.ts';
import { finding, RULES, type Rule } from '../../src/core/findings/rules.ts';

/** The commands in a remedy, each up to the sentence's next clause. */
function commandsIn(remedy: string): string[][] {
  return [
    ...remedy.matchAll(
      /\bsecrets ((?:[a-z]+|REF|ID|--[a-z-]+|alnum:\d+)(?: (?:[a-z]+\b|REF|ID|--[a-z-]+|alnum:\d+))*)/g,
    ),
  ]
    .map(([, words = '']) => words.split(' '))
    .filter(([name]) => commands.some((one) => one.name === name));
}

test('every command in a remedy is one, with its options, and about the secret', () => {
  const seen: string[] = [];
  for (const rule of Object.values(RULES) as Rule[])
    for (const [name, ...words] of commandsIn(rule.remedy)) {
      let spec = commands.find((one) => one.name === name) as CommandSpec;
      const sub = spec.subcommands?.find((one) => one.name === words[0]);
      if (sub !== undefined) spec = sub;
      const flags = (spec.options ?? []).map(({ flags: text }) => /--[a-z-]+/.exec(text)?.[0]);
      for (const word of words.filter((one) => one.startsWith('--'))) expect(flags).toContain(word);
      expect(words).toContain('REF');
      seen.push(name ?? '');
    }
  expect(new Set(seen)).toEqual(new Set(['rotate', 'restore', 'purge']));
});

test('it names the secret and its key, quoted for the shell where that has to be', () => {
  const remedy = (secret: string, key?: string): string =>
    finding('weak-value', { store: 'local', secret }, 'is weak', key === undefined ? {} : { key }).remedy;
  expect(remedy('app/db', 'password')).toContain(
    'secrets rotate local://app/db#password --generate alnum:32',
  );
  expect(remedy("it's")).toContain(`secrets rotate 'local://it'\\''s' --generate`);
  expect(finding('rotation-stuck', { store: 'a', secret: 'b' }, 'is stuck', {}).remedy).toBe(
    'Run secrets rotate resume a://b, or secrets rotate rollback a://b.',
  );
});
