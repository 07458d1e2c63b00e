import { freePort } from '../../backends/server.ts';
import { itKeepsTheContract } from '../../contract/suite.ts';
import { ACCOUNT, startConjur } from '../../backends/conjur.ts';
import { useConjur } from './kit.ts';

describe('conjur', () => {
  const kit = useConjur();

  describe('contract', () => {
    itKeepsTheContract({
      open: () => kit.as('admin'),
      openStranger: () => kit.start({}, { ...kit.conjur.env(), CONJUR_AUTHN_API_KEY: 'x'.repeat(56) }),
      makeEmpty: (name) =>
        kit.conjur.api('PATCH', `/policies/${ACCOUNT}/policy/root`, `- !variable ${name}`, {
          'Content-Type': 'application/x-yaml',
        }),
      upstream: () => ({ url: kit.conjur.url, ca: kit.conjur.tls.cert, tls: kit.conjur.tls }),
      openThrough: (url) => kit.as('admin', { url }),
      credentials: () => Object.values(kit.conjur.keys),
      openUnreachable: async () =>
        kit.start({ url: `https://127.0.0.1:${await freePort()}` }, kit.conjur.env()),
    });
  });

  test('the check against the documents finds what does not fit them', async () => {
    const other = await startConjur();
    try {
      await other.api('GET', `/resources/${ACCOUNT}/variable?colour=red`);
      await other.api('GET', `/resources/${ACCOUNT}/variable?limit=x`).catch(() => undefined);
      await other.api('PATCH', `/policies/${ACCOUNT}/policy/root`, '- !variable x', {
        'Content-Type': 'application/json',
      });
      expect(await other.problems()).toEqual([
        expect.stringMatching(/no query parameter colour/),
        expect.stringMatching(/query limit: data must be integer/),
        expect.stringMatching(/content type "application\/json" is none of text\/yaml/),
      ]);
    } finally {
      await other.stop();
    }
  });
});
