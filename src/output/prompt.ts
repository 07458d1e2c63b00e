/** Prompts at the terminal. The prompt library is loaded on demand. */
import type { World } from '../platform/world.ts';
import { SecretsError } from '../core/errors.ts';

/** Asks for a secret without showing it. @throws SecretsError Usage if there is no terminal */
export async function askHidden(world: World, question: string): Promise<string> {
  const { default: password } = await import('@inquirer/password');
  return asked(world, (context) => password({ message: question, mask: false }, context));
}

/** Asks for a line of text. @throws SecretsError Usage if there is no terminal */
export async function ask(world: World, question: string): Promise<string> {
  const { default: input } = await import('@inquirer/input');
  return asked(world, (context) => input({ message: question }, context));
}

/** The last question at each keyboard: stores are opened at the same time, and each may ask for its passphrase. */
const answers = new WeakMap<object, Promise<unknown>>();

function isCtrlC(thrown: unknown): boolean {
  return thrown instanceof Error && thrown.name === 'ExitPromptError';
}

async function asked(
  world: World,
  prompt: (context: { input: NodeJS.ReadableStream; output: NodeJS.WritableStream }) => Promise<string>,
): Promise<string> {
  if (world.stdin.isTTY !== true || world.stderr.isTTY !== true) {
    throw new SecretsError('Usage', 'there is no terminal to ask at', {
      hint: 'pipe the value in, or use --from-file',
    });
  }
  const before = answers.get(world.stdin) ?? Promise.resolve();
  const answer = before.then(() => prompt({ input: world.stdin, output: world.stderr }));
  // Ctrl-C ends the command: what waits for its turn isn't asked.
  const answered = answer.catch((thrown: unknown) => {
    if (isCtrlC(thrown)) throw thrown;
  });
  answered.catch(() => {});
  answers.set(world.stdin, answered);
  try {
    return await answer;
  } catch (thrown) {
    if (isCtrlC(thrown)) throw new Interrupted();
    throw thrown;
  }
}

/** The user pressed Ctrl-C: the program ends with 130 and no message. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}
