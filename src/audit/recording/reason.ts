/** The reason that a user gives for an access. */
import { SecretsError } from '../../core/errors.ts';

const MAX_REASON = 500;
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/;

/**
 * The reason for a record. A reason on the command line must be valid; one from a pipeline, which may be a commit
 * message, is made valid.
 * @throws SecretsError Usage
 */
export function reasonOf(option: string | undefined, variable: string | undefined): string | undefined {
  if (option === undefined) {
    if (variable === undefined) return undefined;
    const text = variable.replaceAll(new RegExp(CONTROL, 'g'), ' ').trim();
    return text === '' ? undefined : cut(text);
  }
  const text = option.trim();
  if (text === '')
    throw new SecretsError('Usage', 'the reason is empty', { hint: 'give a reason, or omit --reason' });
  if (CONTROL.test(text)) throw new SecretsError('Usage', 'the reason contains a control character');
  if (text.length > MAX_REASON)
    throw new SecretsError('Usage', `the reason is longer than ${MAX_REASON} characters`);
  return wellFormed(text);
}

function cut(text: string): string {
  return wellFormed(text.slice(0, MAX_REASON));
}

/** Replaces unpaired surrogates. */
function wellFormed(text: string): string {
  return Buffer.from(text).toString();
}
