/**
 * Finds the secret that an id in CloudTrail names. Events contain the id as the caller wrote it: a name, an ARN, or an
 * ARN without its six random characters, which looks the same as a name that ends in a hyphen and six characters.
 */

/** `arn:PARTITION:secretsmanager:REGION:ACCOUNT:secret:TAIL` */
const ARN = /^arn:[^:]+:secretsmanager:[^:]*:(\d*):secret:(.+)$/;
const WITH_RANDOM_END = /^(.+)-[A-Za-z0-9]{6}$/;
/** The maximum of cached secrets for resolving ARNs; beyond it, the form of an ARN decides. */
const MOST = 20_000;

/** A secret's name in AWS, and its account if the id contains it. */
export interface NamedSecret {
  readonly account: string | undefined;
  readonly name: string;
}

interface Known {
  /** Names by the tails of their ARNs. */
  readonly byTail: ReadonlyMap<string, string>;
  readonly names: ReadonlySet<string>;
}

/** The name that an ARN most likely means, judging only by its form. */
export function nameInArn(id: string): string {
  const tail = ARN.exec(id)?.[2] ?? id;
  return WITH_RANDOM_END.exec(tail)?.[1] ?? tail;
}

export class TrailNames {
  readonly #list: () => AsyncIterable<{ readonly arn: string; readonly name: string }>;
  readonly #resolved = new Map<string, NamedSecret>();
  #known: Promise<Known> | undefined;

  /** @param list the existing secrets; called once, when an ARN has to be resolved */
  constructor(list: () => AsyncIterable<{ readonly arn: string; readonly name: string }>) {
    this.#list = list;
  }

  async resolve(id: string): Promise<NamedSecret> {
    const [, account = '', tail = ''] = ARN.exec(id) ?? [];
    if (tail === '') return { account: undefined, name: id };
    const found = this.#resolved.get(id);
    if (found !== undefined) return found;
    this.#known ??= this.#learn();
    const { byTail, names } = await this.#known;
    // A secret that no longer exists had a random suffix, as nearly every ARN in use does.
    const name = byTail.get(tail) ?? (names.has(tail) ? tail : nameInArn(id));
    const resolved = { account, name };
    if (this.#resolved.size < MOST) this.#resolved.set(id, resolved);
    return resolved;
  }

  async #learn(): Promise<Known> {
    const byTail = new Map<string, string>();
    const names = new Set<string>();
    for await (const { arn, name } of this.#list()) {
      const tail = ARN.exec(arn)?.[2];
      if (tail !== undefined) byTail.set(tail, name);
      names.add(name);
      if (names.size >= MOST) break;
    }
    return { byTail, names };
  }
}
