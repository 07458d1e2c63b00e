import { loadStrength } from '../../src/core/findings/strength.ts';
import { isDefault, type Strength, ValueRules } from '../../src/core/findings/values.ts';

let strength: Strength;
beforeAll(async () => {
  strength = await loadStrength();
});

function rulesFor(values: Readonly<Record<string, string>>): ValueRules {
  const rules = new ValueRules(strength, 10);
  for (const [secret, value] of Object.entries(values))
    rules.take({ store: 'prod', secret }, Buffer.from(value));
  return rules;
}

function found(values: Readonly<Record<string, string>>): readonly (readonly [string, string | undefined])[] {
  return rulesFor(values)
    .findings()
    .map(({ rule, secret }) => [rule, secret]);
}

const STRONG = 'kX9#mQ2vLp7$wRtZ';

test.each([
  'changeme',
  'ChangeMe',
  ' admin\n',
  '<your-token>',
  '${DB_PASSWORD}',
  'xxxxxxxx',
  'your-api-key-here',
  '{{ token }}',
])('%j is a default', (value) => {
  expect(isDefault(value)).toBe(true);
  expect(found({ a: value })).toEqual([['default-value', 'a']]);
});

test.each(['changeme2026-and-more', STRONG, 'adminstration of things, 84 of them'])('%j is none', (value) => {
  expect(isDefault(value)).toBe(false);
});

test.each([
  ['Summer2026', 'weak-value'],
  ['hunter22', 'weak-value'],
  ['postgres://app:summer12@db.example.com/app', 'weak-value'],
  ['{"user":"app","password":"Summer2026"}', 'weak-value'],
  [STRONG, undefined],
  ['correct horse battery staple', undefined],
  [`postgres://app:${STRONG.replace('#', '')}@db.example.com/app`, undefined],
  ['postgres://db.example.com/app', undefined],
  ['-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n', undefined],
  ['{"username":"admin","host":"db","port":5432,"engine":"postgres"}', undefined],
  ['', undefined],
])('%j: %s', (value, rule) => {
  expect(found({ a: value })).toEqual(rule === undefined ? [] : [[rule, 'a']]);
});

test('what is long is judged quickly, and a value of any bytes does no harm', () => {
  const rules = new ValueRules(strength, 10);
  const started = process.cpuUsage();
  rules.take({ store: 's', secret: 'long' }, Buffer.alloc(60_000, 'ab'));
  rules.take({ store: 's', secret: 'bytes' }, Buffer.from([0xff, 0xfe, 0, 1, 2, 3, 4]));
  for (let n = 0; n < 200; n += 1)
    rules.take({ store: 's', secret: `r${n}` }, Buffer.from(`${n}kjhzTRE765+"*ç%&/()=?`.repeat(2)));
  expect(rules.findings()).toEqual([]);
  expect(rules.unjudged).toBe(1);
  expect(process.cpuUsage(started).user).toBeLessThan(20_000_000);
});

test('the same value in several places is one finding that names them', () => {
  const [finding, ...others] = rulesFor({
    a: STRONG,
    b: JSON.stringify({ user: 'app', password: STRONG }),
    c: 'another-Value-83$',
  }).findings();
  expect(others).toEqual([]);
  expect(finding).toMatchObject({
    rule: 'same-value',
    severity: 'medium',
    evidence: { places: ['prod://a', 'prod://b#password'], placeCount: 2, stores: 1 },
  });
});

test('numbers that JavaScript rounds to the same one are two values', () => {
  const rules = new ValueRules(strength, 10);
  rules.take({ store: 'vault', secret: 'a' }, Buffer.from('{"id":1234567890123456789,"x":1}'));
  rules.take({ store: 'vault', secret: 'b' }, Buffer.from('{"id":1234567890123456788,"x":1}'));
  expect(rules.findings()).toEqual([]);
  rules.take({ store: 'vault', secret: 'c' }, Buffer.from('{"x":2,"id":1234567890123456788}'));
  expect(rules.findings()).toMatchObject([
    { rule: 'same-value', evidence: { places: ['vault://b#id', 'vault://c#id'] } },
  ]);
});

test('short values repeat for good reasons', () => {
  expect(found({ a: '54321', b: '54321' }).filter(([rule]) => rule === 'same-value')).toEqual([]);
});

test('no finding holds a value, or a hash of one that could be tried', () => {
  const one = JSON.stringify(rulesFor({ a: 'Summer2026', b: 'Summer2026', c: 'changeme' }).findings());
  const two = JSON.stringify(rulesFor({ a: 'Winter2027', b: 'Winter2027', c: 'password' }).findings());
  expect(one).not.toMatch(/Summer2026|changeme/);
  // The same kinds of values give the same findings: nothing in them depends on the value.
  expect(one).toBe(two);
});
