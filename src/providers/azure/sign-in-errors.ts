/** Translates sign-in errors. They contain no credential, token or program output. */
import { SecretsError } from '../../core/errors.ts';
import type { Method } from './settings.ts';
import { STOPPED, type Transport } from './transport.ts';

/** The developer's sign-in command. */
const LOGIN: Partial<Record<Method, string>> = {
  'azure-cli': 'az login',
  'azure-powershell': 'Connect-AzAccount',
  'azure-developer-cli': 'azd auth login',
};

/**
 * Microsoft Entra ID's errors contain a code. Source:
 * https://learn.microsoft.com/entra/identity-platform/reference-error-codes
 */
const ENTRA = /AADSTS\d+: [^.\r\n]{0,200}/;

export function translateSignIn(
  thrown: unknown,
  method: Method,
  title: string,
  { failure }: Transport,
): SecretsError {
  if (thrown instanceof SecretsError) return thrown;
  const { message = '', name = '', code } = thrown as { message?: string; name?: string; code?: string };
  const fail = (kind: SecretsError['kind'], line: string, hint: string): SecretsError =>
    new SecretsError(kind, line, { hint, cause: thrown });
  const refuse = (line: string, hint: string): SecretsError => fail('Unauthenticated', line, hint);
  const another = 'choose another auth.method';
  // Says nothing about the credential, which is requested again next time.
  if (failure?.code === STOPPED) return fail('Unavailable', 'stopped while signing in', 'try again');
  const refused = ENTRA.exec(message)?.[0];
  if (refused !== undefined)
    return refuse(
      `Microsoft Entra ID refuses the ${title}: ${refused}`,
      'check the tenant, the client id and the credential',
    );
  if (failure?.status === 429)
    return fail('Throttled', `${failure.host} asks to slow down`, 'try again later');
  if (method === 'managed-identity') return refuse('no managed identity on this machine', another);
  if (failure !== undefined) {
    const why = failure.code ?? `status ${failure.status}`;
    return fail(
      'Unavailable',
      `can’t sign in: ${failure.host} can’t be reached or failed (${why})`,
      'check the network and the authority-host: secrets doctor',
    );
  }
  if (/not configured to acquire tokens for tenant/.test(message))
    return refuse(
      `the vault is in another tenant than the ${title}`,
      'name that tenant in auth.additional-tenants',
    );
  if (method.startsWith('azure-')) {
    if (/could(n't| not) be found|not recognized|Unable to execute|ENOENT/.test(message))
      return refuse(`the ${title} is not installed`, another);
    if (/\baz login\b|Connect-AzAccount|auth login/.test(message))
      return refuse(`the ${title} is not signed in`, LOGIN[method] ?? another);
  }
  if (code === 'ENOENT' || code === 'EACCES')
    return refuse(`cannot read the file of the ${title} (${code})`, 'check its path');
  if (title.includes('certificate'))
    return refuse(
      `the ${title} can’t be read as PEM with its key`,
      'AZURE_CLIENT_CERTIFICATE_PASSWORD opens an encrypted one',
    );
  // Other messages may quote a program's output, including a token.
  return refuse(
    `the ${title} did not sign in (${name || 'unknown failure'})`,
    'secrets doctor --debug says more',
  );
}
