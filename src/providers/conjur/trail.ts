/**
 * Conjur's audit records of a store: syslog messages of RFC 5424 with Conjur's structured data, read from a file that a
 * syslog server wrote. docs/conjur.md lists what is missing from it.
 *
 * Sources: https://github.com/cyberark/conjur/blob/master/docs/audit.md (43868 is Conjur's Private Enterprise Number)
 * and the events beside it: `fetch`, `update`, `check`, `list`, `resource` and `policy`; a batch is a `fetch` for each
 * variable.
 */
import type { AuditAction, AuditEvent } from '../../core/audit/record.ts';
import { checkPeriod } from '../../core/period.ts';
import type { CallOptions } from '../call.ts';
import type { ProviderContext } from '../descriptor.ts';
import type { TrailQuery } from '../capabilities/trail.ts';
import { LineCount, trailLines } from '../trail-lines.ts';
import { eventOf, isWithin, textOf, timeOf } from '../trail.ts';
import { PENDING_SUFFIX } from './pending.ts';
import { parseSyslog, type SyslogMessage } from './rfc5424.ts';

const NUMBER = '43868';

export interface TrailSource {
  readonly account: string;
  readonly file: string | undefined;
  readonly context: Pick<ProviderContext, 'store' | 'warn' | 'progress' | 'cwd' | 'home'>;
}

export async function* readTrail(
  { account, file, context }: TrailSource,
  query: TrailQuery,
  { signal }: CallOptions,
): AsyncIterable<AuditEvent> {
  checkPeriod(query);
  const count = new LineCount(context, 'Conjur’s audit');
  for await (const line of trailLines(query, file, context, 'Conjur’s audit trail')) {
    if (line === '') continue;
    const message = parseSyslog(line);
    const time = timeOf(message?.time);
    const isOurs = message !== undefined && time !== undefined && isConjurMessage(message);
    count.add(isOurs, signal);
    if (!isOurs || !isWithin(time, query)) continue;
    const event = eventFrom(message, time, account, context.store);
    if (event !== undefined && (query.name === undefined || event.secret === query.name)) yield event;
  }
  count.end();
}

function isConjurMessage({ data }: SyslogMessage): boolean {
  return [...data.keys()].some((id) => id.endsWith(`@${NUMBER}`));
}

/** `undefined` for a message that isn't about variables of the account. */
function eventFrom(
  message: SyslogMessage,
  time: string,
  account: string,
  store: string,
): AuditEvent | undefined {
  const value = (kind: string, name: string): string | undefined =>
    textOf(message.data.get(`${kind}@${NUMBER}`)?.get(name));
  const resource = value('subject', 'resource');
  const prefix = `${account}:variable:`;
  const isListing = message.id === 'list' && resource === undefined;
  if (isListing) {
    // A listing of another kind shows no variable.
    if ((value('subject', 'kind') ?? 'variable') !== 'variable') return undefined;
    if ((value('subject', 'account') ?? account) !== account) return undefined;
  } else if (resource === undefined || !resource.startsWith(prefix)) return undefined;
  const name = isListing ? undefined : resource?.slice(prefix.length);
  const isPending = name?.endsWith(PENDING_SUFFIX) === true;
  return eventOf({
    time,
    origin: 'conjur-audit',
    action: actionOf(message, value('action', 'operation') ?? '', {
      privilege: value('subject', 'privilege') ?? value('subject', 'owner'),
      annotation: value('subject', 'annotation'),
    }),
    ...outcomeOf(message, value('action', 'result')),
    actor: { principal: value('auth', 'user') },
    store,
    provider: 'conjur',
    secret: isPending ? name.slice(0, -PENDING_SUFFIX.length) : name,
    version: isPending ? 'pending' : value('subject', 'version'),
    address: value('client', 'ip'),
    // A process id if no request caused the event.
    requestId: /^[\da-f]{8}-[\da-f-]{27}$/i.test(message.process) ? message.process : undefined,
  });
}

function actionOf(
  { id }: SyslogMessage,
  operation: string,
  {
    privilege,
    annotation,
  }: { readonly privilege: string | undefined; readonly annotation: string | undefined },
): AuditAction {
  switch (id) {
    case 'fetch':
      return 'read';
    case 'update':
      return 'write';
    case 'list':
      return 'list';
    case 'check':
    case 'resource':
      return 'describe';
    case 'policy':
      if (annotation !== undefined) return 'label';
      if (privilege !== undefined) return 'access';
      // Permanently, with its values.
      return operation === 'remove' ? 'delete' : 'other';
    default:
      return 'other';
  }
}

/** Only the text contains the reason, and it is not shown. */
function outcomeOf(
  { text }: SyslogMessage,
  result: string | undefined,
): Pick<AuditEvent, 'outcome' | 'error'> {
  if (result !== 'failure') return { outcome: 'allowed' };
  if (/forbidden|CONJ00006E|does not have .{1,200} privilege/i.test(text))
    return { outcome: 'denied', error: 'Denied' };
  const isMissing = /not found|does not exist|CONJ00076E|CONJ00123E/i.test(text);
  return { outcome: 'failed', error: isMissing ? 'NotFound' : 'Failed' };
}
