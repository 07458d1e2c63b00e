/** `inject --watch`: keeps a file up to date, and runs a command after each change of it. */
import { spawn } from 'node:child_process';
import { statSync } from 'node:fs';
import { inherited } from '../core/environment/environment.ts';
import { SecretsError } from '../core/errors.ts';
import { checkArguments } from '../exec/text.ts';
import { VersionWatch } from '../exec/watch.ts';
import { watchUntil } from '../inject/watch.ts';
import { findProgram } from '../platform/find-program.ts';
import type { Resolved } from '../session/resolver.ts';
import { sessionCredentials } from '../session/own-credentials.ts';
import type { Session } from '../session/session.ts';
import { debounceOf, pollOf } from './exec/watch.ts';

export interface InjectWatchFlags {
  readonly in?: string;
  readonly out?: string;
  readonly watch?: boolean;
  readonly poll?: string;
  readonly debounce?: string;
}

/** What one rendering was made of, and a hash of what came out. */
export interface Rendered {
  readonly sources: readonly Resolved[];
  readonly hash: string;
}

/** @throws SecretsError Usage */
export function checkWatchFlags(options: InjectWatchFlags, command: readonly string[]): void {
  const { watch, poll, debounce } = options;
  if (watch !== true) {
    if (poll !== undefined || debounce !== undefined)
      throw new SecretsError('Usage', '--poll and --debounce need --watch', { hint: 'add --watch' });
    if (command.length > 0)
      throw new SecretsError('Usage', 'inject takes a command only with --watch', {
        hint: 'name the template with -i and the file with -o; secrets exec runs programs',
      });
    return;
  }
  if (options.in === undefined || options.out === undefined)
    throw new SecretsError('Usage', '--watch needs a template and a file', {
      hint: 'name them with -i and -o',
    });
  pollOf(poll);
  debounceOf(debounce);
}

interface Program {
  readonly file: string;
  readonly argv0: string;
  readonly args: readonly string[];
  readonly env: Record<string, string>;
}

/** The command after `--`, found before anything is written; undefined if there is none. @throws SecretsError Usage */
async function programOf(session: Session, command: readonly string[]): Promise<Program | undefined> {
  const [argv0, ...args] = command;
  if (argv0 === undefined) return undefined;
  checkArguments(command);
  const { env, cwd } = session.world;
  const file = findProgram(argv0, env['PATH'], cwd);
  if (typeof file === 'number')
    throw new SecretsError(
      'Usage',
      `the program ${JSON.stringify(argv0)} ${file === 127 ? 'was not found' : 'can’t be executed'}`,
      {
        hint: 'it is started without a shell; check its name and PATH',
      },
    );
  return {
    file,
    argv0,
    args,
    env: inherited(env, { pristine: false, withheld: await sessionCredentials(session) }),
  };
}

/**
 * Renders, and again after each change, until a signal ends it.
 * @param template the template's absolute path
 * @param once renders the file, unless it would come out with this hash
 */
export async function watchFile(
  session: Session,
  options: InjectWatchFlags,
  command: readonly string[],
  template: string,
  once: (last: string | undefined) => Promise<Rendered>,
): Promise<void> {
  const program = await programOf(session, command);
  const over = new AbortController();
  const stops = (['SIGINT', 'SIGTERM', 'SIGHUP'] as const).map((signal) =>
    session.world.onSignal(signal, () => {
      over.abort();
      session.run.abandonCalls();
      session.output.closeQuestions();
    }),
  );
  try {
    let stamp = stampOf(template);
    let rendered = await once(undefined);
    const versions = new VersionWatch(session);
    versions.follow(rendered.sources, []);
    const follow = async (): Promise<void> => {
      if (program !== undefined) await runProgram(session, program, over.signal);
    };
    await follow();
    await watchUntil(over.signal, {
      pollMs: pollOf(options.poll),
      debounceMs: debounceOf(options.debounce),
      look: async () => {
        const now = stampOf(template);
        const edited = now !== stamp;
        stamp = now;
        // Both, so that each look starts from what was seen last.
        return (await versions.look()) || edited;
      },
      renew: async () => {
        const next = await once(rendered.hash);
        versions.follow(next.sources, []);
        const changed = next.hash !== rendered.hash;
        rendered = next;
        return changed;
      },
      follow,
      warn: (message) => session.warn(message),
      debug: (message) => session.debug(message),
    });
  } catch (thrown) {
    // A signal ended the calls of the first rendering.
    if (!over.signal.aborted) throw thrown;
  } finally {
    for (const stop of stops) stop();
  }
}

/** Changes whenever the template does; `undefined` while it isn't there. */
function stampOf(template: string): string | undefined {
  const stats = statSync(template, { throwIfNoEntry: false });
  return stats === undefined ? undefined : `${stats.ino} ${stats.size} ${stats.mtimeMs} ${stats.ctimeMs}`;
}

/** Runs the command until it ends. A failure is a warning: the file is in its place, and the next change comes. */
function runProgram(session: Session, program: Program, over: AbortSignal): Promise<void> {
  session.output.endProgress();
  return new Promise((resolve) => {
    const child = spawn(program.file, [...program.args], {
      argv0: program.argv0,
      env: program.env,
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    const stop = (): void => void child.kill('SIGTERM');
    if (over.aborted) stop();
    over.addEventListener('abort', stop, { once: true });
    const done = (failure: string | undefined): void => {
      over.removeEventListener('abort', stop);
      if (failure !== undefined && !over.aborted)
        session.warn(`the program ${JSON.stringify(program.argv0)} ${failure}`);
      resolve();
    };
    child.once('error', (error: NodeJS.ErrnoException) =>
      done(`can’t be started: ${error.code ?? 'failed'}`),
    );
    child.once('close', (code, signal) =>
      done(
        signal !== null ? `was ended by ${signal}` : code !== 0 ? `ended with exit code ${code}` : undefined,
      ),
    );
  });
}
