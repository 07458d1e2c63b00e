/**
 * Claims give one writer at a time the next number of a secret, without a lock: `link` lets one of them make a name.
 *
 * The claim of a writer that was killed must not become an entry later, when nobody expects it any more, and must not
 * be in the way. So whoever meets a claim waits a moment for its writer, then voids it: the writer's temporary file,
 * the only one that can become the entry, is removed first. If the entry is not in place after that, it never will be,
 * whether the writer lives or not; a living one sees that and begins again. Then the claim is emptied. It keeps its name
 * until its number has an entry: a slow writer that looked before it was voided would take a name that is free for its
 * own. docs/local-store.md, section 10.
 */
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
} from 'node:fs';
import { join } from 'node:path';
import {
  checkFolder,
  entriesOf,
  fileError,
  isMissing,
  readPrivateFile,
  removeFile,
} from '../../platform/files.ts';
import { fileName, type Header, parseHeader } from './entry-file.ts';

/** How long a writer is waited for. It takes a few system calls; one that is slower is not harmed. */
const PATIENCE_MS = 100;
const POLL_MS = 5;

/** `<number>`, or `<number>.<turn>` when claims of this number were voided before. */
const CLAIM = /^(\d{10})(?:\.([1-9]\d{0,8}))?$/;

interface Claim {
  readonly path: string;
  readonly number: number;
  readonly turn: number;
}

/** The number that the next entry of a secret has, and the file that claims it. */
export interface Next {
  readonly number: number;
  readonly claim: string;
}

export class Claims {
  readonly #root: string;
  readonly #folder: string;

  /** @param root the store's folder */
  constructor(root: string) {
    this.#root = root;
    this.#folder = join(root, 'claims');
  }

  /**
   * Waits for the writer that has claimed the next number of a secret; voids its claim when it doesn't come.
   * @param lastNumber looks for the highest number of an entry
   */
  settle(sid: string, lastNumber: () => number): Next {
    for (;;) {
      // In this order: an entry is in place before the number that follows it is claimed.
      const claims = this.#of(sid);
      const number = lastNumber() + 1;
      let turn = 0;
      let open: Claim | undefined;
      for (const claim of claims) {
        if (claim.number === number) {
          turn = Math.max(turn, claim.turn + 1);
          if (!this.#isOver(sid, claim)) open = claim;
        } else {
          // What it follows was purged: it must not appear in the secret that is begun anew.
          if (claim.number > number) this.#void(sid, claim);
          removeFile(claim.path);
        }
      }
      if (open === undefined) return { number, claim: this.#path(sid, number, turn) };
      for (let waited = 0; waited < PATIENCE_MS && !this.#isOver(sid, open); waited += POLL_MS)
        sleep(POLL_MS);
      this.#void(sid, open);
    }
  }

  /** Gives up a writer's own claim. Its temporary file is gone already. */
  giveUp(sid: string, { number, claim: path }: Next, id: string): void {
    this.#void(sid, { path, number, turn: 0 }, id);
  }

  /** Removes the claims of a number that has an entry, and of those before it. */
  clear(sid: string, number: number): void {
    for (const claim of this.#of(sid)) if (claim.number <= number) removeFile(claim.path);
  }

  /** Removes all claims of a secret that is purged. */
  drop(sid: string): void {
    for (const claim of this.#of(sid)) {
      this.#void(sid, claim);
      removeFile(claim.path);
    }
  }

  #of(sid: string): readonly Claim[] {
    if (!checkFolder(this.#folder, 'anything')) return [];
    return entriesOf(this.#folder).flatMap((entry) => {
      if (!entry.startsWith(`${sid}.`)) return [];
      const match = CLAIM.exec(entry.slice(sid.length + 1));
      if (match === null) return [];
      return { path: join(this.#folder, entry), number: Number(match[1]), turn: Number(match[2] ?? 0) };
    });
  }

  #path(sid: string, number: number, turn: number): string {
    const name = `${sid}.${String(number).padStart(10, '0')}`;
    return join(this.#folder, turn === 0 ? name : `${name}.${turn}`);
  }

  /** Whether nothing will come of a claim any more: it is gone, void, or has become an entry. */
  #isOver(sid: string, claim: Claim): boolean {
    const header = parseHeader(readPrivateFile(claim.path, 'a claim', false) ?? Buffer.alloc(0));
    return header === undefined || this.#isEntry(sid, claim, header);
  }

  #isEntry(sid: string, { number }: Claim, { at, id }: Header): boolean {
    return existsSync(join(this.#root, 'secrets', sid, fileName(number, at, id)));
  }

  /** @param only the entry that it must be the claim of */
  #void(sid: string, claim: Claim, only?: string): void {
    let fd: number;
    try {
      fd = openSync(claim.path, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    } catch (thrown) {
      if (isMissing(thrown)) return;
      throw fileError(thrown, 'cannot tidy up', claim.path);
    }
    try {
      const header = fstatSync(fd).isFile() ? parseHeader(readFileSync(fd)) : undefined;
      if (header === undefined || (only !== undefined && header.id !== only)) return;
      this.#removeScratch(header.id);
      // By the open file: the name may be another writer's claim by now.
      if (!this.#isEntry(sid, claim, header)) ftruncateSync(fd);
    } catch (thrown) {
      throw fileError(thrown, 'cannot tidy up', claim.path);
    } finally {
      closeSync(fd);
    }
  }

  /** Removes the temporary file of an entry. */
  #removeScratch(id: string): void {
    const tmp = join(this.#root, 'tmp');
    if (!checkFolder(tmp, 'anything')) return;
    for (const file of readdirSync(tmp, { withFileTypes: true })) {
      const path = join(tmp, file.name);
      const bytes = file.isFile() ? readPrivateFile(path, 'a temporary file', false) : undefined;
      if (bytes !== undefined && parseHeader(bytes)?.id === id) removeFile(path);
    }
  }
}

function sleep(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
