import { existsSync, realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import type { Config, PinnedFile, ProjectFile } from '../config/config.ts';
import type { TrustLine } from '../core/trust.ts';
import { findUpward, readNamed } from '../config/find.ts';
import { contentHash } from '../config/named-files.ts';
import {
  covers,
  findPin,
  hashOfSet,
  lineText,
  listPins,
  type Pin,
  removePin,
  sha256,
  writePin,
} from '../config/trust.ts';
import { SecretsError } from '../core/errors.ts';
import { tell } from '../output/outcome.ts';
import { asciiText, singleLine } from '../core/text/sanitize.ts';
import { printTable } from '../output/table.ts';
import type { Session } from '../session/session.ts';
import type { CommonOptions } from '../session/options.ts';
import type { Invocation } from './command.ts';

interface TrustOptions extends CommonOptions {
  readonly yes?: boolean;
  readonly dryRun?: boolean;
  readonly list?: boolean;
  readonly revoke?: boolean;
}

export async function run(session: Session, { args, options }: Invocation<TrustOptions>): Promise<void> {
  const [file] = args;
  if (options.list === true) return listTrusted(session, options);
  if (options.revoke === true) return revoke(session, file, options);
  const { project } = await read(session, file);
  if (project === undefined)
    throw new SecretsError('NotFound', 'no secrets.yaml in this folder or above it', {
      hint: 'create one with secrets init, or name a file: secrets trust FILE',
    });
  if (project.lines.length === 0) {
    return report(
      session,
      project,
      'nothing-to-trust',
      `${project.path}: nothing in it needs trust`,
      options,
    );
  }
  const pin = findPin(session.world, project.realPath);
  if (covers(pin, project.sha256, project.lines)) {
    await show(session, project, pin, options);
    return report(session, project, 'trusted-already', `${project.path}: is trusted already`, options);
  }
  await show(session, project, pin, options);
  if (options.dryRun === true) {
    return report(session, project, 'not-trusted', `${project.path}: would be trusted`, options);
  }
  if (options.yes !== true) await confirm(session, project);
  // The hash is of what was shown: a change since then is not what was accepted.
  writePin(session.world, project);
  return report(session, project, 'trusted', `${project.path}: trusted`, options);
}

/** The configuration with this file as the project's; whether it is trusted otherwise plays no part. */
async function read(session: Session, file: string | undefined): Promise<Config> {
  const { loadConfig } = await import('../config/load.ts');
  const config = await loadConfig(session.world, { file: file ?? session.options.config });
  for (const warning of config.warnings) session.warn(warning);
  return config;
}

function asksHere(session: Session, options: TrustOptions): boolean {
  const { stdin, stderr } = session.world;
  return options.yes !== true && options.dryRun !== true && stdin.isTTY === true && stderr.isTTY === true;
}

/** The lines, each as what it is: no character in them can move the cursor or look like another. */
async function show(
  session: Session,
  { path, realPath, sha256, lines, shown, files }: ProjectFile,
  pin: Pin | undefined,
  options: TrustOptions,
): Promise<void> {
  if (options.json === true) return;
  const known = new Set(pin?.lines);
  const changed = pin !== undefined && !covers(pin, sha256, lines);
  const how = pin?.sha256 === sha256 ? 'wants more than you trusted' : 'has changed since you trusted it';
  const text = [
    `${singleLine(path)}${changed ? ` ${how}` : ''}`,
    ...shown.flatMap((line) => [
      `  line ${line.line}: ${asciiText(line.setting)}: ${asciiText(line.value)}${changed && !known.has(lineText(line)) ? '  (new)' : ''}`,
      `    ${line.effect}`,
    ]),
    ...(files.length === 0 ? [] : ['  files that are trusted with it:']),
    ...files.map(
      (file) => `    ${asciiText(file.sha256)}  ${asciiText(file.name)}${isNew(file, pin) ? '  (new)' : ''}`,
    ),
    `  sha256 ${sha256}${files.length === 0 ? '' : ` of ${basename(realPath)} and these files together`}`,
    '',
  ].join('\n');
  // Before a question they belong to it; stdout may be a file.
  if (asksHere(session, options)) session.world.stderr.write(text);
  else await session.print(text);
}

function isNew({ name, sha256 }: PinnedFile, pin: Pin | undefined): boolean {
  return pin !== undefined && !pin.files.some((file) => file.name === name && file.sha256 === sha256);
}

async function confirm(session: Session, { shown, files }: ProjectFile): Promise<void> {
  const { stdin, stderr } = session.world;
  if (stdin.isTTY !== true || stderr.isTTY !== true)
    throw new SecretsError('Usage', 'trust asks before it accepts these lines, and there is no terminal', {
      hint: 'review them, then use --yes; in CI set SECRETS_TRUSTED to the sha256',
    });
  const lines = shown.length === 1 ? 'this line' : `these ${shown.length} lines`;
  const these =
    files.length === 0 ? lines : `${lines} and ${files.length === 1 ? 'this file' : 'these files'}`;
  const answer = await session.output.ask(`Act on ${these} from now on? Type yes to trust the file`);
  if (answer.trim().toLowerCase() !== 'yes') throw new SecretsError('Failed', 'not trusted');
}

type State = 'trusted' | 'trusted-already' | 'not-trusted' | 'nothing-to-trust' | 'revoked';

function report(
  session: Session,
  {
    path,
    realPath,
    sha256,
    shown,
    files,
  }: Pick<ProjectFile, 'path' | 'realPath' | 'sha256' | 'shown' | 'files'>,
  state: State,
  text: string,
  { dryRun }: TrustOptions,
): Promise<void> {
  const json = {
    file: path,
    realPath,
    state,
    ...(sha256 !== '' && { sha256 }),
    lines: shown.map(({ line, setting, value, effect }: TrustLine) => ({ line, setting, value, effect })),
    ...(files.length > 0 && { files: files.map(({ name, sha256: hash }) => ({ name, sha256: hash })) }),
  };
  return tell(session, { text, json, dryRun: dryRun === true });
}

async function revoke(session: Session, file: string | undefined, options: TrustOptions): Promise<void> {
  const path = file === undefined ? found(session) : resolve(session.world.cwd, file);
  const realPath = realName(path);
  const pin = findPin(session.world, realPath);
  if (pin === undefined)
    throw new SecretsError('NotFound', `${path} is not among the trusted files`, {
      hint: 'secrets trust --list shows them',
    });
  if (options.dryRun !== true) removePin(session.world, realPath);
  const text = `${path}: ${options.dryRun === true ? 'would not be trusted any more' : 'not trusted any more'}`;
  return report(
    session,
    { path, realPath, sha256: pin.sha256, shown: [], files: [] },
    'revoked',
    text,
    options,
  );
}

/** Without reading it: a file that is wrong can lose its trust too. */
function found(session: Session): string {
  const named = session.options.config ?? (session.world.env['SECRETS_CONFIG'] || undefined);
  if (named !== undefined) return resolve(session.world.cwd, named);
  const { path } = findUpward(session.world);
  if (path === undefined)
    throw new SecretsError('NotFound', 'no secrets.yaml in this folder or above it', {
      hint: 'name the file',
    });
  return path;
}

/** The real path, also of a file that is gone from a folder that is there. */
function realName(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    const folder = dirname(path);
    return existsSync(folder)
      ? join(realpathSync(folder), path.slice(folder.length).replace(/^\/+/, ''))
      : path;
  }
}

async function listTrusted(session: Session, options: TrustOptions): Promise<void> {
  const rows = listPins(session.world).map((pin) => ({ ...pin, state: stateOf(pin) }));
  if (options.json === true) {
    await session.printJson(
      rows.map(({ path, sha256, trustedAt, state }) => ({ file: path, sha256, trustedAt, state })),
    );
    return;
  }
  if (rows.length === 0) return session.note('no file is trusted');
  await printTable(
    session,
    ['FILE', 'SINCE', 'STATE'],
    rows.map(({ path, trustedAt, state }) => [path, trustedAt.slice(0, 10), state]),
  );
}

function stateOf({ path, sha256: accepted, files }: Pin): 'trusted' | 'changed' | 'gone' {
  try {
    const now = files.map((file) => ({ ...file, sha256: contentHash(file.path) ?? 'no file' }));
    const yaml = { path, sha256: sha256(readNamed(path).bytes) };
    return hashOfSet(yaml, now) === accepted ? 'trusted' : 'changed';
  } catch {
    return 'gone';
  }
}
