/** A Secret Service of a place's own, for tests of what is kept in the key chain. */
import { join } from 'node:path';
import type { Outcome, Place } from '../e2e/program.ts';

const DAEMON = '/usr/bin/gnome-keyring-daemon';
/** What has to be installed. */
export const KEYCHAIN = [DAEMON, '/usr/bin/dbus-run-session'];

/** Runs lines of bash in a session with a bus and an unlocked Secret Service of the place's own. */
export function inSession(
  place: Place,
  script: string,
  unlocked: 'unlocked' | 'no' = 'unlocked',
): Promise<Outcome> {
  return place.sh('mkdir -p -m 700 "$XDG_RUNTIME_DIR" && exec dbus-run-session -- bash -c "$SCRIPT"', {
    XDG_RUNTIME_DIR: join(place.root, 'run'),
    SCRIPT: `printf pw | ${DAEMON} --${unlocked === 'no' ? 'start' : 'unlock'} --components=secrets >/dev/null 2>&1\n${script}`,
  });
}
