import { buffer } from 'node:stream/consumers';
import type { Session } from '../session.ts';
import type { Invocation } from './spec.ts';

export async function run(session: Session, { args }: Invocation): Promise<void> {
  const target = await session.target(args[0] as string);
  const provider = await session.open(target.store, target.native);
  const written = await provider.put(
    target.reference.name,
    { value: await buffer(session.world.stdin) },
    session.call(),
  );
  session.note(`${target.text}: version ${written.id}`);
}
