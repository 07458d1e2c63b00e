import type { CommandSpec } from '../command.ts';
import { agentClear } from './clear.cli.ts';
import { agentRun } from './run.cli.ts';
import { agentStart } from './start.cli.ts';
import { agentStatus } from './status.cli.ts';
import { agentStop } from './stop.cli.ts';

/** `agent` itself does nothing: each verb has a file of its own, `<verb>.cli.ts`. */
export const agent: CommandSpec = {
  name: 'agent',
  group: 'Injection',
  summary: 'Keep stores open and values in memory for get, exec and env',
  examples: [],
  subcommands: [agentStart, agentRun, agentStatus, agentClear, agentStop],
};
