/** A request as the paths' handlers get it: refused, limited and signed in. */
import type { JsonDocument } from '../../core/document/document.ts';
import type { CallOptions } from '../../providers/call.ts';
import type { AgentClient, AgentStores } from '../stores.ts';
import type { AuditAction } from '../../core/audit/record.ts';
import { type Answer, NOT_ALLOWED } from './answers.ts';
import type { Token } from './tokens.ts';

export interface DoorRequest {
  /** `LIST` also for `GET …?list=true`. */
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  /** A JSON object; undefined if the body was empty or something else. */
  readonly body: JsonDocument | undefined;
  /** What came in X-Vault-Token; `auth/token` paths return it. */
  readonly secret: string;
  readonly token: Token;
  readonly client: AgentClient;
  readonly stores: AgentStores;
  readonly call: CallOptions;
  readonly now: () => Date;
}

/** A field of the body: its text if it is a string, its JSON value otherwise; undefined if missing or null. */
export function field(body: JsonDocument | undefined, name: string): unknown {
  const node = body?.member(name);
  if (body === undefined || node === undefined) return undefined;
  return (JSON.parse(body.sourceOf(node)) as unknown) ?? undefined;
}

/** The answer to what a token isn't for. Recorded first: who tries what is what a log is read for. */
export async function denied(
  { stores, client }: DoorRequest,
  action: AuditAction,
  store: string,
  name: string,
): Promise<Answer> {
  await stores.refused(client, { action, store, name });
  return NOT_ALLOWED;
}
