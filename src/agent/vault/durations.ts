/** Durations in requests, as Vault reads them: seconds as a number or text, or Go's `1h30m`. */

const UNITS: Readonly<Record<string, number>> = {
  h: 3600,
  m: 60,
  s: 1,
  ms: 1e-3,
  us: 1e-6,
  µs: 1e-6,
  ns: 1e-9,
  d: 86_400,
};

/** Seconds; or the text of Go's error. */
export function goDuration(value: unknown): { readonly seconds: number } | { readonly error: string } {
  if (typeof value === 'number') return { seconds: Math.trunc(value) };
  if (typeof value !== 'string') return { error: `could not parse duration from input` };
  if (value === '') return { seconds: 0 };
  if (/^-?\d{1,15}$/.test(value)) return { seconds: Number(value) };
  const match = /^(-?)((?:\d+(?:\.\d*)?(?:ns|us|µs|ms|s|m|h|d))+)$/.exec(value);
  if (match === null || value.length > 64)
    return { error: `time: invalid duration ${JSON.stringify(value.slice(0, 64))}` };
  let seconds = 0;
  for (const [, amount = '', unit = ''] of (match[2] ?? '').matchAll(/(\d+(?:\.\d*)?)(ns|us|µs|ms|s|m|h|d)/g))
    seconds += Number(amount) * (UNITS[unit] ?? 0);
  return { seconds: Math.trunc(match[1] === '-' ? -seconds : seconds) };
}

/** `24h`, `1h30m`, `45s`. */
export function shortDuration(seconds: number): string {
  const parts: readonly (readonly [number, string])[] = [
    [Math.floor(seconds / 3600), 'h'],
    [Math.floor(seconds / 60) % 60, 'm'],
    [seconds % 60, 's'],
  ];
  return (
    parts
      .filter(([amount]) => amount > 0)
      .map(([amount, unit]) => `${amount}${unit}`)
      .join('') || '0s'
  );
}
