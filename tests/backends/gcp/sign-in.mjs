// Who asks: bearer tokens, and the endpoints that give them. The exchanges are those of
// https://developers.google.com/identity/protocols/oauth2/service-account (JWT grant, and JWTs in place of tokens),
// https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token (federation),
// https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken,
// https://cloud.google.com/compute/docs/metadata/overview (the metadata server).
//
// Not done: refresh-token rotation, token revocation, AWS and certificate sources of federation, lifetimes other
// than an hour, delegates of impersonation.
import { generateKeyPairSync, randomBytes, sign, verify } from 'node:crypto';
import { refuse } from './rules.mjs';

const SCOPE = 'https://www.googleapis.com/auth/cloud-platform';
const GRANT = 'urn:ietf:params:oauth:grant-type:';
const GOOGLE_TOKEN_URL = 'https://oauth2.googleapis.com/token';
const HOUR = 3600;
const seconds = () => Math.floor(Date.now() / 1000);
const base64url = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** An OAuth answer that is a refusal: RFC 6749, section 5.2. */
class OAuthError extends Error {
  constructor(error, description, status = 400) {
    super(description);
    this.body = { error, error_description: description };
    this.status = status;
  }
}

function parseJwt(text) {
  try {
    const [header, payload, signature, ...rest] = text.split('.');
    if (signature === undefined || rest.length > 0) return undefined;
    const decode = (part) => JSON.parse(Buffer.from(part, 'base64url').toString());
    return {
      header: decode(header),
      claims: decode(payload),
      signed: `${header}.${payload}`,
      signature: Buffer.from(signature, 'base64url'),
    };
  } catch {
    return undefined;
  }
}

const verifies = ({ header, signed, signature }, key) =>
  header.alg === 'RS256' && verify('sha256', Buffer.from(signed), key, signature);

export class SignIn {
  /** The https address of the endpoints here; set once it is known. */
  base = '';
  /** Number of tokens given, by the way they were asked for. */
  given = { jwt: 0, refresh: 0, exchange: 0, impersonation: 0, metadata: 0 };
  /** Principal that the metadata server speaks for; empty when there is none. */
  machine = '';
  #accounts = new Map();
  #tokens = new Map();
  #refreshTokens = new Map();
  /** Target account → principals that may become it. */
  #creators = new Map();
  #pool = { ...generateKeyPairSync('rsa', { modulusLength: 2048 }), issuer: 'https://issuer.test.example' };
  audience = '//iam.googleapis.com/projects/1234/locations/global/workloadIdentityPools/ci/providers/tests';

  /** A service account with a new key, in the form of the console's download. */
  account(email, project, tokenUri) {
    const pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const id = randomBytes(20).toString('hex');
    const keys = this.#accounts.get(email) ?? new Map();
    keys.set(id, pair.publicKey);
    this.#accounts.set(email, keys);
    return {
      type: 'service_account',
      project_id: project,
      private_key_id: id,
      private_key: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }),
      client_email: email,
      client_id: '100000000000000000001',
      token_uri: tokenUri ?? `${this.base}/token`,
      universe_domain: 'googleapis.com',
    };
  }

  refreshToken(email) {
    const token = `1//${randomBytes(24).toString('base64url')}`;
    this.#refreshTokens.set(token, `user:${email}`);
    return token;
  }

  /** Lets a principal become a service account. */
  creator(target, principal) {
    this.#creators.set(target, [...(this.#creators.get(target) ?? []), principal]);
  }

  accessToken(principal) {
    const token = `ya29.${randomBytes(32).toString('base64url')}`;
    this.#tokens.set(token, { principal, until: seconds() + HOUR });
    return token;
  }

  /** A token of the pool's own issuer, as a CI system gives it to a job. */
  subjectToken(subject) {
    const now = seconds();
    const claims = {
      iss: this.#pool.issuer,
      aud: `https:${this.audience}`,
      sub: subject,
      iat: now,
      exp: now + 600,
    };
    const signed = `${base64url({ alg: 'RS256', typ: 'JWT' })}.${base64url(claims)}`;
    return `${signed}.${sign('sha256', Buffer.from(signed), this.#pool.privateKey).toString('base64url')}`;
  }

  /** The principal of an Authorization header. @throws Refusal UNAUTHENTICATED */
  principal(authorization) {
    const [, token] = /^Bearer (\S+)$/i.exec(authorization ?? '') ?? [];
    if (token === undefined)
      refuse(
        'UNAUTHENTICATED',
        'Request is missing required authentication credential. Expected OAuth 2 access token, login cookie or other valid authentication credential.',
        { reason: 'CREDENTIALS_MISSING', domain: 'googleapis.com', metadata: {} },
      );
    const known = this.#tokens.get(token);
    if (known !== undefined && known.until > seconds()) return known.principal;
    const email = this.#selfSigned(token);
    if (email !== undefined) return `serviceAccount:${email}`;
    return refuse(
      'UNAUTHENTICATED',
      'Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.',
      { reason: 'ACCESS_TOKEN_TYPE_UNSUPPORTED', domain: 'googleapis.com', metadata: {} },
    );
  }

  #verified(text) {
    const jwt = parseJwt(text);
    const keys = this.#accounts.get(jwt?.claims.iss);
    if (jwt === undefined || keys === undefined) return undefined;
    // The key's id is optional; without it any key of the account will do.
    const { kid } = jwt.header;
    const tried = kid === undefined ? [...keys.values()] : keys.has(kid) ? [keys.get(kid)] : [];
    if (!tried.some((key) => verifies(jwt, key))) return undefined;
    const { iat, exp } = jwt.claims;
    const now = seconds();
    return exp > now && iat <= now + 60 && exp - iat <= HOUR + 60 ? jwt.claims : undefined;
  }

  #selfSigned(token) {
    const claims = this.#verified(token);
    if (claims === undefined || claims.sub !== claims.iss) return undefined;
    const scoped = (claims.scope ?? '').split(' ').includes(SCOPE);
    return scoped || claims.aud === 'https://secretmanager.googleapis.com/' ? claims.iss : undefined;
  }

  /** POST of one of the endpoints; `undefined` when the path is none of them. */
  answer(path, headers, body) {
    try {
      if (path === '/token') return { status: 200, body: this.#token(new URLSearchParams(body)) };
      if (path === '/v1/oauthtoken')
        return { status: 200, body: this.#workforce(headers, new URLSearchParams(body)) };
      if (path === '/v1/token') return { status: 200, body: this.#exchange(new URLSearchParams(body)) };
    } catch (thrown) {
      if (!(thrown instanceof OAuthError)) throw thrown;
      return { status: thrown.status, body: thrown.body };
    }
    const [, target] = /^\/v1\/projects\/-\/serviceAccounts\/([^/:]+):generateAccessToken$/.exec(path) ?? [];
    if (target === undefined) return undefined;
    const principal = this.principal(headers.authorization);
    const { scope = [] } = JSON.parse(body || '{}');
    if (scope.length === 0) refuse('INVALID_ARGUMENT', 'Scope required.');
    if (this.#creators.get(target)?.includes(principal) !== true)
      refuse(
        'PERMISSION_DENIED',
        "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).",
        {
          reason: 'IAM_PERMISSION_DENIED',
          domain: 'iam.googleapis.com',
          metadata: { permission: 'iam.serviceAccounts.getAccessToken' },
        },
      );
    this.given.impersonation += 1;
    const expireTime = new Date(Date.now() + HOUR * 1000).toISOString();
    return {
      status: 200,
      body: { accessToken: this.accessToken(`serviceAccount:${target}`), expireTime },
    };
  }

  #token(form) {
    const grant = form.get('grant_type');
    if (grant === 'refresh_token') {
      const principal = this.#refreshTokens.get(form.get('refresh_token'));
      if (principal === undefined) throw new OAuthError('invalid_grant', 'Bad Request');
      this.given.refresh += 1;
      return { access_token: this.accessToken(principal), expires_in: HOUR - 1, token_type: 'Bearer' };
    }
    if (grant !== `${GRANT}jwt-bearer`) throw new OAuthError('unsupported_grant_type', 'Invalid grant_type');
    const claims = this.#verified(form.get('assertion') ?? '');
    if (claims === undefined) throw new OAuthError('invalid_grant', 'Invalid JWT Signature.');
    if (claims.aud !== GOOGLE_TOKEN_URL && claims.aud !== `${this.base}/token`)
      throw new OAuthError('invalid_grant', 'Invalid JWT: the audience is not this endpoint.');
    if (!(claims.scope ?? '').split(' ').includes(SCOPE))
      throw new OAuthError('invalid_scope', 'Invalid OAuth scope or ID token audience provided.');
    this.given.jwt += 1;
    return {
      access_token: this.accessToken(`serviceAccount:${claims.iss}`),
      expires_in: HOUR - 1,
      token_type: 'Bearer',
    };
  }

  /** Workforce identity federation: as a user's refresh, with the client's name and secret in the header. */
  #workforce(headers, form) {
    if (!/^Basic \S+$/.test(headers.authorization ?? ''))
      throw new OAuthError('invalid_client', 'Unauthorized', 401);
    if (form.get('grant_type') !== 'refresh_token')
      throw new OAuthError('unsupported_grant_type', 'Invalid grant type.');
    return this.#token(form);
  }

  #exchange(form) {
    if (form.get('grant_type') !== `${GRANT}token-exchange`)
      throw new OAuthError('unsupported_grant_type', 'Invalid grant type.');
    if (form.get('requested_token_type') !== 'urn:ietf:params:oauth:token-type:access_token')
      throw new OAuthError('invalid_request', 'Invalid requested token type.');
    if (form.get('audience') !== this.audience)
      throw new OAuthError('invalid_target', 'The target service indicated by the "audience" is invalid.');
    const jwt = parseJwt(form.get('subject_token') ?? '');
    if (jwt === undefined || !verifies(jwt, this.#pool.publicKey) || jwt.claims.exp <= seconds())
      throw new OAuthError('invalid_grant', 'The subject token is not valid.');
    if (jwt.claims.iss !== this.#pool.issuer || jwt.claims.aud !== `https:${this.audience}`)
      throw new OAuthError(
        'invalid_grant',
        'The issuer or the audience of the subject token is not the pool’s.',
      );
    this.given.exchange += 1;
    const pool = this.audience.replace(/^\/\/iam\.googleapis\.com\//, '').replace(/\/providers\/.*$/, '');
    return {
      access_token: this.accessToken(`principal://iam.googleapis.com/${pool}/subject/${jwt.claims.sub}`),
      issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      token_type: 'Bearer',
      expires_in: HOUR,
    };
  }

  /** The metadata server's answer to a GET, as text or JSON; `undefined` for a path it has not. */
  metadata(path, project) {
    if (this.machine === '') return undefined;
    const account = '/computeMetadata/v1/instance/service-accounts/default/';
    if (path === '/' || path === '/computeMetadata/v1/instance') return 'ok';
    if (path === '/computeMetadata/v1/project/project-id') return project;
    if (path === '/computeMetadata/v1/universe/universe-domain') return 'googleapis.com';
    if (path === `${account}email`) return this.machine;
    if (!path.startsWith(`${account}token`)) return undefined;
    this.given.metadata += 1;
    return {
      access_token: this.accessToken(`serviceAccount:${this.machine}`),
      expires_in: HOUR - 1,
      token_type: 'Bearer',
    };
  }
}
