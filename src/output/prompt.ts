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

/** Settles with the last prompt. Stores are opened in parallel, but there is only one keyboard. */
let answered: Promise<unknown> = Promise.resolve();

async function asked(
  world: World,
  prompt: (context: { input: NodeJS.ReadableStream; output: NodeJS.WritableStream }) => Promise<string>,
): Promise<string> {
  if (world.stdin.isTTY !== true || world.stderr.isTTY !== true) {
    throw new SecretsError('Usage', 'there is no terminal to ask at', {
      hint: 'pipe the value in, or use --from-file',
    });
  }
  const answer = answered.then(() => prompt({ input: world.stdin, output: world.stderr }));
  answered = answer.catch(() => undefined);
  try {
    return await answer;
  } catch (thrown) {
    if (thrown instanceof Error && thrown.name === 'ExitPromptError') throw new Interrupted();
    throw thrown;
  }
}

/** The user pressed Ctrl-C: the program ends with 130 and no message. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}
