/** The blocks that read: `data` and `ephemeral` for a secret and for a list of names, `ephemeral` for a new value. */
import { generate, parseGenerate } from '../core/generate/generate.ts';
import { SecretsError } from '../core/errors.ts';
import { formatReference, isStoreName, parseReference } from '../core/reference/reference.ts';
import { checkTyped, keepOut } from '../output/confidential.ts';
import type { Session } from '../session/session.ts';
import { about } from './diagnostics.ts';
import { checkEncoding, encodeValue, encodingOf, keysOf } from './encoding.ts';
import { type Attributes, textOf } from './values.ts';

/** A block that reads: its configuration is checked before anything is known, and read when all of it is. */
export interface Reader {
  check(session: Session, config: Attributes): Promise<void>;
  read(session: Session, config: Attributes): Promise<Attributes>;
}

/** Checks the form of a reference without asking a store. @throws SecretsError Usage */
export function checkReference(session: Session, text: string): void {
  const [identifier = ''] = text.split('#', 1);
  if (session.world.providers.some(({ native }) => native?.(identifier) !== undefined)) return;
  checkTyped(text, parseReference(text));
}

const secret: Reader = {
  async check(session, config) {
    const { ref } = config;
    if (typeof ref === 'string') await about('ref', () => checkReference(session, ref));
    await about('encoding', () => checkEncoding(config));
  },

  async read(session, config) {
    const encoding = await about('encoding', () => encodingOf(config));
    return about('ref', async () => {
      const ref = textOf(config, 'ref') ?? '';
      const [answer] = await session.resolve([ref]);
      if (answer === undefined) throw new TypeError('one was asked for');
      if (!answer.ok) throw answer.error;
      try {
        const { value, target } = answer;
        return {
          ...config,
          value: encodeValue(value, encoding),
          data: encoding === 'base64' ? null : keysOf(answer.secret, value, target.reference.key),
          version: answer.secret.id,
        };
      } catch (thrown) {
        throw thrown instanceof SecretsError ? thrown.forReference(answer.target.text) : thrown;
      }
    });
  },
};

/** The store of a prefix, and the prefix itself. @throws SecretsError Usage */
async function splitPrefix(
  session: Session,
  text: string,
): Promise<{ readonly store: string; readonly prefix: string | undefined }> {
  const scheme = text.indexOf('://');
  const store = scheme === -1 ? await session.defaultStore() : text.slice(0, scheme);
  const prefix = (scheme === -1 ? text : text.slice(scheme + 3)).replace(/\*$/, '');
  if (!isStoreName(store))
    throw new SecretsError('Usage', 'the prefix does not start with the name of a store', {
      hint: 'write [STORE://][PREFIX]',
    });
  return { store, prefix: prefix === '' ? undefined : prefix };
}

const list: Reader = {
  async check(session, { prefix }) {
    if (typeof prefix === 'string' && prefix.includes('://'))
      await about('prefix', () => splitPrefix(session, prefix));
  },

  read(session, config) {
    return about('prefix', async () => {
      const { store, prefix } = await splitPrefix(session, textOf(config, 'prefix') ?? '');
      session.asks(store, undefined, { name: prefix ?? '' });
      const provider = await session.open(store);
      const names: string[] = [];
      for await (const { name } of provider.list({ prefix }, session.call())) names.push(name);
      names.sort();
      return { ...config, names, refs: names.map((name) => formatReference({ store, name })) };
    });
  },
};

const generated: Reader = {
  async check(_session, { spec }) {
    if (typeof spec === 'string') await about('spec', () => void parseGenerate(spec));
  },

  read(_session, config) {
    return about('spec', async () => {
      const { value, bits, parts } = await generate(textOf(config, 'spec') ?? 'alnum:32');
      keepOut(Buffer.from(value));
      return { ...config, value, bits, data: parts ?? null };
    });
  },
};

export const DATA_READERS: Readonly<Record<string, Reader>> = { secrets_secret: secret, secrets_list: list };
export const EPHEMERAL_READERS: Readonly<Record<string, Reader>> = {
  ...DATA_READERS,
  secrets_generate: generated,
};
