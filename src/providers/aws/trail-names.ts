/**
 * Whose secret an id in CloudTrail is. Events hold the id as the caller wrote it: a name, an ARN, or an ARN without
 * its six random characters, which can't be told from a name that ends in a hyphen and six characters by its form.
 */

/** `arn:PARTITION:secretsmanager:REGION:ACCOUNT:secret:TAIL` */
const ARN = /^arn:[^:]+:secretsmanager:[^:]*:(\d*):secret:(.+)$/;
const WITH_RANDOM_END = /^(.+)-[A-Za-z0-9]{6}$/;
/** Most secrets that are kept to resolve ARNs with; beyond it the form of an ARN decides. */
const MOST = 20_000;

/** A secret by its name in AWS, and the account it is in where the id says so. */
export interface Owner {
  readonly account: string | undefined;
  readonly name: string;
}

interface Known {
  /** Names by the ends of their ARNs. */
  readonly byTail: ReadonlyMap<string, string>;
  readonly names: ReadonlySet<string>;
}

/** The name that an ARN most likely means, by its form alone. */
export function nameInArn(id: string): string {
  const tail = ARN.exec(id)?.[2] ?? id;
  return WITH_RANDOM_END.exec(tail)?.[1] ?? tail;
}

export class TrailNames {
  readonly #list: () => AsyncIterable<{ readonly arn: string; readonly name: string }>;
  readonly #owners = new Map<string, Owner>();
  #known: Promise<Known> | undefined;

  /** @param list what there is; asked once, when an ARN has to be understood */
  constructor(list: () => AsyncIterable<{ readonly arn: string; readonly name: string }>) {
    this.#list = list;
  }

  async owner(id: string): Promise<Owner> {
    const [, account = '', tail = ''] = ARN.exec(id) ?? [];
    if (tail === '') return { account: undefined, name: id };
    const found = this.#owners.get(id);
    if (found !== undefined) return found;
    this.#known ??= this.#learn();
    const { byTail, names } = await this.#known;
    // What is not there any more had a random end, as nearly every ARN in use.
    const name = byTail.get(tail) ?? (names.has(tail) ? tail : nameInArn(id));
    const owner = { account, name };
    if (this.#owners.size < MOST) this.#owners.set(id, owner);
    return owner;
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
