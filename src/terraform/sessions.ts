/**
 * The sessions of one provider process: one for each kind of block, so that the audit log says what read or wrote a
 * secret. They share the settings of the provider's block and end together.
 */
import { Writable } from 'node:stream';
import type { ProgramWorld } from '../config/kinds.ts';
import { parentProgram } from '../platform/parent.ts';
import { deliverRecords } from '../session/delivery.ts';
import type { CommonOptions } from '../session/options.ts';
import { Session } from '../session/session.ts';

/** The kinds of blocks that use secrets, as the audit log names them after `terraform`. */
export type BlockKind = 'data' | 'ephemeral' | 'resource';

/** How long a store has to answer to what resources do when the user has interrupted the program. */
const WRITE_MS = 5000;

export class Sessions {
  readonly #world: ProgramWorld;
  readonly #opened = new Map<BlockKind, Session>();
  readonly #warnings: string[] = [];
  readonly #shown = new Set<string>();
  #options: CommonOptions;
  #client: string | undefined;
  #stopped = false;

  constructor({ world, options }: Session) {
    const stderr = warningsTo((text) => this.#warnings.push(text), world.stderr);
    // Not a copy: the world's streams and folders are getters.
    this.#world = Object.create(world, { stderr: { value: stderr } }) as ProgramWorld;
    this.#options = { ...options, json: false };
  }

  get world(): ProgramWorld {
    return this.#world;
  }

  /** @param version of the program that has started the provider, according to itself */
  configure(options: Pick<CommonOptions, 'profile' | 'store' | 'timeout' | 'reason'>, version: string): void {
    this.#options = { ...this.#options, ...options };
    this.#client = starter(version);
    // What has been checked before that has opened no store.
    this.#opened.clear();
  }

  of(kind: BlockKind): Session {
    let session = this.#opened.get(kind);
    if (session === undefined) {
      session = new Session(this.#world, this.#options, `terraform ${kind}`, this.#client);
      if (this.#stopped) session.run.stop();
      this.#opened.set(kind, session);
    }
    return session;
  }

  /**
   * The user has interrupted the program: lets no new session begin, and ends every call in progress. Those of resources
   * get time first: a secret that was written is in no state if its write is broken off.
   */
  stop(): void {
    this.#stopped = true;
    for (const [kind, { run }] of this.#opened) {
      if (kind === 'resource') setTimeout(() => run.stop(), WRITE_MS).unref();
      else run.stop();
    }
  }

  /** Warnings that haven't been shown yet, once each. */
  async warnings(): Promise<readonly string[]> {
    for (const session of this.#opened.values()) await session.output.said();
    const found = this.#warnings.splice(0).filter((text) => !this.#shown.has(text));
    for (const text of found) this.#shown.add(text);
    return [...new Set(found)];
  }

  async close(): Promise<void> {
    const sessions = [...this.#opened.values()];
    // Nobody is there any more to take their answers.
    for (const { run } of sessions) run.abandonCalls();
    await Promise.all(sessions.map(deliverRecords));
    await Promise.all(sessions.map((session) => session.close()));
  }
}

/**
 * What the log calls the program. Only its own name tells the two apart: the protocol doesn't, and the version in it is
 * Terraform's, which OpenTofu only pretends to be.
 */
function starter(version: string): string {
  const name = parentProgram() ?? '';
  if (/^(open)?tofu/i.test(name)) return 'OpenTofu';
  return /^terraform/i.test(name) ? `Terraform ${version}` : 'OpenTofu or Terraform';
}

/** Collects warnings, which are already without values. What else goes to stderr ends up in the program's log. */
function warningsTo(collect: (text: string) => void, stderr: Writable): Writable {
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      const text = chunk.toString();
      const [, warning] = /^secrets: warning: (.*)\n$/.exec(text) ?? [];
      if (warning !== undefined) collect(warning);
      stderr.write(text, done);
    },
  });
}
