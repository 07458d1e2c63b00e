/** The authenticators of the Conjur test server: API key, authn-jwt, authn-iam; and its access tokens. */
import { createHash, createHmac, createPublicKey, timingSafeEqual, verify } from 'node:crypto';
import { identifierOf, kindOf } from './model.mjs';

/** Seconds an access token lives. */
const TOKEN_LIFE = 8 * 60;

const base64 = (value) => Buffer.from(JSON.stringify(value)).toString('base64');

function same(a, b) {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}

/** `host/app` and `ann` as the ids of their roles. */
export function roleOf(account, login) {
  return login.startsWith('host/') ? `${account}:host:${login.slice(5)}` : `${account}:user:${login}`;
}

export function loginOf(role) {
  return kindOf(role) === 'host' ? `host/${identifierOf(role)}` : identifierOf(role);
}

export class Tokens {
  constructor(key, now) {
    this.key = key;
    this.now = now;
  }

  make(login) {
    const iat = Math.floor(this.now().getTime() / 1000);
    const protectedPart = base64({ alg: 'conjur.org/slosilo/v2', kid: 'test' });
    const payload = base64({ sub: login, iat });
    return { protected: protectedPart, payload, signature: this.sign(protectedPart, payload) };
  }

  sign(protectedPart, payload) {
    return createHmac('sha256', this.key).update(`${protectedPart}.${payload}`).digest('base64url');
  }

  /** { login, iat } of an Authorization header with a token of ours that still lives. */
  read(header) {
    const match = /^Token token="([A-Za-z0-9+/=]+)"$/.exec(header ?? '');
    if (match === null) return undefined;
    try {
      const token = JSON.parse(Buffer.from(match[1], 'base64').toString());
      if (!same(token.signature, this.sign(token.protected, token.payload))) return undefined;
      const { sub, iat } = JSON.parse(Buffer.from(token.payload, 'base64').toString());
      if (this.now().getTime() / 1000 > iat + TOKEN_LIFE) return undefined;
      return { login: sub, iat };
    } catch {
      return undefined;
    }
  }
}

/** The role's webservice permission, which every authenticator but the default one asks for. */
function mayAuthenticate(model, service, role) {
  const webservice = model.resources.get(`${model.account}:webservice:conjur/${service}`);
  return webservice !== undefined && model.roles.has(role) && model.allowed(role, 'authenticate', webservice);
}

export function byApiKey(model, login, apiKey) {
  const known = model.roles.get(roleOf(model.account, login))?.apiKey;
  return known !== undefined && same(known, apiKey) ? login : undefined;
}

/**
 * @param config { publicKey, issuer, audience, claim, path }: what a real server reads from the service's variables
 */
export function byJwt(model, service, config, login, body, now) {
  const token = new URLSearchParams(body).get('jwt') ?? '';
  const [header, payload, signature] = token.split('.');
  if (signature === undefined || config === undefined) return undefined;
  let claims;
  try {
    if (JSON.parse(Buffer.from(header, 'base64url').toString()).alg !== 'RS256') return undefined;
    claims = JSON.parse(Buffer.from(payload, 'base64url').toString());
  } catch {
    return undefined;
  }
  const key = createPublicKey(config.publicKey);
  const signed = Buffer.from(`${header}.${payload}`);
  if (!verify('sha256', signed, key, Buffer.from(signature, 'base64url'))) return undefined;
  if (claims.iss !== config.issuer || claims.aud !== config.audience) return undefined;
  if (!(claims.exp > now().getTime() / 1000)) return undefined;
  const found = login ?? `host/${config.path}/${claims[config.claim]}`;
  const role = roleOf(model.account, found);
  if (!mayAuthenticate(model, `authn-jwt/${service}`, role)) return undefined;
  // A host says in its annotations which claims its tokens must have, and must name at least one.
  const prefix = `authn-jwt/${service}/`;
  const demands = [...model.resources.get(role).annotations].filter(([name]) => name.startsWith(prefix));
  const fits = demands.every(([name, { value }]) => claims[name.slice(prefix.length)] === value);
  return demands.length > 0 && fits ? found : undefined;
}

const hash = (text) => createHash('sha256').update(text).digest('hex');
const hmac = (key, text) => createHmac('sha256', key).update(text).digest();
const ALLOWED = ['host', 'authorization', 'x-amz-date', 'x-amz-security-token', 'x-amz-content-sha256'];

/**
 * Instead of sending the headers on to STS, checks their signature with the keys it was told of.
 * Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html
 * @param keys access key id → { secret, token, account, role }
 */
export function byIam(model, service, keys, login, body, now) {
  let headers;
  try {
    headers = Object.fromEntries(
      Object.entries(JSON.parse(body)).map(([name, value]) => [name.toLowerCase(), value]),
    );
  } catch {
    return undefined;
  }
  const match =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([a-z0-9-]+)\/sts\/aws4_request, SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})$/.exec(
      headers.authorization ?? '',
    );
  if (match === null) return undefined;
  const [, id, day, region, signedHeaders, signature] = match;
  const names = signedHeaders.split(';');
  const key = keys[id];
  if (key === undefined || !names.every((name) => ALLOWED.includes(name) && name in headers))
    return undefined;
  if (headers.host !== `sts.${region}.amazonaws.com`) return undefined;
  if (key.token !== undefined && headers['x-amz-security-token'] !== key.token) return undefined;
  const date = headers['x-amz-date'];
  const sent = Date.parse(date.replace(/^(....)(..)(..T..)(..)(..)Z$/, '$1-$2-$3:$4:$5Z'));
  if (!(Math.abs(sent - now().getTime()) < 15 * 60_000)) return undefined;
  const canonical = [
    'GET',
    '/',
    'Action=GetCallerIdentity&Version=2011-06-15',
    ...names.map((name) => `${name}:${headers[name].trim()}`),
    '',
    signedHeaders,
    hash(''),
  ].join('\n');
  const scope = `${day}/${region}/sts/aws4_request`;
  const text = ['AWS4-HMAC-SHA256', date, scope, hash(canonical)].join('\n');
  const signing = ['aws4_request', 'sts', region, day].reduceRight(
    (secret, part) => hmac(secret, part),
    `AWS4${key.secret}`,
  );
  if (!same(hmac(signing, text).toString('hex'), signature)) return undefined;
  // The host's id ends with the account and the role that AWS names.
  const expected = [...login.split('/').slice(0, -2), key.account, key.role].join('/');
  if (login !== expected) return undefined;
  return mayAuthenticate(model, `authn-iam/${service}`, roleOf(model.account, login)) ? login : undefined;
}
