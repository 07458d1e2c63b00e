import type { Session } from '../session.ts';
import { recover, type RecoverOptions } from './rotate-recover.ts';
import type { Invocation } from './spec.ts';

export function run(session: Session, { args, options }: Invocation<RecoverOptions>): Promise<void> {
  return recover(session, args[0] as string, 'resume', options);
}
