/** A folder with a configuration of OpenTofu, the real program on PATH, and the provider installed by `secrets`. */
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AuditRecord } from '../../src/core/audit/record.ts';
import { accessesIn, logOf } from '../audit/program.ts';
import { TOFU } from '../backends/vault-clients.ts';
import { findFiles, formsOf } from '../e2e/leak-watch.ts';
import { makePlace, type Outcome, type Place, run } from '../e2e/program.ts';

type Env = Readonly<Record<string, string>>;

export interface Project {
  readonly place: Place;
  /** The environment of OpenTofu, and of the provider. */
  readonly env: Env;
  /** Replaces main.tf, which the provider's requirement comes on top of. */
  write(text: string): void;
  /** Runs a line of bash in the folder. */
  sh(line: string, more?: Env): Promise<Outcome>;
  /** The same; fails the test if the line does. */
  ok(line: string, more?: Env): Promise<Outcome>;
  /** The accesses in the audit log. */
  records(): readonly AuditRecord[];
  remove(): Promise<void>;
}

export const REQUIRED = `
terraform {
  required_providers {
    secrets = {
      source  = "secrets.localhost/cli/secrets"
      version = "~> 0.1"
    }
  }
}
`;

/** A project where `tofu init` was run. */
export async function makeProject(more: Env = {}): Promise<Project> {
  const place = await makePlace();
  symlinkSync(TOFU, join(place.root, 'bin/tofu'));
  const env = { CHECKPOINT_DISABLE: '1', TF_IN_AUTOMATION: '1', TF_CLI_ARGS: '-no-color', ...more };
  const sh: Project['sh'] = (line, own = {}) => place.sh(line, { ...env, ...own });
  const ok: Project['ok'] = async (line, own) => {
    const outcome = await sh(line, own);
    if (outcome.code !== 0) throw new Error(`${line}: ${outcome.code}\n${outcome.stdout}${outcome.stderr}`);
    return outcome;
  };
  const write: Project['write'] = (text) => writeFileSync(join(place.cwd, 'main.tf'), REQUIRED + text);
  try {
    write('');
    await ok('secrets terraform install --quiet && tofu init');
  } catch (thrown) {
    await place.remove();
    throw thrown;
  }
  return {
    place,
    env,
    write,
    sh,
    ok,
    records: () => accessesIn(logOf(place)),
    remove: () => place.remove(),
  };
}

/** Files of the project that hold the canary in any form: the folder, what is in saved plans, and temporary files. */
export async function filesWith(
  project: Project,
  canary: string,
  forms = formsOf(canary),
): Promise<string[]> {
  const { place } = project;
  const unpacked = join(place.root, 'plans');
  for (const name of readdirSync(place.cwd)) {
    // A saved plan is a zip file.
    if (!contentOf(join(place.cwd, name)).startsWith('PK')) continue;
    const folder = join(unpacked, name);
    mkdirSync(folder, { recursive: true });
    const unpack = ['-m', 'zipfile', '-e', join(place.cwd, name), folder];
    const { code, stderr } = await run('python3', unpack, { cwd: place.root, env: place.env });
    if (code !== 0) throw new Error(stderr);
  }
  const searched = [place.cwd, place.tmp, ...(existsSync(unpacked) ? [unpacked] : [])];
  return findFiles(searched, forms).map((path) => path.slice(place.root.length + 1));
}

function contentOf(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    // A folder, or a process that has ended.
    return '';
  }
}

/** The processes of the provider that run for this place. */
export function providersOf({ home }: Place): readonly number[] {
  return readdirSync('/proc').flatMap((entry) => {
    if (!/^\d+$/.test(entry)) return [];
    const isOurs =
      contentOf(`/proc/${entry}/cmdline`).includes('\0terraform\0serve\0') &&
      contentOf(`/proc/${entry}/environ`).split('\0').includes(`HOME=${home}`);
    return isOurs ? [Number(entry)] : [];
  });
}

/** Waits until something is so; a test that waits in vain is ended by its own limit. */
export async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 50));
}

/** `terraform ephemeral: read local://app/db allowed`, each once. */
export function accesses(records: readonly AuditRecord[]): readonly string[] {
  const lines = records.map(({ command, action, store, secret, outcome }) => {
    return `${command ?? ''}: ${action} ${store ?? ''}://${secret ?? ''} ${outcome}`;
  });
  return [...new Set(lines)];
}

/** The state as JSON; undefined without one. */
export function stateOf({ place }: Project): { readonly resources: readonly StateEntry[] } | undefined {
  const path = join(place.cwd, 'terraform.tfstate');
  if (!existsSync(path)) return undefined;
  return JSON.parse(readFileSync(path, 'utf8')) as { resources: StateEntry[] };
}

interface StateEntry {
  readonly mode: 'managed' | 'data';
  readonly type: string;
  readonly name: string;
  readonly instances: readonly { readonly attributes: Readonly<Record<string, unknown>> }[];
}

/** The line of main.tf that an error shows: the attribute that it is about. */
export function lineIn(shown: string): string | undefined {
  return /main\.tf line (\d+)[^]*?\n[│ ]*\1: (.*)/.exec(shown)?.[2]?.trim();
}
