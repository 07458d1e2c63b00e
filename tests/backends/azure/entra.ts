/**
 * Microsoft Entra ID, as far as an application's sign-in goes: the token endpoint for client credentials with a
 * secret, a certificate's assertion or a federated one; discovery; and the two endpoints of managed identities.
 * Sources: https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow and
 * https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token
 */
import {
  createHmac,
  createVerify,
  constants,
  type KeyObject,
  randomBytes,
  randomUUID,
  X509Certificate,
} from 'node:crypto';

/** An application, a user or a managed identity. */
export interface Principal {
  readonly objectId: string;
  readonly tenant: string;
  readonly clientId?: string;
  readonly upn?: string;
}

export interface Application extends Principal {
  readonly clientId: string;
  readonly secrets: readonly string[];
  /** Certificates, PEM. */
  readonly certificates: readonly string[];
  /** Tokens of others that are taken for it. */
  readonly federated: readonly {
    readonly issuer: string;
    readonly subject: string;
    readonly key: KeyObject;
  }[];
}

export interface Token extends Principal {
  readonly audience: string;
}

export interface Answer {
  readonly status: number;
  readonly body: object;
}

const LIFE = 3600;
const ASSERTION = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

export class Entra {
  readonly applications: Application[] = [];
  readonly tenants: string[] = [];
  /** What a token may be for. */
  readonly resources: string[] = [];
  /** The identity of the machine that asks the managed identities' endpoints; none where it is missing. */
  machine: Principal | undefined;
  /** What App Service's endpoint wants to see. */
  readonly identityHeader = randomUUID();
  readonly #key = randomBytes(32);

  /** A token as Entra would sign it. */
  issue(principal: Principal, audience: string, life = LIFE): string {
    const { objectId, tenant, clientId, upn } = principal;
    const now = Math.floor(Date.now() / 1000);
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const claims = {
      aud: audience,
      iss: `https://sts.windows.net/${tenant}/`,
      iat: now,
      nbf: now,
      exp: now + life,
      oid: objectId,
      sub: objectId,
      tid: tenant,
      ...(clientId !== undefined && { appid: clientId }),
      ...(upn !== undefined && { upn }),
    };
    const text = `${part({ typ: 'JWT', alg: 'HS256' })}.${part(claims)}`;
    return `${text}.${this.#sign(text)}`;
  }

  /** Whom a token was given to, if we gave it and it is still good. */
  verify(token: string): Token | undefined {
    const [header = '', payload = '', signature] = token.split('.');
    if (this.#sign(`${header}.${payload}`) !== signature) return undefined;
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<
      string,
      string & number
    >;
    if ((claims['exp'] ?? 0) * 1000 < Date.now()) return undefined;
    return {
      objectId: claims['oid'] ?? '',
      tenant: claims['tid'] ?? '',
      audience: claims['aud'] ?? '',
      ...(claims['appid'] !== undefined && { clientId: claims['appid'] }),
    };
  }

  #sign(text: string): string {
    return createHmac('sha256', this.#key).update(text).digest('base64url');
  }

  /** What a sign-in host answers. */
  handle(method: string, host: string, url: URL, contentType: string, body: string): Answer {
    const [, tenant = '', ...rest] = url.pathname.split('/');
    const path = rest.join('/');
    if (method === 'GET' && url.pathname === '/common/discovery/instance')
      return {
        status: 200,
        body: {
          tenant_discovery_endpoint: `${url.searchParams.get('authorization_endpoint')?.replace(/\/oauth2.*/, '')}/v2.0/.well-known/openid-configuration`,
          'api-version': '1.1',
          metadata: [{ preferred_network: host, preferred_cache: host, aliases: [host] }],
        },
      };
    if (!this.tenants.includes(tenant))
      return refuse(
        400,
        'invalid_request',
        90002,
        `Tenant '${tenant}' not found. Check to make sure you have the correct tenant ID.`,
      );
    if (method === 'GET' && path === 'v2.0/.well-known/openid-configuration')
      return {
        status: 200,
        body: {
          issuer: `https://${host}/${tenant}/v2.0`,
          authorization_endpoint: `https://${host}/${tenant}/oauth2/v2.0/authorize`,
          token_endpoint: `https://${host}/${tenant}/oauth2/v2.0/token`,
          jwks_uri: `https://${host}/${tenant}/discovery/v2.0/keys`,
        },
      };
    if (path !== 'oauth2/v2.0/token') return { status: 404, body: {} };
    if (method !== 'POST' || !/^application\/x-www-form-urlencoded\b/.test(contentType))
      return refuse(400, 'invalid_request', 900144, 'The request body must be a form.');
    return this.#token(tenant, `https://${host}/${tenant}`, new URLSearchParams(body));
  }

  #token(tenant: string, authority: string, form: URLSearchParams): Answer {
    const scope = (form.get('scope') ?? '').split(' ').find((one) => one.endsWith('/.default')) ?? '';
    const resource = scope.slice(0, -'/.default'.length);
    if (form.get('grant_type') !== 'client_credentials')
      return refuse(400, 'unsupported_grant_type', 70003, 'The app requested an unsupported grant type.');
    if (!this.resources.includes(resource))
      return refuse(
        400,
        'invalid_resource',
        500011,
        `The resource principal named ${resource} was not found in the tenant.`,
      );
    const clientId = form.get('client_id') ?? '';
    const application = this.applications.find((one) => one.clientId === clientId && one.tenant === tenant);
    if (application === undefined)
      return refuse(
        400,
        'unauthorized_client',
        700016,
        `Application with identifier '${clientId}' was not found in the directory.`,
      );
    const secret = form.get('client_secret');
    if (secret !== null) {
      if (!application.secrets.includes(secret))
        return refuse(
          401,
          'invalid_client',
          7000215,
          'Invalid client secret provided. Ensure the secret being sent in the request is the client secret value.',
        );
    } else {
      if (form.get('client_assertion_type') !== ASSERTION)
        return refuse(
          401,
          'invalid_client',
          7000218,
          "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
        );
      const wrong = checkAssertion(application, authority, form.get('client_assertion') ?? '');
      if (wrong !== undefined) return wrong;
    }
    return {
      status: 200,
      body: {
        token_type: 'Bearer',
        expires_in: LIFE - 1,
        ext_expires_in: LIFE - 1,
        access_token: this.issue(application, resource),
      },
    };
  }

  /** The endpoints of managed identities, over plain http on the machine itself. */
  handleLocal(url: URL, headers: Readonly<Record<string, unknown>>): Answer {
    const bad = (text: string): Answer => ({
      status: 400,
      body: { error: 'invalid_request', error_description: text },
    });
    const path = url.pathname.replace(/\/$/, '');
    const appService = path === '/msi/token';
    if (!appService && path !== '/metadata/identity/oauth2/token') return { status: 404, body: {} };
    if (appService && headers['x-identity-header'] !== this.identityHeader)
      return { status: 401, body: { statusCode: 401, message: 'The X-IDENTITY-HEADER does not match.' } };
    if (!appService && headers['metadata'] !== 'true') return bad('Required metadata header not specified');
    const wanted = appService ? '2019-08-01' : '2018-02-01';
    if (url.searchParams.get('api-version') !== wanted) return bad('api-version');
    const resource = url.searchParams.get('resource') ?? '';
    if (!this.resources.includes(resource)) return bad('AADSTS500011: The resource principal was not found.');
    const client = url.searchParams.get('client_id');
    if (this.machine === undefined || (client !== null && client !== this.machine.clientId))
      return bad('Identity not found');
    const expires = Math.floor(Date.now() / 1000) + LIFE;
    return {
      status: 200,
      body: {
        access_token: this.issue(this.machine, resource),
        client_id: this.machine.clientId ?? '',
        expires_in: `${LIFE}`,
        expires_on: `${expires}`,
        resource,
        token_type: 'Bearer',
      },
    };
  }
}

function refuse(status: number, error: string, code: number, text: string): Answer {
  const trace = randomUUID();
  return {
    status,
    body: {
      error,
      error_description: `AADSTS${code}: ${text} Trace ID: ${trace} Correlation ID: ${trace} Timestamp: ${new Date().toISOString()}`,
      error_codes: [code],
      timestamp: new Date().toISOString(),
      trace_id: trace,
      correlation_id: trace,
    },
  };
}

/** A certificate's own assertion, or one of a federated issuer; `undefined` when it is good. */
function checkAssertion(application: Application, authority: string, assertion: string): Answer | undefined {
  const [header = '', payload = '', signature = ''] = assertion.split('.');
  let head: Record<string, string>;
  let claims: Record<string, unknown>;
  try {
    head = JSON.parse(Buffer.from(header, 'base64url').toString()) as Record<string, string>;
    claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>;
  } catch {
    return refuse(401, 'invalid_client', 50027, 'JWT token is invalid or malformed.');
  }
  const now = Date.now() / 1000;
  if (typeof claims['exp'] !== 'number' || claims['exp'] < now || Number(claims['nbf'] ?? 0) > now + 300)
    return refuse(401, 'invalid_client', 700024, 'Client assertion is not within its valid time range.');
  const isSigned = (key: KeyObject): boolean => {
    const verifier = createVerify('sha256').update(`${header}.${payload}`);
    const padding = head['alg'] === 'PS256' ? constants.RSA_PKCS1_PSS_PADDING : constants.RSA_PKCS1_PADDING;
    return verifier.verify({ key, padding }, Buffer.from(signature, 'base64url'));
  };
  const bad = (text: string): Answer => refuse(401, 'invalid_client', 700027, text);
  if (claims['iss'] === application.clientId) {
    const certificate = application.certificates
      .map((pem) => new X509Certificate(pem))
      .find(
        (one) =>
          thumbprint(one.fingerprint256) === unpadded(head['x5t#S256']) ||
          thumbprint(one.fingerprint) === unpadded(head['x5t']),
      );
    if (certificate === undefined)
      return bad('The certificate with identifier used to sign the client assertion is not registered.');
    const audience = String(claims['aud'] ?? '');
    if (claims['sub'] !== application.clientId || !audience.startsWith(`${authority}/`) || !claims['jti'])
      return bad('The client assertion has the wrong subject, audience or id.');
    return isSigned(certificate.publicKey)
      ? undefined
      : bad('Client assertion contains an invalid signature.');
  }
  const record = application.federated.find(
    ({ issuer, subject }) => issuer === claims['iss'] && subject === claims['sub'],
  );
  if (record === undefined || claims['aud'] !== 'api://AzureADTokenExchange')
    return refuse(
      400,
      'invalid_request',
      700213,
      'No matching federated identity record found for presented assertion subject.',
    );
  return isSigned(record.key) ? undefined : bad('Client assertion contains an invalid signature.');
}

/** Some clients pad their base64url. */
const unpadded = (text: string | undefined): string | undefined => text?.replace(/=+$/, '');

function thumbprint(fingerprint: string): string {
  return Buffer.from(fingerprint.replaceAll(':', ''), 'hex').toString('base64url');
}
