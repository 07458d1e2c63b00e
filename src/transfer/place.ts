/** One side of a copy: one secret, or every secret of a store under a prefix. */
import { SecretsError } from '../core/errors.ts';
import { formatReference, withoutStar } from '../core/reference/reference.ts';
import { sortedNames } from '../core/transfer.ts';
import type { Provider } from '../providers/provider.ts';
import type { SecretInfo } from '../core/secret.ts';
import type { Session } from '../session/session.ts';

export interface Place {
  /** As the user would write it, including the store. */
  readonly text: string;
  readonly store: string;
  readonly provider: Provider;
  /** The name of the one secret, or the prefix of many: empty, or the text that the user gave. */
  readonly name: string;
  readonly many: boolean;
}

/**
 * Opens the store that a text names: `STORE://NAME` for one secret; `STORE://`, `STORE://PREFIX/` or, for stores whose
 * names contain no `/`, `STORE://PREFIX*` for many.
 * @throws SecretsError Usage for a reference with a key, version or stage
 */
export async function openPlace(session: Session, text: string): Promise<Place> {
  const scheme = text.indexOf('://');
  const rest = withoutStar(scheme === -1 ? text : text.slice(scheme + 3));
  const many = rest === '' || rest.endsWith('/') || text.endsWith('*');
  if (!many) {
    const target = await session.target(text);
    const { name, key, version, stage } = target.reference;
    if (key !== undefined || version !== undefined || stage !== undefined) {
      throw new SecretsError('Usage', 'whole secrets are copied and compared', {
        reference: target.text,
        hint: 'omit #key, ?version= and ?stage=; for one key: secrets get A#k | secrets put B#k',
      });
    }
    const provider = await session.open(target.store, target.native);
    return { text: target.text, store: target.store, provider, name, many: false };
  }
  // A prefix is valid if a name that starts with it is valid.
  const probe = await session.target(`${scheme === -1 ? '' : text.slice(0, scheme + 3)}${rest}x`, false);
  const name = probe.reference.name.slice(0, -1);
  session.asks(probe.store, undefined, { name });
  const provider = await session.open(probe.store);
  return { text: `${probe.store}://${name}`, store: probe.store, provider, name, many: true };
}

/** The reference of a secret on this side, for messages. */
export function textOf(place: Place, name: string): string {
  return formatReference({ store: place.store, name });
}

export interface ListedSecrets {
  /** Sorted. */
  readonly names: readonly string[];
  /** Descriptions and labels, where the listing returned them. */
  readonly infos: ReadonlyMap<string, SecretInfo>;
}

/** Lists the secrets of this side. Keeps names, never values. */
export async function listPlace(
  session: Session,
  place: Place,
  details: boolean,
  onCount: (count: number) => void,
): Promise<ListedSecrets> {
  if (!place.many) return { names: [place.name], infos: new Map() };
  const infos = new Map<string, SecretInfo>();
  for await (const info of place.provider.list({ prefix: place.name, details }, session.call())) {
    infos.set(info.name, info);
    onCount(infos.size);
  }
  return { names: sortedNames(infos.keys()), infos };
}
