import type { Session } from '../../session/session.ts';
import type { Invocation } from '../command.ts';
import { change, type ChangeOptions } from './change.ts';

export function run(session: Session, { args, options }: Invocation<ChangeOptions>): Promise<void> {
  return change(session, 'grant', args, options);
}
