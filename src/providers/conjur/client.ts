/** One signed-in connection to Conjur's REST API; translates its errors. */
import { SecretsError } from '../../core/errors.ts';
import { isJsonObject, type JsonValue } from '../../core/json.ts';
import { pool } from '../../core/waiting.ts';
import type { WholeAnswer } from '../../platform/net/transport.ts';
import type { Identity, KnownIdentity } from '../provider.ts';
import type { ProviderContext } from '../descriptor.ts';
import { isForeign, isMissing, messageOf, parse, translate } from './answers.ts';
import { checkUrl, type ConjurConfig, readConfig } from './config.ts';
import type { Statement } from './policy.ts';
import type { ConjurSettings } from './settings.ts';
import { chooseSignIn, readToken, roleOf, type SignIn } from './sign-in.ts';
import { Transport } from './transport.ts';
import { batchPath, readBatch, notConjur, readVariable, type Variable } from './variable.ts';

/**
 * A token lives for eight minutes unless it says otherwise. A new one is fetched after five minutes, or after 85 % of
 * the stated lifetime, counted from its arrival by a clock that nobody can set.
 */
const TOKEN_MS = 5 * 60_000;
const TOKEN_PART = 0.85;

interface Token {
  readonly text: string;
  readonly login: string;
  readonly until: number;
}

interface Connection {
  readonly config: ConjurConfig;
  readonly transport: Transport;
  readonly signIn: SignIn;
}

type Request = Omit<Parameters<Transport['send']>[0], 'signal'>;

/** The `Request` fields for a read. */
const read = (path: string): Request => ({ method: 'GET', path, repeatable: true });

export class ConjurClient {
  readonly #settings: ConjurSettings;
  readonly #context: ProviderContext;
  #connection: Promise<Connection> | undefined;
  #transport: Transport | undefined;
  #token: Promise<Token> | undefined;
  #known: KnownIdentity | undefined;
  /** Conjur loads one document at a time into a policy, so our own loads wait for each other. */
  readonly #loads = pool(1);

  constructor(settings: ConjurSettings, context: ProviderContext) {
    this.#settings = settings;
    this.#context = context;
    const url = settings.url ?? context.env['CONJUR_APPLIANCE_URL'];
    if (url !== undefined && url !== '') checkUrl(url);
  }

  /** The account, known once the configuration has been read. */
  async account(): Promise<string> {
    return (await this.#connect()).config.account;
  }

  async url(): Promise<string> {
    return (await this.#connect()).config.url;
  }

  /** The role of our calls: `account:host:app`. Signs in if necessary. */
  async role(signal: AbortSignal): Promise<string> {
    const { config } = await this.#connect();
    const { login } = await this.#signedIn(signal);
    return roleOf(config, login);
  }

  /** The role of the token in use, once there is one. */
  knownIdentity(): KnownIdentity | undefined {
    return this.#known;
  }

  /** A variable's description; `undefined` if it doesn't exist or may not be seen: Conjur doesn't say which. */
  async variable(name: string, signal: AbortSignal): Promise<Variable | undefined> {
    const answer = await this.#call(read(await this.#path('resources', 'variable', name)), signal);
    if (isMissing(answer)) return undefined;
    await this.#expect(answer, 200, 'read', signal);
    return readVariable(parse(answer));
  }

  /** One page of the variables that this role may see, ordered by id. */
  async page(
    query: { readonly search?: string | undefined; readonly offset: number; readonly limit: number },
    signal: AbortSignal,
  ): Promise<readonly Variable[]> {
    const params = new URLSearchParams({ limit: String(query.limit), offset: String(query.offset) });
    if (query.search !== undefined) params.set('search', query.search);
    const path = `/resources/${encodeURIComponent(await this.account())}/variable?${params.toString()}`;
    const answer = await this.#call(read(path), signal);
    await this.#expect(answer, 200, 'list', signal);
    const found = parse(answer);
    if (!Array.isArray(found)) throw notConjur();
    return (found as readonly JsonValue[]).map((one) => readVariable(one));
  }

  /** A value; `undefined` if there is no such version, or no such variable for this role. */
  async value(name: string, version: number, signal: AbortSignal): Promise<Buffer | undefined> {
    const path = `${await this.#path('secrets', 'variable', name)}?version=${version}`;
    const answer = await this.#call(read(path), signal);
    if (isMissing(answer)) return undefined;
    await this.#expect(answer, 200, 'execute', signal);
    // The API returns bytes as octet-stream, plain text or the variable's own type; an HTML page comes from a proxy.
    const type = answer.headers['content-type'] ?? 'text/html';
    if (/^text\/html\b/i.test(type)) {
      const { annotations } = (await this.variable(name, signal)) ?? {};
      if (annotations?.['conjur/mime_type'] !== type) throw notConjur();
    }
    return answer.body;
  }

  /**
   * The newest values of many variables in one call; or the missing id, if the server names it; or `refused` if any of
   * them can't be read; or `unclear` if the response doesn't say how values are encoded.
   */
  async batch(
    names: readonly string[],
    signal: AbortSignal,
  ): Promise<
    | { values: ReadonlyMap<string, Buffer> }
    | { refused: true; missing: string | undefined }
    | { unclear: true }
  > {
    const account = await this.account();
    const ids = names.map((name) => `${account}:variable:${name}`);
    const answer = await this.#call(
      { ...read(batchPath(account, names)), headers: { 'Accept-Encoding': 'base64' } },
      signal,
    );
    if (isMissing(answer) || answer.status === 403 || answer.status === 422) {
      const said = messageOf(answer);
      return { refused: true, missing: names.find((_, at) => said.includes(` ${ids[at]} is empty`)) };
    }
    await this.#expect(answer, 200, 'execute', signal);
    const found = parse(answer);
    if (!isJsonObject(found)) throw notConjur();
    const encoding = answer.headers['content-encoding']?.toLowerCase();
    const values = readBatch(found, new Map(names.map((name, at) => [name, ids[at] ?? ''])), encoding);
    return values === undefined ? { unclear: true } : { values };
  }

  /** Adds a value to an existing variable. */
  async add(name: string, value: Uint8Array, signal: AbortSignal): Promise<void> {
    const path = await this.#path('secrets', 'variable', name);
    const headers = { 'Content-Type': 'application/octet-stream' };
    const answer = await this.#call(
      { method: 'POST', path, headers, body: value, repeatable: false },
      signal,
    );
    if (isMissing(answer)) {
      throw new SecretsError('Denied', `${await this.role(signal)} may not see this variable`, {
        hint: 'a policy must permit it update on the variable',
      });
    }
    await this.#expect(answer, 201, 'update', signal);
  }

  /** Loads statements into a policy branch with PATCH. Declaring something that already exists changes nothing. */
  async load(branch: string, statements: readonly Statement[], signal: AbortSignal): Promise<void> {
    const { writePolicy } = await import('./policy.ts');
    const repeatable = statements.every((statement) => !('remove' in statement));
    await this.loadText(branch, writePolicy(statements), repeatable, signal);
  }

  async loadText(branch: string, body: string, repeatable: boolean, signal: AbortSignal): Promise<void> {
    const path = `/policies/${encodeURIComponent(await this.account())}/policy/${encodeURIComponent(branch)}`;
    const headers = { 'Content-Type': 'application/x-yaml' };
    const answer = await this.#loads(() =>
      this.#call({ method: 'PATCH', path, headers, body, repeatable }, signal),
    );
    if (answer.status === 409)
      throw new SecretsError('Throttled', `the policy ${branch} is being changed`, {
        hint: 'try again later',
      });
    if (answer.status === 403 || isMissing(answer)) {
      const what = answer.status === 404 ? ', or there is no such policy: Conjur does not say which' : '';
      throw new SecretsError(
        'Denied',
        `${await this.role(signal)} may not update the policy ${branch}${what}`,
        {
          hint: `add a policy that permits update on !policy ${branch}, or declare the variable there`,
        },
      );
    }
    await this.#expect(answer, 201, 'update', signal);
  }

  /** A description of the API as it is; `undefined` if there is none, or none that this role may see. */
  async json(
    [what, kind, id, query = '']: readonly [string, string, string, string?],
    signal: AbortSignal,
  ): Promise<JsonValue | undefined> {
    const answer = await this.#call(read(`${await this.#path(what, kind, id)}${query}`), signal);
    if (isMissing(answer)) return undefined;
    await this.#expect(answer, 200, 'read', signal);
    return parse(answer);
  }

  /** Whether this role holds a privilege on a resource that it can see. */
  async allowed(kind: string, id: string, privilege: string, signal: AbortSignal): Promise<boolean> {
    const path = `${await this.#path('resources', kind, id)}?check=true&privilege=${privilege}`;
    const answer = await this.#call(read(path), signal);
    if (answer.status === 404 || answer.status === 403) return false;
    await this.#expect(answer, 204, privilege, signal);
    return true;
  }

  async identity(signal: AbortSignal): Promise<Identity & { readonly serverTime: Date | undefined }> {
    const { config, signIn } = await this.#connect();
    const answer = await this.#call(read('/whoami'), signal);
    const date = new Date(answer.headers.date ?? '');
    const serverTime = Number.isNaN(date.getTime()) ? undefined : date;
    const about = { principal: await this.role(signal), source: signIn.source, serverTime };
    // Older servers have no /whoami, but they do reject a wrong token.
    if (answer.status === 404) return { ...about, details: { account: config.account } };
    await this.#expect(answer, 200, 'read', signal);
    const who = parse(answer);
    if (!isJsonObject(who)) throw notConjur();
    const address = who['client_ip'];
    return {
      ...about,
      details: { account: config.account, ...(typeof address === 'string' && { address }) },
    };
  }

  close(): void {
    this.#transport?.close();
  }

  async #path(what: string, kind: string, id: string): Promise<string> {
    const path = `/${what}/${encodeURIComponent(await this.account())}/${kind}`;
    return id === '' ? path : `${path}/${encodeURIComponent(id)}`;
  }

  /** Sends a request with a valid token; once more with a new token if the server rejects it. */
  async #call(request: Request, signal: AbortSignal): Promise<WholeAnswer> {
    const { transport } = await this.#connect();
    for (let again = true; ; again = false) {
      const token = await this.#signedIn(signal);
      const answer = await transport.send({
        ...request,
        headers: { ...request.headers, Authorization: `Token token="${token.text}"` },
        signal,
      });
      if (answer.status !== 401) return answer;
      if (!again) {
        const { signIn } = await this.#connect();
        throw new SecretsError('Unauthenticated', `Conjur rejects the access token (${signIn.source})`, {
          hint: 'sign in again, and compare this machine’s clock with the server’s: secrets doctor',
        });
      }
      // Unless another call has renewed it in the meantime.
      if ((await this.#token?.catch(() => undefined))?.text === token.text) this.#token = undefined;
    }
  }

  #connect(): Promise<Connection> {
    this.#connection ??= this.#open().catch((thrown: unknown) => {
      this.#connection = undefined;
      throw thrown;
    });
    return this.#connection;
  }

  async #open(): Promise<Connection> {
    const config = await readConfig(this.#settings, this.#context);
    const signIn = chooseSignIn(config, this.#settings, this.#context);
    const transport = new Transport(config.url, config.ca);
    this.#transport = transport;
    return { config, transport, signIn };
  }

  async #signedIn(signal: AbortSignal): Promise<Token> {
    const held = this.#token;
    if (held !== undefined) {
      const token = await held;
      if (performance.now() < token.until) return token;
      if (this.#token === held) this.#token = undefined;
    }
    if (this.#token === undefined) {
      const made = this.#authenticate(signal);
      this.#token = made;
      made.catch(() => {
        if (this.#token === made) this.#token = undefined;
      });
    }
    return this.#token;
  }

  async #authenticate(signal: AbortSignal): Promise<Token> {
    const { config, transport, signIn } = await this.#connect();
    const known = (login: string): KnownIdentity => ({
      principal: roleOf(config, login),
      source: signIn.source,
    });
    const prepared = await signIn.prepare();
    if ('token' in prepared) {
      const facts = readToken(prepared.token);
      if (facts === undefined)
        throw new SecretsError('Unauthenticated', `${signIn.source} holds no Conjur access token`, {
          hint: 'use the JSON printed by `conjur authenticate`, or its base64',
        });
      this.#known = known(facts.login);
      // Another program renews this token, if any does: it is read again when it may be new.
      return { text: prepared.token, login: facts.login, until: performance.now() + 60_000 };
    }
    const answer = await transport.send({
      method: 'POST',
      path: prepared.path,
      headers: { 'Content-Type': prepared.type, 'Accept-Encoding': 'base64' },
      body: prepared.body,
      signal,
      repeatable: true,
    });
    if (answer.status === 401 || answer.status === 403 || (answer.status === 404 && !isForeign(answer)))
      throw new SecretsError('Unauthenticated', `sign-in was refused (${signIn.source})`, {
        hint: 'check the account, the login and the credential; for a host, its authn annotations and permits',
      });
    await this.#expect(answer, 200, 'sign in', signal);
    const text = answer.body.toString('latin1').trim();
    const token = text.startsWith('{')
      ? Buffer.from(text, 'latin1').toString('base64')
      : text.replaceAll(/\s/g, '');
    const facts = readToken(token);
    if (facts === undefined) throw notConjur();
    this.#known = known(facts.login);
    const life = facts.lifeMs === undefined ? TOKEN_MS : facts.lifeMs * TOKEN_PART;
    return { text: token, login: facts.login, until: performance.now() + life };
  }

  async #expect(answer: WholeAnswer, status: number, privilege: string, signal: AbortSignal): Promise<void> {
    if (answer.status === status) return;
    if (answer.status === 403 && privilege !== 'sign in') {
      const role = await this.role(signal);
      throw new SecretsError('Denied', `${role} does not have the privilege ${privilege} here`, {
        hint: `a policy must permit it: !permit with privileges: [ ${privilege} ]`,
      });
    }
    throw translate(answer, privilege === 'update');
  }
}
