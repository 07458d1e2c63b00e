/** Wildcard patterns for names: in filters of the audit log, suppressions and services' policies. */

/** Whether a pattern matches the whole text: `*` matches anything, `?` one character. */
export function fitsPattern(pattern: string, text: string): boolean {
  return fits(pattern, text, false);
}

/** The same for paths: `*` matches anything but slashes, `**` anything, `?` one character but a slash. */
export function fitsPathPattern(pattern: string, text: string): boolean {
  return fits(pattern, text, true);
}

/** Takes time proportional to pattern and text, so that no pattern in a foreign file can hang a command. */
function fits(pattern: string, text: string, slashParts: boolean): boolean {
  const plain = pattern.search(/[*?]/);
  if (plain === -1) return pattern === text;
  if (!text.startsWith(pattern.slice(0, plain))) return false;
  const chars = [...text.slice(plain)];
  // Positions in the text that the parts so far can reach.
  const reached = new Uint8Array(chars.length + 1);
  reached[0] = 1;
  for (const part of pattern.slice(plain).match(/\*+|[\s\S]/gu) ?? []) {
    const crosses = !slashParts || part.length > 1;
    if (part.startsWith('*')) {
      for (const [at, char] of chars.entries())
        if (reached[at] === 1 && (crosses || char !== '/')) reached[at + 1] = 1;
    } else {
      const takes = (char: string | undefined): boolean =>
        part === '?' ? !slashParts || char !== '/' : part === char;
      // Backwards, so that positions reached by this part aren't confused with those reached before.
      for (let at = chars.length; at > 0; at -= 1)
        reached[at] = reached[at - 1] === 1 && takes(chars[at - 1]) ? 1 : 0;
      reached[0] = 0;
    }
  }
  return reached[chars.length] === 1;
}
