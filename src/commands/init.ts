import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { CONFIG_FILE, findUpward } from '../config/find.ts';
import { fileText, projectName, referenceFor, suggest, type Suggestions } from '../config/suggest.ts';
import { SecretsError, toSecretsError } from '../core/errors.ts';
import { nearest } from '../core/reference/nearest.ts';
import { createFile } from '../platform/files.ts';
import { tell } from '../output/outcome.ts';
import type { Session } from '../session/session.ts';
import type { CommonOptions } from '../session/options.ts';
import type { Invocation } from './command.ts';

interface InitOptions extends CommonOptions {
  readonly yes?: boolean;
  readonly dryRun?: boolean;
}

export async function run(session: Session, { options }: Invocation<InitOptions>): Promise<void> {
  const { world } = session;
  const path = join(world.cwd, CONFIG_FILE);
  if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) throw thereAlready(path);
  const above = findUpward(world).path;
  if (above !== undefined) session.warn(`below this folder the new file counts, not ${above}`);
  const suggestions = await suggest(world);
  for (const warning of suggestions.warnings) session.warn(warning);
  const defaultStore = await chooseDefault(session, suggestions, options);
  const project = projectName(world.cwd);
  const text = await fileText(suggestions, defaultStore, project);
  const bytes = Buffer.from(text);
  // What it writes, every other command must take.
  const { parseConfig } = await import('../config/parse.ts');
  await parseConfig(bytes, path, world);
  if (options.dryRun !== true) {
    if (!createFile(path, bytes, 'the configuration')) throw thereAlready(path);
    await trust(session, path, bytes);
  }
  if (options.dryRun === true && options.json !== true) return session.print(text);
  const { stores, variables, plain, powerful } = suggestions;
  await tell(session, {
    text: nextSteps(path, variables.length),
    json: {
      file: path,
      written: options.dryRun !== true,
      default: defaultStore,
      stores: stores.map(({ name, provider, evidence }) => ({ name, provider, evidence })),
      env: variables.map(({ name, from }) => ({
        name,
        ref: referenceFor(defaultStore, project, name),
        from,
      })),
      leftOut: [...plain, ...powerful].map(({ name, from }) => ({ name, from })),
    },
    dryRun: options.dryRun === true,
  });
}

function thereAlready(path: string): SecretsError {
  return new SecretsError('Conflict', `${path} already exists, and is left unchanged`, {
    hint: 'edit it, or run secrets init in another folder',
  });
}

/** `--store`, what a person at the terminal says, the one kind of store that was found, or the local one. */
async function chooseDefault(
  session: Session,
  { stores }: Suggestions,
  options: InitOptions,
): Promise<string> {
  const known = [...new Set(['local', ...session.world.providers.map(({ kind }) => kind)])];
  const check = (name: string): string => {
    if (known.includes(name)) return name;
    const near = nearest(name, known);
    throw new SecretsError('Usage', `no provider named ${JSON.stringify(name.slice(0, 64))}`, {
      hint: near === undefined ? `known are ${known.join(', ')}` : `did you mean ${near}?`,
    });
  };
  if (options.store !== undefined) return check(options.store);
  const guess = stores.length === 1 ? (stores[0]?.name ?? 'local') : 'local';
  const { stdin, stderr } = session.world;
  const quiet = options.yes === true || options.dryRun === true || options.json === true;
  if (quiet || stores.length === 0 || stdin.isTTY !== true || stderr.isTTY !== true) return guess;
  const found = stores.map(({ name, evidence }) => `${name} (${evidence})`).join(', ');
  const answer = await session.output.ask(
    `Found ${found}. Store for this project's secrets? Enter for ${guess}`,
  );
  return answer.trim() === '' ? guess : check(answer.trim());
}

/**
 * The stores and the default are those that the user's own environment and answer name, so the file is trusted as it
 * was written; of a checkout's .env files it has names that steer nothing.
 */
async function trust(session: Session, path: string, bytes: Uint8Array): Promise<void> {
  const { loadConfig } = await import('../config/load.ts');
  const { sha256, writePin } = await import('../config/trust.ts');
  try {
    const { project } = await loadConfig(session.world, { file: path });
    // What has taken its place since is not what was written.
    if (project?.sha256 === sha256(bytes)) writePin(session.world, project);
  } catch (thrown) {
    session.warn(`${path} is written, and not trusted yet: ${toSecretsError(thrown).message}`);
  }
}

function nextSteps(path: string, variables: number): string {
  const next =
    variables === 0
      ? 'add variables under env:, then secrets exec -- PROGRAM'
      : 'put each value with secrets put REF, then secrets exec -- PROGRAM';
  return `${path} is written; ${next}`;
}
