/** Decides where a credential may be sent: the server's address, and the redirects that it may use. */
import { SecretsError } from '../../core/errors.ts';
import { isProtected } from '../../platform/net/address.ts';

/**
 * The address without trailing slashes.
 * @throws SecretsError Usage for an address that is missing, isn't a URL, uses plain http beyond loopback, or contains
 *   a password
 */
export function checkAddress(address: string | undefined): string {
  if (address === undefined || address === '') {
    throw new SecretsError('Usage', 'no Vault address', { hint: 'set VAULT_ADDR or the store’s address' });
  }
  let url: URL;
  try {
    url = new URL(address);
  } catch {
    throw new SecretsError('Usage', 'the Vault address is not a URL', {
      hint: 'https://vault.example.com:8200',
    });
  }
  if (!isProtected(url)) {
    throw new SecretsError('Usage', `the Vault address must be https: ${url.host}`, {
      hint: 'plain http is for loopback addresses only',
    });
  }
  if (url.username !== '' || url.password !== '')
    throw new SecretsError('Usage', 'the Vault address must not contain a user name or password');
  if (url.search !== '' || url.hash !== '')
    throw new SecretsError('Usage', 'the Vault address must not contain a query');
  return address.replace(/\/+$/, '');
}

/**
 * The target of a redirect. A standby answers 307 with the active node's address, which is another host: the token is
 * sent there, as Vault's own clients do, if the connection is https, or plain http on loopback. Source:
 * https://developer.hashicorp.com/vault/docs/concepts/ha#client-redirection
 * @throws SecretsError Unavailable for any other target, and for a downgrade from https to http
 */
export function redirectTarget(from: string, location: string): string {
  const refuse = (why: string): SecretsError =>
    new SecretsError('Unavailable', `the server’s redirect ${why} was not followed`, {
      hint: 'use the address of the active node, and check api_addr in the servers’ configuration',
    });
  let url: URL;
  try {
    url = new URL(location, from);
  } catch {
    throw refuse('to an invalid URL');
  }
  if (!isProtected(url) || (new URL(from).protocol === 'https:' && url.protocol !== 'https:'))
    throw refuse(`to ${url.protocol}//${url.host}`);
  if (url.username !== '' || url.password !== '') throw refuse('to an address with a password in it');
  return url.href;
}
