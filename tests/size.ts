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

/** Of cases that are alike, such as the rows of a table: a small run tries every so many, and the first. */
export function sampled<T>(cases: readonly T[], every: number): readonly T[] {
  return cases.filter((_, index) => index % sized(every, 1) === 0);
}
