/** The identity in a token's claims, for messages. */

/**
 * A token's claims about its principal. Source:
 * https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
 */
export interface Claims {
  readonly oid?: string;
  readonly appid?: string;
  readonly azp?: string;
  readonly upn?: string;
  readonly unique_name?: string;
  readonly preferred_username?: string;
  readonly tid?: string;
  readonly xms_mirid?: string;
  readonly exp?: number;
}

/** The token's claims; empty for a token that isn't a JWT. Not verified, so nothing may be decided by them. */
export function claimsOf(token: string): Claims {
  try {
    const text = Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8');
    const claims: unknown = JSON.parse(text);
    return typeof claims === 'object' && claims !== null ? (claims as Claims) : {};
  } catch {
    return {};
  }
}

/** The principal in the form that one would look up in Microsoft Entra ID. */
export function principalOf(claims: Claims): string {
  const user = claims.upn ?? claims.unique_name ?? claims.preferred_username;
  if (user !== undefined) return user;
  const application = claims.appid ?? claims.azp;
  const object = claims.oid === undefined ? '' : `object ${claims.oid}`;
  if (application === undefined) return object || 'unknown (the token has no claims)';
  return `application ${application}${object && `, ${object}`}`;
}
