import { backlogOf, cursorOf } from '../../audit/sinks/deliver.ts';
import { receiverOf } from '../../audit/sinks/settings.ts';
import { compact } from '../../output/shapes.ts';
import { printTable } from '../../output/table.ts';
import type { Session } from '../../session/session.ts';
import type { CommonOptions } from '../../session/options.ts';
import type { Invocation } from '../command.ts';

export async function run(session: Session, { options }: Invocation<CommonOptions>): Promise<void> {
  const { audit } = await session.config();
  const { path, sinks = [] } = audit;
  if (audit.untrustedSinks === true)
    session.warn(
      'the sinks of secrets.yaml are not used, because the file is not trusted; review them with secrets trust',
    );
  if (audit.log === 'off' && sinks.length > 0) session.warn('audit.log is off: nothing is sent');
  const states = sinks.map((sink) => {
    const cursor = cursorOf(path, sink, session.world.now());
    return {
      sink: sink.name,
      type: sink.given.type,
      to: receiverOf(sink.given),
      source: sink.source,
      upTo: cursor.seq,
      backlog: backlogOf(path, cursor),
      success: cursor.success,
      failure: cursor.failure,
    };
  });
  if (options.json === true) return session.printJson(states.map((state) => compact(state)));
  await printTable(
    session,
    ['sink', 'type', 'to', 'waiting', 'last taken', 'last failure'],
    states.map(({ sink, type, to, backlog, success, failure }) => [
      sink,
      type,
      to,
      String(backlog),
      success ?? 'never',
      failure === undefined ? '' : `${failure.at}: ${failure.message}`,
    ]),
  );
}
