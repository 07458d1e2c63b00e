/** Starts the built agent in a place of its own, and reads its log. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AuditRecord } from '../../src/core/audit/record.ts';
import { makePlace, NODE, type Place, PROGRAM } from '../e2e/program.ts';

type Env = Readonly<Record<string, string>>;

export interface Agent {
  readonly pid: number;
  readonly socket: string;
  /** What it has printed. */
  output(): string;
  /** Resolves when it has ended. */
  readonly ended: Promise<number | null>;
  signal(signal: NodeJS.Signals): void;
}

export interface AgentPlace extends Place {
  readonly socket: string;
  start(env?: Env, ...flags: readonly string[]): Promise<Agent>;
  records(): readonly AuditRecord[];
}

/** @param make as `makePlace`, which removes everything with `remove` */
export async function makeAgentPlace(): Promise<AgentPlace> {
  const place = await makePlace();
  const agents: Agent[] = [];
  return {
    ...place,
    socket: join(place.home, '.cache/secrets/agent/agent.sock'),
    async start(env = {}, ...flags) {
      const agent = await startAgent(place, { ...place.env, ...env }, flags);
      agents.push(agent);
      return agent;
    },
    records() {
      const path = join(place.home, '.local/state/secrets/audit/audit.jsonl');
      if (!existsSync(path)) return [];
      const lines = readFileSync(path, 'utf8').trim().split('\n');
      return lines.map((line) => JSON.parse(line) as AuditRecord).filter(({ kind }) => kind === 'access');
    },
    async remove() {
      for (const agent of agents) agent.signal('SIGKILL');
      await Promise.all(agents.map(({ ended }) => ended));
      await place.remove();
    },
  };
}

async function startAgent({ cwd }: Place, env: Env, flags: readonly string[]): Promise<Agent> {
  const args = [PROGRAM, 'agent', 'start', '--json', ...flags];
  const child: ChildProcess = spawn(NODE, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  const ended = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
  const ready = new Promise<{ pid: number; socket: string }>((resolve, reject) => {
    child.stdout?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      if (output.includes('\n')) resolve(JSON.parse(output.split('\n', 1)[0] ?? '') as never);
    });
    child.stderr?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    void ended.then((code) => reject(new Error(`the agent ended with ${code}: ${output}`)));
  });
  const { pid, socket } = await ready;
  return { pid, socket, ended, output: () => output, signal: (signal) => void child.kill(signal) };
}
