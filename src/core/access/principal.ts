/** Principals as people write them: `role/deploy`, `user:alice`, `group:team@example.com`. */
import { SecretsError } from '../errors.ts';
import { nearest } from '../reference/nearest.ts';
import { quoted } from '../text/suspect.ts';

export interface Principal {
  /** The word before `:` or `/`, in lower case. */
  readonly kind: string;
  readonly name: string;
}

/** Longer than any service's own limit. */
const LONGEST = 2048;
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]/u;

/**
 * @param kinds the kinds that the store knows
 * @param examples for the message
 * @throws SecretsError Usage
 */
export function parsePrincipal(text: string, kinds: readonly string[], examples: string): Principal {
  const [, word = '', name = ''] = /^([A-Za-z][A-Za-z-]*)[:/](.+)$/s.exec(text) ?? [];
  const kind = word.toLowerCase();
  const refuse = (why: string, hint: string): SecretsError =>
    new SecretsError('Usage', `${quoted(text)} is not a principal: ${why}`, { hint });
  if (text.length > LONGEST) throw refuse(`longer than ${LONGEST} characters`, `such as ${examples}`);
  if (CONTROL.test(text)) throw refuse('it contains a control character', `such as ${examples}`);
  if (kind === '') throw refuse('its kind is missing', `such as ${examples}`);
  if (!kinds.includes(kind)) {
    const near = nearest(kind, kinds);
    throw refuse(
      `${kind} is not a kind of principal here`,
      near === undefined ? `use ${kinds.join(', ')}: ${examples}` : `did you mean ${near}:${name}?`,
    );
  }
  return { kind, name };
}

/** A principal that the service doesn't know, with the most similar one that it does. */
export function unknownPrincipal(
  title: string,
  { kind, name }: Principal,
  known: readonly string[],
): SecretsError {
  const near = nearest(name, known);
  return new SecretsError('NotFound', `${title} has no ${kind} ${quoted(name)}`, {
    hint: near === undefined ? undefined : `did you mean ${kind}/${near}?`,
  });
}

/** Refuses a principal that stands for many, unless that is what the user wants. @throws SecretsError Policy */
export function checkBreadth(what: string, broad: boolean | undefined): void {
  if (broad === true) return;
  throw new SecretsError('Policy', `this would let ${what} read the secret`, {
    hint: 'name one principal, or pass --broad and --reason TEXT',
  });
}
