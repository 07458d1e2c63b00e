/** The `rotation:` section of a secrets.yaml: which secrets are rotated, how often, how, and within which bounds. */
import * as v from 'valibot';

const period = v.pipe(v.string(), v.regex(/^[1-9]\d{0,5}[smhdw]$/, 'a duration such as 12h, 30d or 8w'));
const count = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(64));

/** A policy, with the schema of targets: the loader's own, or the one that the JSON Schema shows. */
export function policySchema<T extends v.GenericSchema>(target: T) {
  return v.strictObject({
    every: v.pipe(v.optional(period), v.description('how often; without it --due leaves the secret alone')),
    keys: v.pipe(
      v.optional(v.array(v.pipe(v.string(), v.nonEmpty()))),
      v.description('keys of a JSON secret that get a new value; default: the whole value'),
    ),
    generate: v.pipe(
      v.optional(v.union([v.string(), v.record(v.string(), v.any())])),
      v.description('how the new value is made, such as alnum:40; default alnum:32'),
    ),
    target: v.pipe(v.optional(target), v.description('the system that has to take the new value')),
    grace: v.pipe(v.optional(period), v.description('how long the replaced credential is kept; default 0')),
  });
}

export function rotationSchema<T extends v.GenericSchema>(target: T) {
  return v.objectWithRest(
    {
      lease: v.pipe(
        v.optional(period),
        v.description('a holder that is silent this long is taken for dead; default 5m'),
      ),
      parallel: v.pipe(v.optional(count), v.description('rotations at a time; default 4')),
      'per-target': v.pipe(v.optional(count), v.description('rotations at a time on one system; default 1')),
      jitter: v.pipe(
        v.optional(period),
        v.description('--due waits a random time up to this before each rotation'),
      ),
    },
    policySchema(target),
  );
}

/** A policy after validation. */
export interface PolicySettings {
  readonly every?: string | undefined;
  readonly keys?: readonly string[] | undefined;
  readonly generate?: string | Readonly<Record<string, unknown>> | undefined;
  readonly target?: Readonly<Record<string, unknown>> | undefined;
  readonly grace?: string | undefined;
}

/** What stands beside the policies. */
export interface RotationBounds {
  readonly lease?: string | undefined;
  readonly parallel?: number | undefined;
  readonly 'per-target'?: number | undefined;
  readonly jitter?: string | undefined;
}

export const BOUNDS = ['lease', 'parallel', 'per-target', 'jitter'] as const;
