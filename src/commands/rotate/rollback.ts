import type { Session } from '../../session/session.ts';
import { recover, type RecoverOptions } from './recover.ts';
import type { Invocation } from '../command.ts';

export function run(session: Session, { args, options }: Invocation<RecoverOptions>): Promise<void> {
  return recover(session, args[0] as string, 'rollback', options);
}
