/** `--watch`: looks for new versions of secrets and a new template, and renders again when they have settled. */
import { toSecretsError } from '../core/errors.ts';
import { sleep } from '../core/waiting.ts';

export interface Watching {
  readonly pollMs: number;
  readonly debounceMs: number;
  /** Whether a secret or the template has changed since the last look. */
  look(): Promise<boolean>;
  /** Renders again. @returns whether the file is another now @throws SecretsError */
  renew(): Promise<boolean>;
  /** Runs what is to follow on a new file, until it ends. Never rejects. */
  follow(): Promise<void>;
  warn(message: string): void;
  debug(message: string): void;
}

/** Each pause varies by up to this share, so that a hundred machines don't ask in the same second. */
const JITTER = 0.1;
/** The pause doubles with each failure, up to this. */
const LONGEST_PAUSE_MS = 600_000;
/** How many times to wait for secrets that keep changing. */
const MOST_DEBOUNCES = 10;

/** Watches until the signal aborts. */
export async function watchUntil(over: AbortSignal, watching: Watching): Promise<void> {
  const { pollMs, debounceMs, look, renew, follow, warn, debug } = watching;
  let failures = 0;
  let due = false;
  let lastWarning = '';
  const failed = (thrown: unknown): void => {
    failures += 1;
    const { message, reference, errors } = toSecretsError(thrown);
    const details = errors.map((error) => `${error.reference ?? ''}: ${error.message}`);
    const what = [reference === undefined ? message : `${reference}: ${message}`, ...details].join('; ');
    const text = `the file stays as it is: ${what}`;
    // Once, not every half minute all night.
    if (text === lastWarning) debug(text);
    else warn(text);
    lastWarning = text;
  };
  const check = async (): Promise<void> => {
    if (!(await look()) && !due) {
      debug('looked at the secrets and the template: nothing new');
      return;
    }
    due = true;
    for (let waited = 0; waited < MOST_DEBOUNCES; waited += 1) {
      await sleep(debounceMs, over, true);
      if (over.aborted || !(await look())) break;
    }
    if (over.aborted) return;
    const changed = await renew();
    due = false;
    if (changed) await follow();
    else debug('rendered again: nothing in the file has changed');
  };
  while (!over.aborted) {
    const pause = Math.min(pollMs * 2 ** failures, Math.max(LONGEST_PAUSE_MS, pollMs));
    await sleep(pause * (1 - JITTER + 2 * JITTER * Math.random()), over, true);
    if (over.aborted) return;
    try {
      await check();
      failures = 0;
      lastWarning = '';
    } catch (thrown) {
      if (!over.aborted) failed(thrown);
    }
  }
}
