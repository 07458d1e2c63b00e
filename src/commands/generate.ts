import { generate } from '../core/generate/generate.ts';
import type { Session } from '../session/session.ts';
import type { CommonOptions } from '../session/options.ts';
import type { Invocation } from './command.ts';

interface GenerateOptions extends CommonOptions {
  readonly newline?: boolean;
}

export async function run(session: Session, { args, options }: Invocation<GenerateOptions>): Promise<void> {
  const { value, bits, parts } = await generate(args[0] ?? 'alnum:32');
  if (options.json === true) {
    await session.printJson({ value, bits, ...(parts !== undefined && { parts }) });
    return;
  }
  const newline = options.newline === true || session.world.stdout.isTTY === true;
  await session.print(newline ? `${value}\n` : value);
  session.note(`${bits} bits`);
}
