/**
 * Azure Resource Manager, as far as grants go: where a vault is, and role assignments. Sources:
 * https://learn.microsoft.com/rest/api/authorization/role-assignments,
 * https://learn.microsoft.com/rest/api/keyvault/keyvault/vaults/get
 */
import {
  bearerTokenAuthenticationPolicy,
  createHttpHeaders,
  createPipelineRequest,
  type Pipeline,
} from '@azure/core-rest-pipeline';
import { excerpt, SecretsError } from '../../core/errors.ts';
import { isJsonObject, type JsonValue } from '../../core/json.ts';
import type { AzureService } from './service.ts';
import { makePipeline, type Transport } from './transport.ts';

const AUTHORIZATION = '2022-04-01';
const VAULTS = '2023-07-01';
const RESOURCES = '2021-04-01';
const SUBSCRIPTIONS = '2022-12-01';
/** More pages than any list should have. */
const MOST_PAGES = 200;

export type JsonObject = { readonly [key: string]: JsonValue };

interface Answer {
  readonly status: number;
  readonly body: JsonObject;
}

export class Arm {
  readonly #service: AzureService;
  readonly #origin: string;
  #connection: Promise<{ readonly transport: Transport; readonly pipeline: Pipeline }> | undefined;

  /** @param origin of the cloud's management endpoint */
  constructor(service: AzureService, origin: string) {
    this.#service = service;
    this.#origin = origin;
  }

  /** The resource id of a vault. @throws SecretsError NotFound, Unsupported for one without role assignments */
  async vaultId(name: string, signal: AbortSignal): Promise<string> {
    const filter = encodeURIComponent(`resourceType eq 'Microsoft.KeyVault/vaults' and name eq '${name}'`);
    for (const { subscriptionId } of await this.list(`/subscriptions?api-version=${SUBSCRIPTIONS}`, signal)) {
      const path = `/subscriptions/${encodeURIComponent(String(subscriptionId))}/resources`;
      const [found] = await this.list(`${path}?$filter=${filter}&api-version=${RESOURCES}`, signal);
      const id = found?.['id'];
      if (typeof id !== 'string') continue;
      const { body } = await this.send('GET', `${id}?api-version=${VAULTS}`, signal);
      const { properties } = body;
      if (isJsonObject(properties ?? null) && (properties as JsonObject)['enableRbacAuthorization'] === true)
        return id;
      throw new SecretsError(
        'Unsupported',
        `the vault ${name} uses access policies, which are for all of its secrets`,
        {
          hint: 'switch its permission model to Azure role-based access control',
        },
      );
    }
    throw new SecretsError('NotFound', `no subscription that you may read has the vault ${name}`, {
      hint: 'you need the role Reader on the vault',
    });
  }

  /** A role assignment; `undefined` if there is none. */
  async assignment(path: string, signal: AbortSignal): Promise<JsonObject | undefined> {
    const { status, body } = await this.send('GET', `${path}?api-version=${AUTHORIZATION}`, signal);
    return status === 404 ? undefined : body;
  }

  /** The role assignments at a scope, and above it or below it as the filter says. */
  assignments(
    scope: string,
    filter: string | undefined,
    signal: AbortSignal,
  ): Promise<readonly JsonObject[]> {
    const query = filter === undefined ? '' : `$filter=${encodeURIComponent(filter)}&`;
    const path = `${scope}/providers/Microsoft.Authorization/roleAssignments`;
    return this.list(`${path}?${query}api-version=${AUTHORIZATION}`, signal);
  }

  /** @throws SecretsError NotFound for an unknown principal, Conflict */
  async assign(path: string, properties: JsonObject, signal: AbortSignal): Promise<void> {
    await this.send('PUT', `${path}?api-version=${AUTHORIZATION}`, signal, { properties });
  }

  async unassign(path: string, signal: AbortSignal): Promise<void> {
    await this.send('DELETE', `${path}?api-version=${AUTHORIZATION}`, signal);
  }

  async list(path: string, signal: AbortSignal): Promise<readonly JsonObject[]> {
    const found: JsonObject[] = [];
    let next: string | undefined = path;
    for (let page = 0; next !== undefined && page < MOST_PAGES; page += 1) {
      const { status, body }: Answer = await this.send('GET', next, signal);
      if (status === 404) return found;
      const { value, nextLink } = body;
      if (!Array.isArray(value)) throw notArm();
      found.push(...(value as readonly JsonValue[]).filter((one) => isJsonObject(one)));
      // The transport refuses another server.
      next = typeof nextLink === 'string' && nextLink !== '' ? nextLink : undefined;
    }
    return found;
  }

  /** @returns the response; of failures only 404 */
  async send(
    method: 'GET' | 'PUT' | 'DELETE',
    path: string,
    signal: AbortSignal,
    body?: object,
  ): Promise<Answer> {
    const { transport, pipeline } = await (this.#connection ??= this.#connect());
    const request = createPipelineRequest({
      url: path.startsWith('/') ? `${this.#origin}${path}` : path,
      method,
      ...(body !== undefined && {
        body: JSON.stringify(body),
        headers: createHttpHeaders({ 'content-type': 'application/json' }),
      }),
    });
    return this.#service.ask(
      signal,
      async ({ abortSignal }) => {
        request.abortSignal = abortSignal;
        const { status, bodyAsText } = await pipeline.sendRequest(transport, request);
        const parsed = bodyAsText ? (JSON.parse(bodyAsText) as JsonValue) : {};
        const answer = { status, body: isJsonObject(parsed) ? parsed : {} };
        if (status >= 400 && (status !== 404 || method === 'PUT')) throw refusal(answer);
        return answer;
      },
      (thrown, who) => {
        if (thrown instanceof Refused) return thrown.error(who);
        if (thrown instanceof SecretsError) return thrown;
        return new SecretsError('Unavailable', `${new URL(this.#origin).host} can’t be reached`, {
          hint: 'check the network: secrets doctor',
          cause: thrown,
        });
      },
    );
  }

  async #connect(): Promise<{ transport: Transport; pipeline: Pipeline }> {
    const { transport, signIn } = await this.#service.reach(this.#origin, undefined);
    const pipeline = makePipeline();
    const scopes = [`${this.#origin}/.default`];
    pipeline.addPolicy(bearerTokenAuthenticationPolicy({ credential: signIn, scopes }));
    return { transport, pipeline };
  }
}

/** A refusal that becomes an error once it is known who was refused. */
class Refused extends Error {
  readonly error: (who: string) => SecretsError;

  constructor(error: (who: string) => SecretsError) {
    super('refused');
    this.error = error;
  }
}

function refusal({ status, body }: Answer): Refused {
  const error = isJsonObject(body['error'] ?? null) ? (body['error'] as JsonObject) : {};
  const code = typeof error['code'] === 'string' ? error['code'] : '';
  const text = typeof error['message'] === 'string' ? excerpt(error['message'].replaceAll(/\s+/g, ' ')) : '';
  return new Refused((who) => {
    if (code === 'PrincipalNotFound' || code === 'PrincipalTypeNotSupported')
      return new SecretsError('NotFound', `the tenant has no such principal: ${text}`, {
        hint: 'give its object id, and the kind that it has: user, group or sp',
      });
    if (status === 401)
      return new SecretsError('Unauthenticated', `Azure does not accept the token (${who})`);
    if (status === 403)
      return new SecretsError('Denied', `not allowed (${who}): ${text || code}`, {
        hint: 'changes need the role Role Based Access Control Administrator on the vault, reading needs Reader',
      });
    if (status === 409)
      return new SecretsError('Conflict', text || 'changed by somebody else', { hint: 'try again' });
    if (status === 429)
      return new SecretsError('Throttled', 'Azure asks to slow down', { hint: 'try again later' });
    if (status < 500)
      return new SecretsError('Invalid', text || `Azure refuses the request (status ${status})`);
    return new SecretsError('Unavailable', `Azure failed with status ${status}`, { hint: 'try again' });
  });
}

function notArm(): SecretsError {
  return new SecretsError('Unavailable', 'the response is not from Azure Resource Manager', {
    hint: 'check for a proxy or portal in between',
  });
}
