/** Ansible in a place of its own, with the collection as `ansible-galaxy` packs and installs it. */
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makePlace, type Outcome, type Place, ROOT } from '../e2e/program.ts';
import { WORK_DIR } from './server.ts';

const VENV = join(WORK_DIR, 'ansible-venv');
/** For `describeWith`. */
export const ANSIBLE = join(VENV, 'bin/ansible-playbook');
export const COLLECTION = join(ROOT, 'integrations/ansible');

export interface Controller {
  readonly place: Place;
  readonly env: Readonly<Record<string, string>>;
  /** Runs a line of bash there. */
  sh(script: string, env?: Readonly<Record<string, string>>): Promise<Outcome>;
  /** Writes a playbook for localhost with these tasks, and runs it. */
  play(tasks: readonly object[], flags?: string, env?: Readonly<Record<string, string>>): Promise<Outcome>;
  /** The command lines of `secrets` since the last call. */
  calls(): readonly string[];
}

/** Packs the collection, installs what was packed, and puts a `secrets` on PATH that notes how it was called. */
export async function startController(): Promise<Controller> {
  const place = await makePlace();
  const [packed, collections, bin] = ['packed', 'collections', 'noting'].map((name) =>
    join(place.root, name),
  ) as [string, string, string];
  for (const folder of [packed, collections, bin]) mkdirSync(folder);
  const notes = join(place.root, 'calls');
  const launcher = join(bin, 'secrets');
  writeFileSync(
    launcher,
    `#!/bin/sh\nprintf '%s\\n' "$*" >>'${notes}'\nexec '${place.root}/bin/secrets' "$@"\n`,
  );
  chmodSync(launcher, 0o755);
  const env = {
    PATH: `${bin}:${join(VENV, 'bin')}:/usr/local/bin:/usr/bin:/bin`,
    ANSIBLE_HOME: join(place.home, '.ansible'),
    ANSIBLE_COLLECTIONS_PATH: collections,
    ANSIBLE_PYTHON_INTERPRETER: join(VENV, 'bin/python'),
    ANSIBLE_LOCALHOST_WARNING: 'false',
    ANSIBLE_INVENTORY_UNPARSED_WARNING: 'false',
    ANSIBLE_NOCOLOR: '1',
    SECRETS_LOCAL_KEY_METHOD: 'key-file',
  };
  const sh: Controller['sh'] = (script, more = {}) => place.sh(script, { ...env, ...more });
  const made = await sh(
    `set -e; ansible-galaxy collection build '${COLLECTION}' --output-path '${packed}'
    ansible-galaxy collection install --offline --collections-path '${collections}' '${packed}'/*.tar.gz`,
  );
  if (made.code !== 0) throw new Error(`the collection was not installed: ${made.stderr}${made.stdout}`);
  return {
    place,
    env,
    sh,
    play: (tasks, flags = '', more = {}) => {
      const book = [{ hosts: 'localhost', gather_facts: false, tasks }];
      writeFileSync(join(place.cwd, 'play.yml'), JSON.stringify(book));
      return sh(`ansible-playbook play.yml ${flags}`, more);
    },
    calls: () => {
      const lines = existsSync(notes) ? readFileSync(notes, 'utf8').split('\n').slice(0, -1) : [];
      writeFileSync(notes, '');
      return lines;
    },
  };
}

/** What was packed, without its version. */
export function packedIn(controller: Controller): readonly string[] {
  const root = join(controller.env['ANSIBLE_COLLECTIONS_PATH'] ?? '', 'ansible_collections/secrets/cli');
  return readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) => /\.\w+$/.test(name));
}
