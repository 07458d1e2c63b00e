/** What the commands about one whole secret share. */
import { SecretsError, toSecretsError } from '../core/errors.ts';
import { codeOf } from '../platform/files.ts';
import type { Target } from '../session/resolver.ts';
import type { Provider } from '../providers/provider.ts';
import type { Session } from '../session/session.ts';

export interface Opened {
  readonly target: Target;
  readonly provider: Provider;
  readonly name: string;
  /** What messages call the store: `prod (aws)`. */
  readonly store: string;
}

/**
 * Opens the store of a reference to a whole secret and does the work; an error names the reference.
 * @throws SecretsError Usage for a reference with a key, version or stage
 */
export async function withSecret<T>(
  session: Session,
  text: string,
  work: (opened: Opened) => Promise<T>,
): Promise<T> {
  const target = await session.target(text);
  const { name, key, version, stage } = target.reference;
  if (key !== undefined || version !== undefined || stage !== undefined) {
    throw new SecretsError('Usage', 'this command works on whole secrets', {
      reference: target.text,
      hint: 'omit #key, ?version= and ?stage=',
    });
  }
  try {
    const provider = await session.open(target.store, target.native);
    return await work({ target, name, provider, store: await storeTitle(session, target.store) });
  } catch (thrown) {
    throw naming(thrown, target.text);
  }
}

/**
 * The store of a reference; empty for one that names none: whatever is done with that fails, says so and is recorded.
 */
export function storeOf(session: Session, reference: string): Promise<string> {
  return session.target(reference, false).then(
    ({ store }) => store,
    () => '',
  );
}

/** The failure with the reference it happened for; a reader of stdout that went away is no failure of a secret. */
export function naming(thrown: unknown, reference: string): Error {
  return readerIsGone(thrown) ? thrown : toSecretsError(thrown).forReference(reference);
}

/** Whether a write to stdout failed since nobody reads it any more. Adapters turn their sockets' errors into others. */
function readerIsGone(thrown: unknown): thrown is Error {
  const code = codeOf(thrown);
  return code === 'EPIPE' || code === 'ERR_STREAM_DESTROYED';
}

/** A store with the kind of its provider, as "has no …" messages name it: `prod (aws)`, or just `aws`. */
export async function storeTitle(session: Session, store: string): Promise<string> {
  const { provider } = await session.storeConfig(store);
  return provider === store ? store : `${store} (${provider})`;
}
