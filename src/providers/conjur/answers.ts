/** Reads Conjur's responses, and translates those that are failures. */
import { excerpt, IN_DOUBT, SecretsError } from '../../core/errors.ts';
import { isJsonObject, type JsonValue } from '../../core/json.ts';
import type { WholeAnswer } from '../../platform/net/transport.ts';
import { notConjur } from './variable.ts';

export function parse(answer: WholeAnswer): JsonValue {
  try {
    return JSON.parse(answer.body.toString('utf8')) as JsonValue;
  } catch {
    throw notConjur();
  }
}

/** A 404 from Conjur itself, which is JSON; an HTML page comes from a proxy, or from a URL that is not Conjur's. */
export function isMissing(answer: WholeAnswer): boolean {
  if (answer.status !== 404) return false;
  if (!/^application\/json\b/i.test(answer.headers['content-type'] ?? '')) throw notConjur();
  return true;
}

/** Whether a response has a body that is neither JSON nor plain text. */
export function isForeign({ headers, body }: WholeAnswer): boolean {
  return body.length > 0 && !/^(application\/json|text\/plain)\b/i.test(headers['content-type'] ?? '');
}

/** Conjur's message about a failure; empty for a response without one. */
export function messageOf(answer: WholeAnswer): string {
  try {
    const body = JSON.parse(answer.body.toString('utf8')) as JsonValue;
    const error = isJsonObject(body) ? body['error'] : undefined;
    const message = isJsonObject(error) ? error['message'] : undefined;
    return typeof message === 'string' ? message : '';
  } catch {
    return '';
  }
}

/** Translates Conjur's response to an error. Source: the responses in the OpenAPI documents. */
export function translate(answer: WholeAnswer, writes: boolean): SecretsError {
  const { status } = answer;
  const said = excerpt(messageOf(answer).replaceAll(/\s+/g, ' ').trim());
  switch (status) {
    case 400:
    case 405:
    case 406:
    case 422:
      return new SecretsError('Invalid', said || `Conjur refused the request (status ${status})`);
    case 401:
      return new SecretsError('Unauthenticated', 'Conjur doesn’t know the caller');
    case 404:
      return isForeign(answer) ? notConjur() : new SecretsError('NotFound', said || 'not found');
    case 409:
      return new SecretsError('Conflict', said || 'being changed by somebody else');
    case 413:
      return new SecretsError('Invalid', 'the value is larger than the server allows');
    case 414:
      return new SecretsError('Invalid', 'the request is longer than the server allows');
    case 429:
      return new SecretsError('Throttled', 'Conjur’s rate limit is reached', { hint: 'try again later' });
    default: {
      const unknown = writes ? IN_DOUBT : '';
      if (status < 500) return notConjur(unknown);
      return new SecretsError('Unavailable', `Conjur answered with status ${status}${unknown}`, {
        hint: 'try again',
      });
    }
  }
}
