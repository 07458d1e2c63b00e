/** The `rotation:` section of a secrets.yaml: which secrets are rotated, how often, how, and within which limits. */
import * as v from 'valibot';
import type { NativeSettings } from '../core/rotation/native.ts';
import { said, text } from '../core/settings-schema.ts';
import { period } from './period.ts';

const receiver = v.union([
  v.pipe(text, v.description('an https URL, or a program: its path or its name on PATH')),
  v.strictObject({
    url: v.pipe(text, v.description('https URL that receives each outcome by POST')),
    secret: said('reference to the key that signs requests according to Standard Webhooks'),
    ca: said('PEM file of the trusted authority'),
  }),
  v.strictObject({
    program: v.pipe(
      v.union([text, v.pipe(v.array(text), v.minLength(1))]),
      v.description('program, or a list of a program and its arguments, that reads each outcome'),
    ),
  }),
]);
export const notify = v.union([receiver, v.array(receiver)]);
const count = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(64));

/** The schema of a policy. Targets and `native` use the loader's loose schemas, or those shown in the JSON Schema. */
export function policySchema<T extends v.GenericSchema, N extends v.GenericSchema>(target: T, native: N) {
  return v.strictObject({
    every: v.pipe(
      v.optional(period),
      v.description('interval of rotation; without it, --due ignores the secret'),
    ),
    keys: v.pipe(
      v.optional(v.array(text)),
      v.description('keys of a JSON secret that get a new value; default: the whole value'),
    ),
    generate: v.pipe(
      v.optional(v.union([v.string(), v.record(v.string(), v.any())])),
      v.description('generator of the new value, such as alnum:40; default alnum:32'),
    ),
    target: v.pipe(v.optional(target), v.description('the system that uses the value')),
    native: v.pipe(
      v.optional(native),
      v.description('settings of the store’s own rotation or reminder service'),
    ),
    grace: v.pipe(v.optional(period), v.description('grace period of the replaced credential; default 0')),
    notify: v.pipe(
      v.optional(notify),
      v.description('receivers of the outcome, in place of those of the section; [] for none'),
    ),
    lock: said('same as `rotation.lock`, for this secret'),
  });
}

export function rotationSchema<T extends v.GenericSchema, N extends v.GenericSchema>(target: T, native: N) {
  return v.objectWithRest(
    {
      lease: v.pipe(
        v.optional(period),
        v.description('time of silence after which a holder counts as dead; default 5m'),
      ),
      lock: said('store for the locks of rotations in stores without conditional writes (azure, conjur)'),
      parallel: v.pipe(
        v.optional(count),
        v.description('maximum number of concurrent rotations in one store; default 4'),
      ),
      'per-target': v.pipe(
        v.optional(count),
        v.description('maximum number of concurrent rotations on one system; default 1'),
      ),
      jitter: v.pipe(v.optional(period), v.description('maximum random delay of --due before each rotation')),
      notify: v.pipe(
        v.optional(notify),
        v.description('receivers of each outcome: URLs, and programs that read it'),
      ),
    },
    policySchema(target, native),
  );
}

/** A policy after validation. */
export interface PolicySettings {
  readonly every?: string | undefined;
  readonly keys?: readonly string[] | undefined;
  readonly generate?: string | Readonly<Record<string, unknown>> | undefined;
  readonly target?: Readonly<Record<string, unknown>> | undefined;
  readonly grace?: string | undefined;
  readonly notify?: NotifySetting | undefined;
  /** Validated by the schema of the secret's provider. */
  readonly native?: NativeSettings | undefined;
  readonly lock?: string | undefined;
}

/** Receivers of outcomes, as written in a file. */
export type NotifySetting = ReceiverSetting | readonly ReceiverSetting[];
export type ReceiverSetting =
  | string
  | { readonly url: string; readonly secret?: string | undefined; readonly ca?: string | undefined }
  | { readonly program: string | readonly string[] };

/** The settings beside the policies. */
export interface RotationBounds {
  readonly lease?: string | undefined;
  readonly lock?: string | undefined;
  readonly parallel?: number | undefined;
  readonly 'per-target'?: number | undefined;
  readonly jitter?: string | undefined;
}

/** Keys of the section that aren't policies: `notify` and the limits. */
export const NOTIFY = 'notify';
export const BOUNDS = ['lease', 'lock', 'parallel', 'per-target', 'jitter'] as const;
