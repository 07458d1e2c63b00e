/** Whether a variable of a secrets.yaml is a reference or a literal, and that it may be what it is. */
import { SecretsError, toSecretsError } from '../core/errors.ts';
import { nearest } from '../core/nearest.ts';
import { isStoreName, parseReference } from '../core/reference.ts';
import type { World } from '../world.ts';
import type { EnvEntry } from './config.ts';
import type { ParsedVariable } from './parse.ts';
import { looksSecret } from './suspect.ts';

/** Schemes of addresses that are no names of stores, however near they are to one. */
const SCHEMES =
  /^(https?|wss?|s?ftp|ssh|git|file|data|unix|tcp|udp|tls|postgres(ql)?|mysql|mariadb|mongodb|rediss?|amqps?|mqtts?|kafka|nats|smtps?|ldaps?|jdbc|s3|gs|abfss?|memcached|sqlite|grpcs?|otlp|dns|docker|oci|npm|urn|mailto)$/;

/**
 * @param stores every name that a store has anywhere in the configuration
 * @throws SecretsError Usage for a literal that looks like a secret, a malformed reference, an unknown store
 */
export function settleVariable(
  world: World,
  path: string,
  name: string,
  { given, line }: ParsedVariable,
  stores: ReadonlySet<string>,
): EnvEntry {
  const refuse = (message: string, hint?: string): never => {
    throw new SecretsError('Usage', `${path}:${line}: ${message}`, { hint });
  };
  const isNative = (text: string): boolean => {
    const bare = text.split('#', 1)[0] ?? '';
    return world.providers.some(({ native }) => native?.(bare) !== undefined);
  };
  const scheme = (text: string): string | undefined => {
    const end = text.indexOf('://');
    const word = end === -1 ? '' : text.slice(0, end);
    return isStoreName(word) ? word : undefined;
  };
  const ref = (text: string, as: 'value' | 'file', optional: boolean): EnvEntry => {
    if (!isNative(text)) {
      try {
        parseReference(text);
      } catch (thrown) {
        refuse(`${name}: ${toSecretsError(thrown).message}`);
      }
      const store = scheme(text);
      if (store !== undefined && !stores.has(store)) {
        const near = nearest(store, stores);
        const known = `the stores are ${[...stores].join(', ')}`;
        refuse(
          `${name}: there is no store named ${store}`,
          near === undefined ? known : `did you mean ${near}?`,
        );
      }
    }
    return { kind: 'ref', ref: text, as, optional };
  };
  if (typeof given !== 'string') return ref(given.ref, given.as, given.optional);
  const store = scheme(given);
  if ((store !== undefined && stores.has(store)) || isNative(given)) return ref(given, 'value', false);
  const near = store === undefined || SCHEMES.test(store) ? undefined : nearest(store, stores);
  if (near !== undefined) refuse(`${name}: there is no store named ${store ?? ''}`, `did you mean ${near}?`);
  if (looksSecret(name, given))
    refuse(`the value of ${name} looks like a secret`, 'put it in a store and write its reference here');
  return { kind: 'literal', value: given };
}
