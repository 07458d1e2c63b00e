/** docs/access.md against the program: its policies are valid, and its tables name what there is. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ACTIONS } from '../../src/core/policy/actions.ts';
import { parsePolicies } from '../../src/policy/parse.ts';
import { ROOT } from '../e2e/program.ts';
import { makePolicyMachine } from './kit.ts';

const page = readFileSync(join(ROOT, 'docs/access.md'), 'utf8');
const policies = [...page.matchAll(/```cedar\n([^]*?)```/g)].map(([, text = '']) => text);

test('there are policies on the page', () => expect(policies.length).toBeGreaterThan(3));

test.each(policies)('%s', (text) => {
  expect(parsePolicies(text).problems).toEqual([]);
});

test('the first policy decides what the page says', () => {
  const machine = makePolicyMachine();
  try {
    machine.policy('project', policies[0] ?? '');
    expect(machine.decide('read', 'app/db').allowed).toBe(true);
    expect(machine.decide('read', 'root/key').why).toMatch(
      /^no policy in \S+ permits ann to read local:\/\/root\/key$/,
    );
    expect(machine.decide('purge', 'app/db').why).toMatch(
      /^purge is forbidden by the policy no-purge \(\S+secrets.policy.cedar:8\)$/,
    );
  } finally {
    machine.remove();
  }
});

test('the tables name every action and every part of the context', () => {
  const words = new Set([...page.matchAll(/`(\w+)`/g)].map(([, word]) => word));
  const context = /type Context = \{([^]*?)\n\};/.exec(
    readFileSync(join(ROOT, 'schemas/secrets.cedarschema'), 'utf8'),
  )?.[1];
  const attributes = [...(context ?? '').matchAll(/^ {2}(\w+)\??:/gm)].map(([, name]) => name);
  expect(attributes.length).toBeGreaterThan(8);
  expect([...ACTIONS, ...attributes].filter((word) => !words.has(word))).toEqual([]);
});
