/** Maps addresses to networks: prefixes are compared, because single addresses change all the time. */

export interface Network {
  /** A site: /24 for IPv4, /48 for IPv6. */
  readonly site: string;
  /**
   * The provider's block from which sites are assigned: /16 and /32. A home connection that changes its site usually
   * stays within it.
   */
  readonly provider: string;
}

/**
 * The network of an address. Anything but an IP address (the name of a cloud service, a machine's name) is a network
 * of its own.
 */
export function networkOf(address: string): Network {
  const four = /^(?:::ffff:)?(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.\d{1,3}$/i.exec(address);
  if (four !== null) {
    const [, a, b, c] = four;
    return { site: `${a}.${b}.${c}.0/24`, provider: `${a}.${b}.0.0/16` };
  }
  const groups = groupsOf(address);
  if (groups === undefined) return { site: address, provider: address };
  const [a, b, c] = groups;
  return { site: `${a}:${b}:${c}::/48`, provider: `${a}:${b}::/32` };
}

function groupsOf(address: string): readonly string[] | undefined {
  const plain = address.replace(/%.*$/, '').toLowerCase();
  if (!/^[0-9a-f:.]+$/.test(plain) || !plain.includes(':')) return undefined;
  const halves = plain.split('::');
  if (halves.length > 2) return undefined;
  const split = (half: string | undefined): string[] =>
    half === undefined || half === '' ? [] : half.split(':');
  const [head, tail] = [split(halves[0]), split(halves[1])];
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  const all = halves.length === 1 ? head : [...head, ...Array.from({ length: missing }, () => '0'), ...tail];
  const groups = all.slice(0, 3).map((group) => Number.parseInt(group, 16));
  return groups.some((group) => !(group >= 0 && group <= 0xffff))
    ? undefined
    : groups.map((group) => group.toString(16));
}
