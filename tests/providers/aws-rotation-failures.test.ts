/** Whose failure an event of CloudTrail is, by the forms of events in AWS's documentation. */
import { isAbout } from '../../src/providers/aws/rotation-failures.ts';

const ARN = 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:x-AbCdEf';

const event = (more: object): string =>
  JSON.stringify({ eventSource: 'secretsmanager.amazonaws.com', eventName: 'RotationFailed', ...more });

test.each([
  [{ additionalEventData: { SecretId: ARN } }],
  [{ resources: [{ accountId: '123456789012', ARN }] }],
  [{ requestParameters: { secretId: ARN } }],
])('%j is about the secret', (more) => {
  expect(isAbout(event(more), ARN)).toBe(true);
});

test.each([
  // A secret of the name x-AbCdEf.
  { additionalEventData: { SecretId: `${ARN}-GhIjKl` } },
  { additionalEventData: { SecretId: `${ARN}/y-GhIjKl` } },
  { additionalEventData: { SecretId: ARN.slice(0, -7) } },
  { additionalEventData: { SecretId: ARN.replace('eu-', 'us-') } },
  { errorMessage: `the function asked for ${ARN}` },
  { [ARN]: 'x' },
])('%j is about another', (more) => {
  expect(isAbout(event(more), ARN)).toBe(false);
});

test.each(['', 'null', '{', ARN, '['.repeat(200_000)])('%.20j is no event', (text) => {
  expect(isAbout(text, ARN)).toBe(false);
});
