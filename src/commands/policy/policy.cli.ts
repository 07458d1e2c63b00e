import type { CommandSpec } from '../command.ts';
import { policyCheck } from './check.cli.ts';
import { policyExplain } from './explain.cli.ts';
import { policyInit } from './init.cli.ts';
import { policyList } from './list.cli.ts';
import { policyTest } from './test.cli.ts';

/** @param commands all of them: one is explained */
export const policy = (commands: () => readonly CommandSpec[]): CommandSpec => ({
  name: 'policy',
  group: 'Access',
  summary: 'Say who may do what through secrets, and check it',
  description: 'Policies are written in Cedar, in secrets.policy.cedar.',
  examples: [],
  subcommands: [policyInit, policyCheck, policyTest, policyExplain(commands), policyList],
});
