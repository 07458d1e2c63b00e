import { combineErrors } from '../core/errors.ts';
import type { Session } from '../session.ts';
import type { Invocation } from './spec.ts';

interface GetOptions {
  readonly newline?: boolean;
}

export async function run(session: Session, { args, options }: Invocation<GetOptions>): Promise<void> {
  const resolved = await session.resolve(args);
  const errors = resolved.flatMap((result) => (result.ok ? [] : [result.error]));
  if (errors.length > 0) throw combineErrors(errors, `${errors.length} of ${args.length} references failed`);
  const newline = options.newline === true || args.length > 1 || session.world.stdout.isTTY === true;
  for (const result of resolved) {
    if (!result.ok) continue;
    await session.print(newline ? Buffer.concat([result.value, Buffer.from('\n')]) : result.value);
  }
}
