/** Whose signatures are accepted. */
import { createPublicKey, verify as verifySignature } from 'node:crypto';
import type { Trust } from '../../core/audit/problems.ts';
import { type PublicKey, publicKeyOf } from './keys.ts';

/** @param keys ids of the keys whose checkpoints are accepted; undefined: any key whose signature is valid */
export function trustIn(keys: ReadonlySet<string> | undefined): Trust {
  const parsed = new Map<string, PublicKey | undefined>();
  const keyOf = (der: string): PublicKey | undefined => {
    if (!parsed.has(der)) {
      if (parsed.size > 100) parsed.clear();
      parsed.set(der, parseKey(der));
    }
    return parsed.get(der);
  };
  return {
    accepts: (id) => keys === undefined || keys.has(id),
    verify(id, der, text, signature) {
      const key = keyOf(der);
      if (key?.id !== id) return false;
      return verifySignature(null, Buffer.from(text), key.key, Buffer.from(signature, 'base64'));
    },
  };
}

function parseKey(der: string): PublicKey | undefined {
  try {
    const key = createPublicKey({ key: Buffer.from(der, 'base64'), format: 'der', type: 'spki' });
    return key.asymmetricKeyType === 'ed25519' ? publicKeyOf(key) : undefined;
  } catch {
    return undefined;
  }
}
