/** What the parts of the contract suite share: the contract's own form, and small readers. */
import { SecretsError } from '../../src/core/errors.ts';
import type { Provider, SecretRequest } from '../../src/providers/provider.ts';
import type { ProviderContext } from '../../src/providers/descriptor.ts';
import type { SecretVersion } from '../../src/core/secret.ts';
import type { Upstream } from './fault-proxy.ts';

/** How one provider meets the suite. */
export interface Contract {
  /** A store, empty or not; every test uses names of its own. */
  open(): Provider | Promise<Provider>;
  /** A store whose credential the service does not know. */
  openStranger?(): Provider | Promise<Provider>;
  /** A store whose credential the service knows and which may read nothing. */
  openDenied?(): Provider | Promise<Provider>;
  /** A store at an address where nobody answers. */
  openUnreachable?(): Provider | Promise<Provider>;

  /** The real server, for the proxy that stands in front of it in the tests of faults. */
  upstream?(): Upstream | Promise<Upstream>;
  /** A store of the same secrets as `open`'s, made anew, that reaches the server through the proxy at this URL. */
  openThrough?(proxyUrl: string): Provider | Promise<Provider>;
  /** Texts that no error may hold: tokens, keys, passwords. */
  credentials?(): readonly string[];
  /** Why a page of the wrong shape can't be told from an empty one; `list` may then end without an error. */
  readonly lenientList?: string;

  /** Makes a secret without a value, as Terraform or a console does, where the service can have one. */
  makeEmpty?(name: string): Promise<unknown>;

  /** Stands between the parts of a name; `/` where it is missing. */
  readonly separator?: string;
  /** Why a pending version of a secret that does not exist yet is refused as `Unsupported`. */
  readonly pendingNeedsCurrent?: string;
}

/** Options with a deadline in milliseconds. */
export const within = (timeout: number): { signal: AbortSignal } => ({
  signal: AbortSignal.timeout(timeout),
});
/** Options with more time than any healthy call needs. */
export const now = (): { signal: AbortSignal } => within(30_000);
export const bytes = (text: string): Uint8Array => Buffer.from(text);
export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export function contextFor(env: Readonly<Record<string, string>>, home: string): ProviderContext {
  return {
    store: 'tested',
    env,
    home,
    cwd: home,
    now: () => new Date(),
    warn: () => undefined,
    debug: () => undefined,
    askHidden: undefined,
  };
}

let count = 0;
/** A name that no other test uses. */
export function freshName(contract: Contract): string {
  count += 1;
  return `contract${contract.separator ?? '/'}${process.pid}-${Date.now().toString(36)}-${count}`;
}

export async function readOne(
  provider: Provider,
  request: SecretRequest,
  options = now(),
): Promise<SecretVersion> {
  const [result] = await provider.get([request], options);
  if (result === undefined) throw new Error('no result');
  if (!result.ok) throw result.error;
  return result.secret;
}

export const textOf = async (provider: Provider, request: SecretRequest): Promise<string> =>
  Buffer.from((await readOne(provider, request)).value).toString();

export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

/** The error of a call, `undefined` for none; anything but a SecretsError of one line fails the test. */
export async function errorOf(work: Promise<unknown>): Promise<SecretsError | undefined> {
  try {
    await work;
    return undefined;
  } catch (thrown) {
    if (!(thrown instanceof SecretsError)) throw thrown;
    expect(thrown.message).not.toMatch(/\n/);
    return thrown;
  }
}

export async function kindOf(work: Promise<unknown>): Promise<string> {
  return (await errorOf(work))?.kind ?? 'no error';
}
