/**
 * The target `http`: a call that sets the value, and optionally one that verifies it and one that retires the old one.
 */
import { IN_DOUBT, SecretsError } from '../../../core/errors.ts';
import type {
  Credential,
  Known,
  RetirePhase,
  Rotation,
  Target,
  TargetContext,
  TargetFinding,
  TargetSettings,
  Verdict,
} from '../../target.ts';
import { controlFindings } from '../control.ts';
import { isProtected } from '../../../platform/net/address.ts';
import { readAuthority } from '../../../platform/net/authority.ts';
import { checkTemplate, type Sources } from '../template.ts';
import { send } from './call.ts';
import { ValueRefused } from '../../next-step.ts';
import type { HttpCall, HttpSettings, VerifyCall } from './settings.ts';

/** The sources that the placeholders of each call may name. */
const NAMES = {
  apply: ['new', 'old', 'admin', 'rotation'],
  verify: ['new'],
  retire: ['old', 'current', 'admin'],
} as const;
type CallName = keyof typeof NAMES;

/** @throws SecretsError Usage */
export function open(settings: TargetSettings, context: TargetContext): Target {
  return new HttpTarget(settings as unknown as HttpSettings, context);
}

class HttpTarget implements Target {
  readonly late = true;
  readonly #settings: HttpSettings;
  readonly #context: TargetContext;
  readonly #ca: string | undefined;

  constructor(settings: HttpSettings, context: TargetContext) {
    for (const name of Object.keys(NAMES) as CallName[]) {
      const call = settings[name];
      if (call !== 'none') checkCall(name, call, settings.admin);
    }
    this.#settings = settings;
    this.#context = context;
    this.#ca = readAuthority(settings.ca, context.folder);
  }

  limitKey(): string {
    return new URL(this.#settings.apply.url.replaceAll(/\{\{.*?\}\}/g, '')).host;
  }

  get #verify(): VerifyCall | undefined {
    const { verify } = this.#settings;
    return verify === 'none' ? undefined : verify;
  }

  async check(known: Known, signal: AbortSignal, wrong?: Credential): Promise<readonly TargetFinding[]> {
    if (this.#verify === undefined)
      return [
        {
          check: 'verify call',
          status: 'warn',
          detail: 'this target has no verify call, so nothing can be tried',
        },
      ];
    // An apply that doesn't sign in with the old credential can repair a wrong one.
    const repairs = !/\{\{\s*old\b/.test(JSON.stringify(this.#settings.apply));
    return controlFindings(this, 'verify call', known, wrong, repairs, signal);
  }

  /** Always sent: that the value works now doesn't prove that no other change is on its way. */
  async apply(credential: Credential, known: Known, rotation: Rotation, signal: AbortSignal): Promise<void> {
    const { apply } = this.#settings;
    const old = await this.#working(credential, known, signal);
    // A server that caches responses by id would take the way back for a repetition of the original call.
    const isNew = known.pending === undefined || Buffer.compare(known.pending.value, credential.value) === 0;
    const id = isNew ? rotation.id : `${rotation.id}-back`;
    const sources = { new: credential, old, rotation: id, ...(await this.#admin(apply, signal)) };
    const status = await send(apply, sources, this.#ca, true, signal);
    if (!isOk(status, apply.ok, [])) throw refusal(apply.url, status, true);
  }

  async verify(credential: Credential, signal: AbortSignal): Promise<Verdict> {
    const verify = this.#verify;
    if (verify === undefined) return 'unknown';
    const status = await send(verify, { new: credential }, this.#ca, false, signal);
    if ((verify.refused ?? [401, 403]).includes(status)) return 'refused';
    if (isOk(status, verify.accepted, [])) return 'accepted';
    throw refusal(verify.url, status, false);
  }

  async retire(old: Credential, current: Credential, phase: RetirePhase, signal: AbortSignal): Promise<void> {
    const call = this.#settings.retire;
    if (call === undefined || phase !== 'expired' || Buffer.compare(old.value, current.value) === 0) return;
    const sources = { old, current, ...(await this.#admin(call, signal)) };
    const status = await send(call, sources, this.#ca, true, signal);
    if (!isOk(status, call.ok, [404, 410])) throw refusal(call.url, status, true);
  }

  async close(): Promise<void> {}

  /** The credential to sign in with: the one that works, if that can be tested. */
  async #working(credential: Credential, known: Known, signal: AbortSignal): Promise<Credential | undefined> {
    const others = [known.current, known.pending, known.previous].filter(
      (one): one is Credential => one !== undefined && Buffer.compare(one.value, credential.value) !== 0,
    );
    if (this.#verify === undefined) return others[0];
    // If an earlier attempt has already set it, the new credential itself works.
    for (const one of [...others, credential]) if (await this.#accepts(one, signal)) return one;
    return others[0];
  }

  /** A version that doesn't fit into the call can't be tested. */
  async #accepts(credential: Credential, signal: AbortSignal): Promise<boolean> {
    try {
      return (await this.verify(credential, signal)) === 'accepted';
    } catch (thrown) {
      if (thrown instanceof SecretsError && thrown.kind === 'Invalid') return false;
      throw thrown;
    }
  }

  async #admin(call: HttpCall, signal: AbortSignal): Promise<Sources> {
    const { admin } = this.#settings;
    if (admin === undefined || !/\{\{\s*admin\b/.test(JSON.stringify(call))) return {};
    return { admin: await this.#context.read(admin, signal) };
  }
}

function isOk(
  status: number,
  wanted: readonly number[] | undefined,
  alsoByDefault: readonly number[],
): boolean {
  return wanted?.includes(status) ?? ((status >= 200 && status < 300) || alsoByDefault.includes(status));
}

function refusal(url: string, status: number, changes: boolean): SecretsError {
  const host = new URL(url.replaceAll(/\{\{.*?\}\}/g, '')).host;
  const fail = (
    kind: SecretsError['kind'],
    what: string,
    hint: string,
    Refusal: typeof SecretsError | typeof ValueRefused = SecretsError,
  ): SecretsError => new Refusal(kind, `${host} ${what} (status ${status})`, { hint });
  if (status === 401)
    return fail('Unauthenticated', 'does not accept the sign-in', 'check the headers of the call');
  if (status === 403) return fail('Denied', 'does not allow the call', 'check the rights of its credential');
  if (status === 409)
    // Of a call that only verifies, it says nothing about a value.
    return fail(
      'Conflict',
      'reports a conflict',
      'see what its API says to that',
      changes ? ValueRefused : SecretsError,
    );
  if (status === 429) return fail('Throttled', 'asks to slow down', 'try again later');
  if (status >= 500)
    return new SecretsError('Unavailable', `${host} failed (status ${status})${changes ? IN_DOUBT : ''}`, {
      hint: 'try again',
    });
  return fail('Invalid', 'refuses the request', 'check url, method and body of the call', ValueRefused);
}

/** @throws SecretsError Usage for a URL that is not allowed, or a placeholder that names nothing */
function checkCall(name: CallName, call: HttpCall | undefined, admin: string | undefined): void {
  if (call === undefined) return;
  const names = NAMES[name].filter((known) => known !== 'admin' || admin !== undefined);
  const check = (template: string, where: string): void => checkTemplate(template, names, `${name}.${where}`);
  check(call.url, 'url');
  // A value must not choose the server, and a fragment is never sent.
  const origin = /^https?:\/\/[^/?#{}@]+(?=[/?]|$)/i.exec(call.url)?.[0];
  const url = origin !== undefined && URL.canParse(origin) ? new URL(origin) : undefined;
  if (url === undefined || call.url.includes('#'))
    throw new SecretsError('Usage', `${name}.url is not an http URL with a fixed host`, {
      hint: 'https://HOST/PATH; places like {{new}} only after the host, sign-ins in headers or basic',
    });
  if (!isProtected(url))
    throw new SecretsError('Usage', `${name}.url must be https`, {
      hint: 'plain http is for loopback addresses only',
    });
  for (const [header, template] of Object.entries(call.headers ?? {})) {
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(header))
      throw new SecretsError(
        'Usage',
        `${name}.headers: ${JSON.stringify(header)} is not a valid header name`,
      );
    check(template, `headers.${header}`);
  }
  if (call.basic !== undefined) {
    check(call.basic.username, 'basic.username');
    check(call.basic.password, 'basic.password');
  }
  if (call.body !== undefined) check(stringsOf(call.body).join('\n'), 'body');
}

function stringsOf(document: unknown): string[] {
  if (typeof document === 'string') return [document];
  if (typeof document !== 'object' || document === null) return [];
  return Object.values(document).flatMap(stringsOf);
}
