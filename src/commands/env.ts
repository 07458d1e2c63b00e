import { randomBytes } from 'node:crypto';
import { variableText } from '../core/environment/environment.ts';
import { type EnvFormat, writeEnv } from '../core/environment/formats.ts';
import { combineErrors, SecretsError, toSecretsError } from '../core/errors.ts';
import { type MaskStreams, NOT_REGISTERED, registerMasks } from '../exec/github.ts';
import { resolveVariables, type SourceOptions, type Variable } from '../exec/sources.ts';
import { sessionCredentials } from '../session/own-credentials.ts';
import type { Session } from '../session/session.ts';
import type { CommonOptions } from '../session/options.ts';
import type { Invocation } from './command.ts';

interface EnvOptions extends CommonOptions, SourceOptions, Pick<MaskStreams, 'maskOnStderr'> {
  readonly format?: EnvFormat;
  readonly name?: string;
  readonly skipFiles?: boolean;
}

export async function run(session: Session, { options }: Invocation<EnvOptions>): Promise<void> {
  const { name = 'secrets' } = options;
  // RFC 1123 subdomain, as Kubernetes wants names of Secrets.
  if (name.length > 253 || !/^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/.test(name)) {
    throw new SecretsError(
      'Usage',
      `${JSON.stringify(name.slice(0, 100))} is not a valid name for a Kubernetes Secret`,
      {
        hint: 'lower-case letters, digits, - and . (RFC 1123)',
      },
    );
  }
  const list = (await resolveVariables(session, options, await sessionCredentials(session))).list;
  const texts = textsOf(session, list, options.skipFiles === true);
  const format = options.json === true ? 'json' : (options.format ?? 'dotenv');
  const output = writeEnv(format, texts, { name, nonce: randomBytes(16).toString('hex') });
  if (session.world.stdout.isTTY === true) checkTerminal(session, output);
  await register(session, list, options.maskOnStderr, format);
  await session.print(output);
  if (format === 'kubernetes') session.note(KUBECTL);
}

/**
 * Tells the runner of GitHub Actions, where there is one, which values to mask.
 * @throws SecretsError Policy if that can't be done, and the log would show them
 */
async function register(
  session: Session,
  list: readonly Variable[],
  maskOnStderr: boolean | undefined,
  format: EnvFormat,
): Promise<void> {
  if (session.world.env['GITHUB_ACTIONS'] !== 'true') return;
  const secrets = list.filter(({ secret }) => secret).map(({ value }) => value);
  if (await registerMasks(session.world, secrets, { maskOnStderr, stdoutIsResult: true })) return;
  // The runner shows the variables of GITHUB_ENV in the log of each later step.
  if (format === 'github' && secrets.length > 0)
    throw new SecretsError('Policy', `${NOT_REGISTERED}, so later steps would show them`, {
      hint: 'pass --mask-on-stderr if stderr goes straight to the log of the step',
    });
  session.warn(NOT_REGISTERED);
}

/** A plain `kubectl apply` copies what it is given to the annotation last-applied-configuration. */
const KUBECTL =
  'apply it with kubectl apply --server-side: a plain apply stores the values a second time, in an annotation';

/** @throws SecretsError one that lists every variable that can't be printed */
function textsOf(
  session: Session,
  list: readonly Variable[],
  skipFiles: boolean,
): ReadonlyMap<string, string> {
  const texts = new Map<string, string>();
  const errors: SecretsError[] = [];
  const skipped: string[] = [];
  for (const { name, value, as } of list) {
    try {
      // A file has to go away with a program, and there is none here.
      if (as === 'value') texts.set(name, variableText(name, value));
      else if (skipFiles) skipped.push(name);
      else
        throw new SecretsError('Unsupported', `${name} is a file (as: file), which only exec can give`, {
          hint: 'use secrets exec, or skip files with --skip-files',
        });
    } catch (thrown) {
      errors.push(toSecretsError(thrown));
    }
  }
  if (errors.length > 0) throw combineErrors(errors, `${errors.length} variables can’t be printed`);
  if (skipped.length > 0) session.warn(`skipped files: ${skipped.join(', ')}`);
  return texts;
}

/** A terminal obeys control characters: a stored value must not be able to give it orders (CWE-150). */
function checkTerminal(session: Session, output: string): void {
  if (/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/.test(output)) {
    throw new SecretsError('Invalid', 'a value has control characters, so it is not shown on a terminal', {
      hint: 'use a pipe, a file, or --format json',
    });
  }
  session.note('the secrets are now on your screen and in its scrollback');
}
