/** Addresses as networks: what is compared is a prefix, since single addresses change all the time. */

export interface Network {
  /** /24 of IPv4, /48 of IPv6: a site. */
  readonly site: string;
  /** /16 and /32: what a provider hands out sites from. A home whose site changes mostly stays within it. */
  readonly provider: string;
}

/**
 * The network of an address. What is no IP address (the name of a service of the cloud, a machine's name) is a network
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

/** The first three groups of an IPv6 address, without leading zeros. */
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
