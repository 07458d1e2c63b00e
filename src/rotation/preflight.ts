/**
 * Checks before the first effect of a rotation, for `--dry-run` and for real runs alike, so that a rotation that can't
 * succeed leaves nothing to clean up.
 */
import { type ErrorKind, SecretsError, toSecretsError } from '../core/errors.ts';
import type { CallOptions } from '../providers/call.ts';
import type { Finding } from '../providers/provider.ts';
import { makeDraft } from './draft.ts';
import type { Generator } from './generator.ts';
import { changedMeanwhile, type SecretPlace } from './place.ts';
import type { RightFinding } from './rights.ts';
import { storeFindings } from './store-findings.ts';
import type { Credential, Known, Target, TargetFinding } from './target.ts';

export interface Checked {
  readonly place: SecretPlace;
  readonly target: Target;
  readonly generator: Generator;
  readonly keys: readonly string[];
  /** Whether a missing secret may be created. A secret without a value needs no permission. */
  readonly create?: boolean | undefined;
}

export type PreflightFinding = (Finding | RightFinding) & Pick<TargetFinding, 'kind'>;

/** The secret may have got its first value since it was read, from another rotation that started at the same time. */
async function whyMissing(place: SecretPlace): Promise<PreflightFinding> {
  const { current } = await place.read();
  const finding = { check: 'secret', status: 'fail' } as const;
  if (current !== undefined) {
    const { kind, message: detail, hint } = changedMeanwhile(current.id);
    return { ...finding, kind, detail, hint };
  }
  const hint = 'check the name, or pass --create to create it with a first value';
  return { ...finding, kind: 'NotFound', detail: 'not found', hint };
}

const FIRST_OF_TARGET: PreflightFinding = {
  check: 'secret',
  status: 'fail',
  kind: 'Unsupported',
  detail:
    'has no value yet, and in this store a first one is current at once: it would be read before the target accepts it',
  hint: 'store the value that the target accepts now with secrets put, then rotate',
};

/** The keys to rotate: those of the policy, otherwise the target's own choice. */
export function keysOf(
  { keys, target }: Pick<Checked, 'keys' | 'target'>,
  current: Credential | undefined,
): readonly string[] {
  return keys.length > 0 || current === undefined ? keys : (target.passwordKeys?.(current) ?? []);
}

/** @param call a fresh deadline for one call */
export async function preflight(
  checked: Checked,
  known: Known,
  call: () => CallOptions,
): Promise<readonly PreflightFinding[]> {
  const { place, target, create } = checked;
  const findings: PreflightFinding[] = [];
  if (known.current === undefined && create !== true && !(await place.awaitsFirst()))
    return [await whyMissing(place)];
  if (place.firstIsCurrent(known.current)) {
    // A first value that becomes current immediately would be read before the target has it, and a claim would be read
    // as a value.
    if (target.late !== false) return [FIRST_OF_TARGET];
    findings.push({ check: 'first value', status: 'ok', detail: 'becomes current with one write' });
  }
  const { wrong, trouble } = target.issue === undefined ? await sample(checked, known.current) : {};
  findings.push(...(await target.check(known, call().signal, wrong)));
  if (trouble !== undefined) findings.push(trouble);
  findings.push(...(await storeFindings(place, call())));
  return findings;
}

/** Drafts a value, to find out whether the secret's form is supported. */
async function sample(
  { target, keys, generator }: Checked,
  current: Credential | undefined,
): Promise<{ readonly wrong?: Credential; readonly trouble?: PreflightFinding }> {
  try {
    const make = () => generator.sample?.() ?? generator.make();
    return { wrong: await makeDraft(current, keysOf({ keys, target }, current), { make }) };
  } catch (thrown) {
    const { kind, message, hint } = toSecretsError(thrown);
    return { trouble: { check: 'form', status: 'fail', kind, detail: message, hint } };
  }
}

/** The error that a run ends with; `undefined` if no check failed. */
export function obstacle(findings: readonly PreflightFinding[]): SecretsError | undefined {
  const bad = findings.filter(({ status }) => status === 'fail');
  const [first] = bad;
  if (first === undefined) return undefined;
  const kind = bad.map(kindOf).find((one) => one !== undefined) ?? 'Failed';
  const said = bad.map(({ check, detail }) => (check === 'secret' ? detail : `${check}: ${detail}`));
  return new SecretsError(kind, said.join('; '), {
    hint: bad.find(({ hint }) => hint !== undefined)?.hint,
  });
}

function kindOf(finding: PreflightFinding): ErrorKind | undefined {
  return finding.kind ?? ('right' in finding && finding.right === 'denied' ? 'Denied' : undefined);
}
