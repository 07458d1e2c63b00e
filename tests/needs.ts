/**
 * What some tests need and not every machine has: a server, a program, a right. Where it is missing they are skipped,
 * and the reporter (tests/reporter.mjs) ends the run with a table of what was skipped, what it needs and the command
 * that brings it. With SECRETS_TEST_BACKENDS=required, as in CI, what could be installed and is missing fails instead.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

export interface Need {
  /** As the table names it: `strace`, `the root user`. */
  readonly name: string;
  readonly met: boolean;
  /** The command that brings it, or a few words where no command can. */
  readonly how: string;
  /** It can be had on every machine, so that CI must have it. */
  readonly installable: boolean;
}

const REQUIRED = process.env['SECRETS_TEST_BACKENDS'] === 'required';

/** The one command that installs every server and program that tests use. */
export const INSTALL = 'npm run backends';

/** The path of a program on PATH. */
export function pathOf(program: string): string | undefined {
  const places = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return places
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, program))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

export function program(name: string): Need {
  return { name, met: pathOf(name) !== undefined, how: INSTALL, installable: true };
}

function works(command: string, ...args: readonly string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}

function right(name: string, met: boolean, how: string): Need {
  return { name, met, how, installable: false };
}

const AS_ROOT = process.getuid?.() === 0;
export const ROOT_USER = right('the root user', AS_ROOT, 'sudo npm test');
export const ORDINARY_USER = right('an ordinary user', !AS_ROOT, 'npm test, without sudo');

/** Rights that root has, and that a container may have taken from it; asked for once, when a file first wants one. */
const once = <T>(make: () => T): (() => T) => {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
};
export const mayMount = once(() =>
  right(
    'the right to mount (root)',
    works('unshare', '-m', 'sh', '-c', 'mount -t tmpfs -o size=64k tmpfs /mnt && umount /mnt'),
    'sudo npm test',
  ),
);
export const mayUnsharePids = once(() =>
  right(
    'namespaces of process ids (root)',
    works('unshare', '--pid', '--fork', '--mount-proc', '--kill-child', 'true'),
    'sudo npm test',
  ),
);
export const mayMountAsUser = once(() =>
  right('namespaces of users', works('unshare', '-rm', 'true'), 'sysctl kernel.unprivileged_userns_clone=1'),
);
export const mayDropCapabilities = once(() =>
  right(
    'the right to drop capabilities (root)',
    works('setpriv', '--bounding-set=-all', '--inh-caps=-all', 'true'),
    'sudo npm test',
  ),
);
export const mayTrace = once((): Need => ({
  name: 'strace',
  met: works('strace', '-qq', '-o', '/dev/null', 'true'),
  how: INSTALL,
  installable: true,
}));

/** The suffix that the reporter reads. */
function suffixOf(missing: readonly Need[]): string {
  const [first] = missing;
  return ` [needs ${missing.map(({ name }) => name).join(' and ')}: ${first?.how ?? INSTALL}]`;
}

type Skippable = Pick<jest.It, 'each'> & ((title: string, body: () => unknown, timeoutMs?: number) => void);

/** `test` for what has these needs. Reads as `testNeeding(ROOT_USER)('…', …)`; has `each`. */
export function testNeeding(...needs: readonly Need[]): Skippable {
  return guarded(needs, test as unknown as Runner, test.skip as unknown as Runner);
}

/** `describe` for what has these needs. */
export function describeNeeding(...needs: readonly Need[]): Skippable {
  return guarded(needs, describe as unknown as Runner, describe.skip as unknown as Runner);
}

interface Runner {
  (title: string, body: (...args: never[]) => unknown): void;
  each: (...cases: readonly never[]) => (title: string, body: (...args: never[]) => unknown) => void;
}

function guarded(needs: readonly Need[], run: Runner, skip: Runner): Skippable {
  const missing = needs.filter(({ met }) => !met);
  if (missing.length === 0) return run as unknown as Skippable;
  if (REQUIRED && missing.some(({ installable }) => installable)) {
    const fail = (title: string): void =>
      test(`${title}: what it needs is installed`, () => {
        throw new Error(missing.map(({ name, how }) => `${name} is missing: ${how}`).join('; '));
      });
    return Object.assign(fail, { each: () => fail }) as unknown as Skippable;
  }
  const suffix = suffixOf(missing);
  const skipped = (title: string, body: (...args: never[]) => unknown): void =>
    skip(`${title}${suffix}`, body);
  return Object.assign(skipped, {
    each:
      (...cases: readonly never[]) =>
      (title: string, body: (...args: never[]) => unknown): void =>
        skip.each(...cases)(`${title}${suffix}`, body),
  }) as unknown as Skippable;
}
