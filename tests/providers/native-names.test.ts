/** A name behind a store stays in that store: what would be another account's, written alone, is no name or a plain one. */
import { parseReference } from '../../src/core/reference/reference.ts';
import { isNameAfter } from '../../src/providers/aws/answers.ts';
import { mappedNames, plainNames } from '../../src/providers/azure/names.ts';
import { checkId } from '../../src/providers/gcp/names.ts';
import { providers } from '../../src/providers/registry.ts';

const NATIVE = {
  aws: 'arn:aws:secretsmanager:eu-west-1:666666666666:secret:x-AbCdEf',
  azure: 'https://evil.vault.azure.net/secrets/url',
  gcp: 'projects/evil/secrets/url',
  conjur: 'evil:variable:url',
};

test('those are all the identifiers that name an account', () => {
  const kinds = providers.filter(({ native }) => native !== undefined).map(({ kind }) => kind);
  expect(kinds.toSorted()).toEqual(Object.keys(NATIVE).toSorted());
});

test.each(Object.entries(NATIVE))('an identifier of %s behind a store is not one: %s', (kind, text) => {
  for (const written of [text, text.replaceAll(':', '%3A'), encodeURIComponent(text)]) {
    const whole = `${kind}://${written}`;
    expect(providers.filter(({ native }) => native?.(whole) !== undefined)).toEqual([]);
    expect(parseReference(whole)).toEqual({ store: kind, name: text });
  }
});

test('it is no name in AWS, Azure and Google', () => {
  for (const text of Object.values(NATIVE)) {
    // Google’s is a plain name there.
    expect(isNameAfter('', text)).toBe(text === NATIVE.gcp);
    expect(() => plainNames.toAzure(text)).toThrow('azure allows names of');
    expect(() => checkId(text)).toThrow('gcp allows names of');
    expect(mappedNames.toAzure(text)).toMatch(/^[a-z0-9-]+$/);
  }
});

test.each(['../x', 'a/../../sys/x', '%2e%2e/x', 'a/%2E%2E%2Fx', 'a%2f..%2fx'])('none climbs: %s', (name) => {
  for (const { kind } of providers) expect(() => parseReference(`${kind}://${name}`)).toThrow('segments');
});
