/**
 * How much of a loop a test runs. SECRETS_TEST_SIZE=small, the default, is a sample that fits into minutes; `full`,
 * as in CI, is what each claim rests on; `every` also leaves out no moment of those at which a process is killed,
 * which takes hours. The assertions are the same.
 */
const SIZES = ['small', 'full', 'every'] as const;

const asked = process.env['SECRETS_TEST_SIZE'] ?? 'small';
const size = SIZES.find((one) => one === asked);
if (size === undefined) throw new Error(`SECRETS_TEST_SIZE is ${asked}: use ${SIZES.join(', ')}`);

/** @param every as `full` unless given */
export function sized<T>(small: T, full: T, every: T = full): T {
  return { small, full, every }[size as (typeof SIZES)[number]];
}

/** Of this run of jest, which prints it, so that `--seed` repeats what a small run has taken. */
const seed = Math.abs(Number(process.env['SECRETS_TEST_SAMPLE'] ?? 0));

/** At which of so many a small run begins, so that runs with other seeds try others; full runs begin at the first. */
export function startOf(every: number): number {
  return sized(seed % every, 0);
}

/** Of cases that are alike, such as the rows of a table: a small run tries one of so many, others in each run. */
export function sampled<T>(cases: readonly T[], every: number): readonly T[] {
  const step = sized(Math.min(every, cases.length), 1);
  return cases.filter((_, index) => index % step === startOf(step));
}
