import { singleLine } from '../../core/text/sanitize.ts';
import type { CommonOptions } from '../../session/options.ts';
import type { Session } from '../../session/session.ts';
import type { Invocation } from '../command.ts';
import { withSecret } from '../with-secret.ts';
import { controlOf } from './control.ts';

export async function run(session: Session, { args, options }: Invocation<CommonOptions>): Promise<number> {
  const [principal = '', reference = ''] = args;
  return withSecret(session, reference, async ({ provider, name, target, store }) => {
    const control = await controlOf(provider, store);
    const found = await control.check(name, principal, session.call());
    if (options.json === true) await session.printJson({ reference: target.text, ...found });
    else await session.print(`${singleLine(`${found.verdict}: ${found.principal}: ${found.why}`)}\n`);
    return found.verdict === 'allowed' ? 0 : 1;
  });
}
