import { readOwnPublicKey } from '../../audit/log/keys.ts';
import { auditHeadFolder, openAuditLog } from '../../audit/log/log.ts';
import { canonicalJson, NO_HASH } from '../../core/audit/chain.ts';
import type { Problem } from '../../core/audit/problems.ts';
import { combineErrors, SecretsError, toSecretsError } from '../../core/errors.ts';
import { isJsonObject, parseJson } from '../../core/json.ts';
import type { Session } from '../../session/session.ts';
import { isProtected } from '../../platform/net/address.ts';
import { xdgFolder } from '../../platform/world.ts';
import { check, problemLine } from './verify.ts';
import type { CommonOptions } from '../../session/options.ts';
import type { Invocation } from '../command.ts';

interface AnchorOptions extends CommonOptions {
  readonly to?: readonly string[];
  readonly accept?: boolean;
}

export async function run(session: Session, { options }: Invocation<AnchorOptions>): Promise<void> {
  const places = options.to ?? ['-'];
  const senders = await Promise.all(places.map((place) => senderTo(session, place)));
  const { audit } = await session.config();
  const log = openAuditLog({
    ...audit,
    stateFolder: xdgFolder(session.world, 'state'),
    headFolder: auditHeadFolder(session.world),
    mode: 'required',
    now: session.world.now,
  });
  const accepted = options.accept === true ? await acceptable(session, audit.path) : undefined;
  const line = canonicalJson(await log.checkpoint(accepted));
  const errors: SecretsError[] = [];
  for (const [index, send] of senders.entries()) {
    try {
      await send(`${line}\n`);
      if (places[index] !== '-') session.note(`the anchor is in ${shown(places[index] ?? '')}`);
    } catch (thrown) {
      errors.push(toSecretsError(thrown).forReference(shown(places[index] ?? '')));
    }
  }
  if (errors.length > 0)
    throw combineErrors(errors, `${errors.length} of ${places.length} places have no anchor`);
}

/**
 * Where the log begins, when all that is wrong with it is that something is missing. What was altered is not accepted.
 * @throws SecretsError Integrity, Usage where nothing is wrong
 */
async function acceptable(session: Session, path: string): Promise<{ from: number; hash: string }> {
  const own = readOwnPublicKey(xdgFolder(session.world, 'state'));
  const keys = own === undefined ? undefined : new Set([own.id]);
  const summary = await check(session, [path], { keys, anchors: [] });
  const missing = summary.problems.filter((problem) => problem.acceptable === true);
  const [wrong] = summary.problems.filter((problem) => problem.acceptable !== true);
  if (wrong !== undefined || summary.more > 0) {
    throw new SecretsError(
      'Integrity',
      `this can’t be accepted: ${problemLine(wrong ?? (summary.problems[0] as Problem))}`,
      {
        hint: 'to start a new log, move all files of this one away, and keep them',
      },
    );
  }
  if (missing.length === 0)
    throw new SecretsError('Usage', 'nothing is missing from the log', { hint: 'omit --accept' });
  for (const problem of missing) session.warn(`accepted: ${problemLine(problem)}`);
  return { from: summary.first ?? 1, hash: summary.firstPrev ?? NO_HASH };
}

/** How an anchor gets to a place; looked at before anything is written. @throws SecretsError Usage */
async function senderTo(session: Session, place: string): Promise<(text: string) => Promise<void>> {
  if (place === '-') return (text) => session.print(text);
  if (isUrl(place)) return webhook(session, place);
  const target = await session.target(place);
  const { name, key, version, stage } = target.reference;
  if (key !== undefined || version !== undefined || stage !== undefined) {
    throw new SecretsError('Usage', 'an anchor is a whole secret: no key, version or stage', {
      reference: place,
    });
  }
  return async (text) => {
    const provider = await session.open(target.store, target.native);
    await provider.put(name, { value: Buffer.from(text) }, session.call());
  };
}

/** What messages call a place. The path and query of a URL may be what lets in: they are not shown. */
function shown(place: string): string {
  return isUrl(place) ? new URL(place).origin : place;
}

function isUrl(place: string): boolean {
  return /^https?:/i.test(place);
}

function webhook(session: Session, address: string): (text: string) => Promise<void> {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url === undefined) throw new SecretsError('Usage', `${JSON.stringify(address)} is not an address`);
  if (url.username !== '' || url.password !== '') {
    throw new SecretsError('Usage', `the address contains a user name or a password: ${url.host}`, {
      hint: 'an anchor is signed, so its receiver needs no password to trust it',
    });
  }
  if (!isProtected(url)) {
    throw new SecretsError('Usage', `an anchor is only sent over https: ${url.host}`);
  }
  return async (text) => {
    const { send } = await import('../../rotation/targets/http/call.ts');
    const body = parseJson(Buffer.from(text));
    if (!isJsonObject(body)) throw new TypeError('an anchor is an object');
    const { signal } = session.call();
    const status = await send(
      { url: url.href, method: 'POST', body },
      {},
      undefined,
      false,
      signal as AbortSignal,
    );
    if (status < 200 || status > 299) {
      throw new SecretsError('Unavailable', `${url.host} rejected the anchor: status ${status}`);
    }
  };
}
