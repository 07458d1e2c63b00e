/** MySQL's authentication plugins that reveal the password, and what they require without TLS. */
import { SecretsError } from '../../../core/errors.ts';
import type { Login } from '../database/login.ts';
import { placeOf } from '../database/proof.ts';

type Plugins = typeof import('mysql2').authPlugins;
type Plugin = ReturnType<Plugins['caching_sha2_password']>;

/**
 * Without TLS these plugins encrypt the password with a key that the server sends, whoever that is: as bad as clear
 * text. Only a configured key is used. On Unix sockets the driver would send the password in clear text.
 * https://dev.mysql.com/doc/refman/8.4/en/caching-sha2-pluggable-authentication.html
 */
export function withoutClearText(
  plugins: Plugins,
  login: Login,
  serverKey: string | undefined,
): Record<string, Plugin> {
  const own = { overrideIsSecure: false, ...(serverKey !== undefined && { serverPublicKey: serverKey }) };
  return {
    caching_sha2_password: guarded(plugins.caching_sha2_password(own), ASKS_FOR_KEY.caching_sha2, login),
    sha256_password: guarded(plugins.sha256_password(own), ASKS_FOR_KEY.sha256, login),
  };
}

/** The byte that a client sends to request the server's key. */
const ASKS_FOR_KEY = { caching_sha2: 2, sha256: 1 };

function guarded(plugin: Plugin, asksForKey: number, login: Login): Plugin {
  return (metadata) => {
    const handler = plugin(metadata);
    const checked = async (data: Buffer) => {
      const answer = await handler(data);
      if (!Buffer.isBuffer(answer) || answer.length !== 1 || answer[0] !== asksForKey) return answer;
      throw new SecretsError(
        'Unsupported',
        `${placeOf(login)} requests the password encrypted with an unverified key`,
        { hint: 'use TLS: name the authority of its certificate as ca; or name its RSA key as server-key' },
      );
    };
    // The declared type has no promise of nothing to send, which the driver accepts.
    return checked as ReturnType<Plugin>;
  };
}
