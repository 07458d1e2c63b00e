/** Prompts at the terminal. The prompt library is loaded on demand. */
import type { World } from '../platform/world.ts';
import { SecretsError } from '../core/errors.ts';

const SHOW_CURSOR = '\u001b[?25h';

/** Asks for a secret without showing it. @throws SecretsError Usage if there is no terminal */
export async function askHidden(world: World, question: string, signal: AbortSignal): Promise<string> {
  const { default: password } = await import('@inquirer/password');
  return asked(world, signal, (context) => password({ message: question, mask: false }, context));
}

/** Asks for a line of text. @throws SecretsError Usage if there is no terminal */
export async function ask(world: World, question: string, signal: AbortSignal): Promise<string> {
  const { default: input } = await import('@inquirer/input');
  return asked(world, signal, (context) => input({ message: question }, context));
}

/** The last question at each keyboard: stores are opened at the same time, and each may ask for its passphrase. */
const answers = new WeakMap<object, Promise<unknown>>();

/** Ctrl-C at the prompt, or an interrupt by a signal. */
function isInterrupt(thrown: unknown): boolean {
  return thrown instanceof Error && ['ExitPromptError', 'AbortPromptError'].includes(thrown.name);
}

async function asked(
  world: World,
  signal: AbortSignal,
  prompt: (context: {
    input: NodeJS.ReadableStream;
    output: NodeJS.WritableStream;
    signal: AbortSignal;
  }) => Promise<string>,
): Promise<string> {
  if (world.stdin.isTTY !== true || world.stderr.isTTY !== true) {
    throw new SecretsError('Usage', 'there is no terminal to ask at', {
      hint: 'pipe the value in, or use --from-file',
    });
  }
  const before = answers.get(world.stdin) ?? Promise.resolve();
  const answer = before.then(() =>
    withCursorOnSignal(world, () => prompt({ input: world.stdin, output: world.stderr, signal })),
  );
  // Ctrl-C ends the command: what waits for its turn isn't asked.
  const answered = answer.catch((thrown: unknown) => {
    if (isInterrupt(thrown)) throw thrown;
  });
  answered.catch(() => {});
  answers.set(world.stdin, answered);
  try {
    return await answer;
  } catch (thrown) {
    if (isInterrupt(thrown)) throw new Interrupted();
    throw thrown;
  }
}

/**
 * The prompt hides the cursor; a signal that ends the process would leave the terminal without one. Heard before all
 * others, who find out whether they are alone with it: the library's own listener, which leaves the signal to any
 * other one, isn't among them.
 * @param begin begins the prompt
 */
async function withCursorOnSignal(world: World, begin: () => Promise<string>): Promise<string> {
  const signals = ['SIGTERM', 'SIGHUP'] as const;
  const before = signals.map((signal) => process.listeners(signal));
  const answer = begin();
  const stops = signals.map((signal, index) => {
    const own = process.listeners(signal).filter((listener) => before[index]?.includes(listener) === false);
    const shown = (): void => {
      stop();
      for (const listener of own) process.off(signal, listener);
      world.stderr.write(`${SHOW_CURSOR}\n`);
      // Otherwise they decide how the process ends: a second signal would mean more to them than the first.
      if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
    };
    const stop = world.onSignal(signal, shown, 'before others');
    return stop;
  });
  try {
    return await answer;
  } finally {
    for (const stop of stops) stop();
  }
}

/** The user pressed Ctrl-C or sent SIGINT: the program ends with 130 and no message. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}
