/**
 * Claims give the next number of a secret to one writer at a time, without a lock: `link` lets only one process create
 * a name.
 *
 * The claim of a killed writer must not become an entry later, when nobody expects it any more, and must not block
 * others. So a writer that finds a claim first waits a moment, then voids it: it removes the claiming writer's
 * temporary file, the only file that can become the entry. If the entry is not in place after that, it never will be,
 * whether the writer lives or not; a living writer notices and starts again. Then the claim is emptied. It keeps its
 * name until its number has an entry: otherwise a slow writer that looked before the claim was voided would mistake the
 * free name for its own. docs/local-store.md, section 10.
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

/** How long to wait for a writer. It needs only a few system calls; a slower one is not harmed. */
const PATIENCE_MS = 100;
const POLL_MS = 5;

/** `<number>`, or `<number>.<turn>` if earlier claims of this number were voided. */
const CLAIM = /^(\d{10})(?:\.([1-9]\d{0,8}))?$/;

interface Claim {
  readonly path: string;
  readonly number: number;
  readonly turn: number;
}

/** The number of a secret's next entry, and the file that claims it. */
export interface NextNumber {
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
   * Waits for the writer that has claimed a secret's next number; voids the claim if the entry doesn't appear.
   * @param lastNumber returns the highest number of an entry
   */
  settle(sid: string, lastNumber: () => number): NextNumber {
    for (;;) {
      // In this order, because an entry is in place before the next number is claimed.
      const claims = this.#of(sid);
      const number = lastNumber() + 1;
      let turn = 0;
      let open: Claim | undefined;
      for (const claim of claims) {
        if (claim.number === number) {
          turn = Math.max(turn, claim.turn + 1);
          if (!this.#isOver(sid, claim)) open = claim;
        } else {
          // The entry before it was purged, so this one must not appear in a secret that is created again.
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

  /** Gives up the caller's own claim. Its temporary file is already gone. */
  giveUp(sid: string, { number, claim: path }: NextNumber, id: string): void {
    this.#void(sid, { path, number, turn: 0 }, id);
  }

  /** Removes the claims of a number that has an entry, and all earlier ones. */
  clear(sid: string, number: number): void {
    for (const claim of this.#of(sid)) if (claim.number <= number) removeFile(claim.path);
  }

  /** Removes all claims of a purged secret. */
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

  /** Whether a claim is finished: gone, void, or turned into an entry. */
  #isOver(sid: string, claim: Claim): boolean {
    const header = parseHeader(readPrivateFile(claim.path, 'a claim', false) ?? Buffer.alloc(0));
    return header === undefined || this.#isEntry(sid, claim, header);
  }

  #isEntry(sid: string, { number }: Claim, { at, id }: Header): boolean {
    return existsSync(join(this.#root, 'secrets', sid, fileName(number, at, id)));
  }

  /** @param only void the claim only if it belongs to this entry */
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
      // Through the open file, because the name may be another writer's claim by now.
      if (!this.#isEntry(sid, claim, header)) ftruncateSync(fd);
    } catch (thrown) {
      throw fileError(thrown, 'cannot tidy up', claim.path);
    } finally {
      closeSync(fd);
    }
  }

  /** Removes an entry's temporary file. */
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
