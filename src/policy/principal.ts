/** Who runs this process, according to the system: its user and groups. Never according to a variable. */
import { readFileSync } from 'node:fs';
import type { Principal } from '../core/policy/request.ts';
import type { World } from '../platform/world.ts';

/** Groups by number are in the directory of this file alone: other sources of names would need a program to be run. */
const GROUPS = '/etc/group';

export function principalOf(world: Pick<World, 'uid' | 'names'>): Principal {
  const { user } = world.names();
  const { uid } = world;
  return {
    id: user ?? (uid === undefined ? 'unknown' : `uid:${uid}`),
    uid,
    groups: groupsOf(process.getgroups?.() ?? [], process.getegid?.()),
  };
}

function groupsOf(supplementary: readonly number[], primary: number | undefined): readonly string[] {
  const ids = new Set(primary === undefined ? supplementary : [primary, ...supplementary]);
  const names = groupNames();
  return [...ids].flatMap((id) => {
    const name = names.get(id);
    return name === undefined ? [`gid:${id}`] : [name, `gid:${id}`];
  });
}

function groupNames(): ReadonlyMap<number, string> {
  const names = new Map<number, string>();
  let text: string;
  try {
    text = readFileSync(GROUPS, 'utf8');
  } catch {
    // A container may have none. The numbers are enough.
    return names;
  }
  for (const line of text.split('\n')) {
    const [name = '', , id = ''] = line.split(':');
    // The first entry of a number counts, as for getgrgid(3).
    if (name !== '' && /^\d+$/.test(id) && !names.has(Number(id))) names.set(Number(id), name);
  }
  return names;
}
