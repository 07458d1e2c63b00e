/** Filters for records. */
import { fitsPattern } from '../text/pattern.ts';
import type { AuditAction, AuditOutcome, AuditRecord } from './record.ts';

export interface AuditFilter {
  /** From `since` (inclusive) to `until` (exclusive). */
  readonly since?: Date | undefined;
  readonly until?: Date | undefined;
  readonly secret?: SecretPattern | undefined;
  /** User name, numeric id, or the identity at the service; `*` matches anything. */
  readonly actor?: string | undefined;
  readonly commands?: readonly string[] | undefined;
  readonly actions?: readonly AuditAction[] | undefined;
  readonly outcomes?: readonly AuditOutcome[] | undefined;
  readonly stores?: readonly string[] | undefined;
  /** Default: only `access`. */
  readonly kinds?: readonly AuditRecord['kind'][] | undefined;
  /** Only records that are the outcome of an intent. */
  readonly answers?: boolean | undefined;
  /** Only records up to this number. */
  readonly toSeq?: number | undefined;
  /** Only the newest records, this many. */
  readonly limit?: number | undefined;
}

/** A secret by name. In `name`, `*` matches anything and `?` one character. */
export interface SecretPattern {
  readonly store?: string | undefined;
  readonly name: string;
  readonly key?: string | undefined;
}

const isPattern = (text: string): boolean => /[*?]/.test(text);

/** Whether a record passes the filter, ignoring `limit`. */
export function passes(filter: AuditFilter, record: AuditRecord): boolean {
  const {
    since,
    until,
    secret,
    actor,
    commands,
    actions,
    outcomes,
    stores,
    toSeq,
    answers,
    kinds = ['access'],
  } = filter;
  if (answers === true && record.intent === undefined) return false;
  if (toSeq !== undefined && record.seq > toSeq) return false;
  if (!kinds.includes(record.kind)) return false;
  if (since !== undefined || until !== undefined) {
    const time = Date.parse(record.time);
    if (!(time >= (since?.getTime() ?? Number.NEGATIVE_INFINITY))) return false;
    if (!(time < (until?.getTime() ?? Number.POSITIVE_INFINITY))) return false;
  }
  if (outcomes !== undefined && !outcomes.includes(record.outcome)) return false;
  if (actions !== undefined && !actions.includes(record.action)) return false;
  if (stores !== undefined && !stores.includes(record.store ?? '')) return false;
  // `rotate` includes `rotate resume`.
  if (
    commands !== undefined &&
    !commands.some((name) => record.command === name || record.command?.startsWith(`${name} `))
  )
    return false;
  if (secret !== undefined && !isSecret(secret, record)) return false;
  if (actor === undefined) return true;
  const { user, uid, principal } = record.actor;
  return [user, uid === undefined ? undefined : String(uid), principal].some(
    (text) => typeof text === 'string' && fitsPattern(actor, text),
  );
}

function isSecret({ store, name, key }: SecretPattern, record: AuditRecord): boolean {
  if (store !== undefined && record.store !== store) return false;
  if (typeof record.secret !== 'string' || !fitsPattern(name, record.secret)) return false;
  // Reading the whole value includes each of its keys.
  return key === undefined || record.keys === undefined || record.keys.includes(key);
}

/** Byte sequences in the line of every record that passes: canonical JSON has only one spelling for them. */
export function needlesOf({
  secret,
  outcomes,
  stores,
  answers,
  kinds = ['access'],
}: AuditFilter): readonly Buffer[] {
  const needles: string[] = [];
  const add = (name: string, values: readonly string[] | undefined): void => {
    const [only] = values ?? [];
    if (values?.length === 1 && only !== undefined) needles.push(`"${name}":${JSON.stringify(only)}`);
  };
  // Rarest first.
  if (secret !== undefined && !isPattern(secret.name)) add('secret', [secret.name]);
  add('store', secret?.store === undefined ? undefined : [secret.store]);
  add('store', stores);
  if (answers === true) needles.push('"intent":');
  add('outcome', outcomes);
  add('kind', kinds);
  return needles.map((needle) => Buffer.from(needle));
}
