/**
 * The agent's second door: Vault's HTTP protocol. Programs that read from Vault read every store through it.
 * docs/agent-vault.md says what is served, and what is different.
 */
import { createPrivateFile, readPrivateFile, removeFile, replacePrivateFile } from '../../platform/files.ts';
import { SecretsError } from '../../core/errors.ts';
import type { Door, DoorContext } from '../doors.ts';
import { Handler } from './handler.ts';
import { READ_ALL, type Part } from './scope.ts';
import { listen, placeOf } from './server.ts';
import { DEFAULT_TTL, Tokens } from './tokens.ts';

export interface VaultDoorOptions {
  /** `127.0.0.1:PORT`, or `unix://PATH`. */
  readonly address: string;
  /** Where programs find their token: written 0600, renewed while the agent runs, removed at its end. */
  readonly tokenFile?: string | undefined;
  /** Life of the token in that file, in seconds. */
  readonly tokenTtl?: number | undefined;
  /** What its tokens may read; default: everything. */
  readonly read?: readonly Part[] | undefined;
  /** Goes to every record. */
  readonly reason?: string | undefined;
  /** What its tokens may write; default: nothing. */
  readonly write?: readonly Part[] | undefined;
}

export interface VaultDoor extends Door {
  /** A token for one program, which lives until the door is closed. */
  issue(displayName: string): string;
}

export async function openVaultDoor(options: VaultDoorOptions, context: DoorContext): Promise<VaultDoor> {
  const place = placeOf(options.address);
  const scope = { read: options.read ?? READ_ALL.read, write: options.write ?? [] };
  const tokens = new Tokens(context.world.now);
  const server = await listen(place, new Handler(context, tokens, options.reason));
  const issue = (displayName: string, ttl?: number): string => {
    const made = tokens.issue({
      scope,
      displayName: `token-${displayName}`,
      ttl,
      renewable: ttl !== undefined,
    });
    if (made === undefined)
      throw new SecretsError('Failed', 'the agent has too many tokens', { hint: 'restart it' });
    return made.secret;
  };
  let file: TokenFile | undefined;
  try {
    const ttl = options.tokenTtl ?? DEFAULT_TTL;
    if (options.tokenFile !== undefined)
      file = new TokenFile(options.tokenFile, ttl, () => Buffer.from(issue('agent', ttl)), context);
  } catch (thrown) {
    await server.close();
    throw thrown;
  }
  return {
    name: 'vault',
    address: server.address,
    issue: (displayName) => issue(displayName),
    status: () => ({
      tokens: tokens.size,
      ...(options.tokenFile !== undefined && { tokenFile: options.tokenFile }),
      ...(options.read !== undefined && { reads: textOf(options.read) }),
      ...(scope.write.length > 0 && { writes: textOf(scope.write) }),
    }),
    stop: async () => {
      file?.close();
      tokens.revokeAll();
      await server.close();
    },
  };
}

/** Parts of stores, as `--read` and `--write` have them. */
export function textOf(parts: readonly Part[]): string {
  return parts
    .map(({ store, prefix }) => `${store ?? '*'}://${prefix}`)
    .sort()
    .join(' ');
}

const WHAT = 'the token file';
/** How often the time of its token is looked at: a timer for the whole time would stand still while the machine sleeps. */
const TICK_MS = 5000;

/** The file with the agent's token. A new token replaces it at half of its life; the old one stays valid to its end. */
class TokenFile {
  readonly #path: string;
  readonly #ttl: number;
  readonly #issue: () => Buffer;
  readonly #context: Pick<DoorContext, 'world' | 'warn'>;
  readonly #timer: NodeJS.Timeout;
  #written: Buffer;
  #issuedAt: number;
  /** Issued, but not written: writing it is tried again. */
  #next: { readonly token: Buffer; readonly issuedAt: number } | undefined;

  /** @throws SecretsError for a file in its place that is not a token of ours, or open to others */
  constructor(path: string, ttl: number, issue: () => Buffer, context: Pick<DoorContext, 'world' | 'warn'>) {
    this.#path = path;
    this.#ttl = ttl;
    this.#issue = issue;
    this.#context = context;
    this.#issuedAt = this.#now();
    const before = readPrivateFile(path, WHAT, true);
    this.#written = issue();
    // What an agent left behind that was killed is replaced; anything else is somebody's.
    if (before === undefined || !isToken(before)) createPrivateFile(path, this.#written, WHAT);
    else replacePrivateFile(path, this.#written, WHAT);
    this.#timer = setInterval(() => this.#tick(), Math.min(ttl * 100, TICK_MS)).unref();
  }

  #now(): number {
    return this.#context.world.now().getTime();
  }

  #tick(): void {
    if (this.#now() - this.#issuedAt < this.#ttl * 500) return;
    const isFirst = this.#next === undefined;
    try {
      this.#next ??= { token: this.#issue(), issuedAt: this.#now() };
      const { token, issuedAt } = this.#next;
      replacePrivateFile(this.#path, token, WHAT);
      this.#written = token;
      this.#issuedAt = issuedAt;
      this.#next = undefined;
    } catch {
      if (isFirst)
        this.#context.warn(
          `the token file can't be written; the token in it ends within ${Math.ceil(this.#ttl / 2)} seconds`,
        );
    }
  }

  /** Removes the file, unless another agent has written it since. */
  close(): void {
    clearInterval(this.#timer);
    const now = readPrivateFile(this.#path, WHAT, false);
    if (now?.equals(this.#written) === true) removeFile(this.#path);
  }
}

function isToken(content: Buffer): boolean {
  return /^hvs\.[\w-]{43}$/.test(content.toString('latin1'));
}
