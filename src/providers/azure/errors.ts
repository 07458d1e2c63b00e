/** Translates the errors of the service and the SDK. */
import { excerpt, SecretsError } from '../../core/errors.ts';
import { deletedInTheWay } from '../errors.ts';
import { isCertificateError } from './transport.ts';

interface Thrown {
  readonly name?: string;
  readonly code?: string;
  readonly statusCode?: number;
  readonly message?: string;
  readonly details?: { readonly error?: ServiceError };
}

interface ServiceError {
  readonly code?: string;
  readonly message?: string;
  readonly innerError?: ServiceError;
}

/** Error codes of the service that decide what an error means. */
type Reason = 'disabled' | 'in-the-way' | 'moving' | 'other';

/** An error response of the service that the adapter reacts to. */
export class ServiceRefusal extends SecretsError {
  readonly reason: Reason;

  constructor(reason: Reason, ...rest: ConstructorParameters<typeof SecretsError>) {
    super(...rest);
    this.reason = reason;
  }
}

export function isRefusal(thrown: unknown, reason: Reason): boolean {
  return thrown instanceof ServiceRefusal && thrown.reason === reason;
}

export function isKind(thrown: unknown, kind: SecretsError['kind']): boolean {
  return thrown instanceof SecretsError && thrown.kind === kind;
}

/**
 * Sources: https://learn.microsoft.com/azure/key-vault/general/rest-error-codes and
 * https://learn.microsoft.com/azure/key-vault/general/common-error-codes
 * @param who the credential and its principal, for denials
 * @param writes whether the call would have changed something: decides which role the hint names
 */
export function translate(thrown: unknown, who: string, host: string, writes: boolean): SecretsError {
  if (thrown instanceof SecretsError) return thrown;
  const { statusCode: status, details } = thrown as Thrown;
  const { error } = details ?? {};
  const inner = error?.innerError?.code ?? '';
  const whole = error?.message?.slice(0, 4000) ?? '';
  const text = excerpt(whole.replaceAll(/\s+/g, ' ').trim());
  if (status === undefined) return connectionError(thrown as Thrown, host);
  const fail = failure(thrown);
  switch (status) {
    case 400:
    case 413:
      return fail('Invalid', text || 'the vault refuses the request');
    case 401:
      return fail(
        'Unauthenticated',
        `the vault does not accept the token (${who})${text && `: ${text}`}`,
        'is the vault in the tenant that you sign in to?',
      );
    case 403:
      if (inner === 'SecretDisabled' || /disabled secret/.test(text))
        return fail(
          'Invalid',
          'is disabled',
          'az keyvault secret set-attributes --enabled true brings it back',
          'disabled',
        );
      if (/purge protection/i.test(text)) return purgeProtected(thrown);
      if (inner === 'ForbiddenByFirewall' || /Client address is not authorized/.test(text))
        return fail(
          'Denied',
          'the vault’s firewall refuses this machine',
          'allow its address in the vault’s networking',
        );
      return fail('Denied', `not allowed (${who})${action(whole)}`, roleHint(writes));
    case 404:
      return fail('NotFound', 'not found', 'secrets list shows the names, with --deleted the deleted ones');
    case 409:
      return conflict(inner, text, fail);
    case 429:
      return fail('Throttled', 'the vault asks to slow down', 'try again later');
    default:
      return fail('Unavailable', `${host} failed with status ${status}`, 'try again');
  }
}

type Fail = (kind: SecretsError['kind'], line: string, hint?: string, reason?: Reason) => SecretsError;

function failure(cause: unknown): Fail {
  return (kind, line, hint, reason = 'other') => new ServiceRefusal(reason, kind, line, { hint, cause });
}

function conflict(inner: string, text: string, fail: Fail): SecretsError {
  if (inner === 'ObjectIsDeletedButRecoverable' || /deleted but recoverable/.test(text)) {
    const { kind, message, hint } = deletedInTheWay();
    return fail(kind, message, hint, 'in-the-way');
  }
  if (/^ObjectIsBeing/.test(inner) || /currently being/.test(text))
    return fail('Conflict', 'is being deleted or restored at this moment', 'try again in a minute', 'moving');
  return fail('Conflict', text || 'conflicts with its state in the vault');
}

/** The error where there is no answer, or none that the SDK can read. */
function connectionError(thrown: Thrown, host: string): SecretsError {
  const { code, message } = thrown;
  const fail = failure(thrown);
  if (/challenge resource/.test(message ?? ''))
    return fail(
      'Unauthenticated',
      `${host} wants a token for another service, which it does not get`,
      'the vault’s URL is wrong, or it is not Azure’s: disable-challenge-resource-verification',
    );
  if (code !== undefined && isCertificateError(code))
    return fail(
      'Unavailable',
      `the certificate of ${host} is not to be trusted (${code})`,
      'the store’s ca names the authority of a proxy that inspects TLS',
    );
  if (code === 'ENOTFOUND') return fail('Unavailable', `no host ${host}`, 'check the name of the vault');
  if (code !== undefined && code !== 'PARSE_ERROR')
    return fail('Unavailable', `${host} can’t be reached (${code})`, 'check the network: secrets doctor');
  // Any other failure inside the SDK means a malformed response, which its message may quote.
  return fail('Unavailable', `${host} gives an answer that is not Key Vault’s`);
}

export function purgeProtected(cause?: unknown, until?: Date): SecretsError {
  const when = until === undefined ? 'when its retention ends' : `on ${until.toISOString().slice(0, 10)}`;
  return new SecretsError('Denied', 'the vault has purge protection: nobody can purge', {
    hint: `Azure itself removes a deleted secret ${when}; until then secrets restore undoes that`,
    cause,
  });
}

/** The denied action, as role definitions name it. */
function action(text: string): string {
  const [, found] =
    /Action: '([^']+)'/.exec(text) ?? /does not have (secrets [a-z]+ permission)/.exec(text) ?? [];
  return found === undefined ? '' : `: it lacks ${found}`;
}

function roleHint(writes: boolean): string {
  const role = writes ? 'Key Vault Secrets Officer' : 'Key Vault Secrets User';
  return `grant it the role ${role} on the vault or the secret`;
}
