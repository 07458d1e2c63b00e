/** A machine with policy files, and the judge of a run on it. */
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import type { CallKind } from '../../src/core/policy/actions.ts';
import { findPolicies } from '../../src/policy/find.ts';
import { Judge, type JudgedStore, type KnownLabels } from '../../src/policy/judge.ts';
import type { Decision } from '../../src/policy/policy.ts';
import type { World } from '../../src/platform/world.ts';
import { type Machine, makeMachine } from '../config/setup.ts';

export const FILES = {
  machine: 'etc/secrets.policy.cedar',
  user: 'home/.config/secrets/secrets.policy.cedar',
  project: 'project/secrets.policy.cedar',
} as const;

export interface RunOf {
  readonly command?: string;
  readonly program?: string;
  readonly reason?: string;
  readonly terminal?: boolean;
  readonly more?: Partial<World>;
}

export interface PolicyMachine extends Machine {
  policy(layer: keyof typeof FILES, text: string): string;
  judge(run?: RunOf): Judge;
  /** The decision about a secret of the store `local`, or of another one. */
  decide(
    call: CallKind,
    name: string | undefined,
    run?: RunOf,
    store?: JudgedStore,
    labels?: KnownLabels,
  ): Decision;
}

export const LOCAL: JudgedStore = { name: 'local', provider: 'local', settings: {}, native: undefined };

export function makePolicyMachine(): PolicyMachine {
  const machine = makeMachine();
  chmodSync(machine.root, 0o700);
  machine.write('project/secrets.yaml', '{}');
  const judge = ({ command = 'get', program, reason, terminal = false, more = {} }: RunOf = {}): Judge => {
    const world = machine.world('project', {
      machineFolder: join(machine.root, 'etc'),
      names: () => ({ user: 'ann', host: 'laptop' }),
      ...more,
    });
    const places = findPolicies(world, { file: join(machine.root, 'project/secrets.yaml') });
    return Judge.load(world, places, () => ({ command, program, reason, terminal }));
  };
  return {
    ...machine,
    policy: (layer, text) => machine.write(FILES[layer], text),
    judge,
    decide: (call, name, run, store = LOCAL, labels) => judge(run).decide(store, call, name, labels),
  };
}
