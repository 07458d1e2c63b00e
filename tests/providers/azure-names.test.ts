import fc from 'fast-check';
import { SecretsError } from '../../src/core/errors.ts';
import { azure as descriptor } from '../../src/providers/azure/descriptor.ts';
import { isSibling, mappedNames, plainNames, siblingOf } from '../../src/providers/azure/names.ts';
import { sized } from '../size.ts';

const kindOf = (work: () => unknown): string => {
  try {
    work();
    return 'no error';
  } catch (thrown) {
    if (!(thrown instanceof SecretsError)) throw thrown;
    return thrown.kind;
  }
};
const hasControls = (text: string): boolean => /[\u0000-\u001f\u007f-\u009f]|\p{Surrogate}/u.test(text);

/** Names in which the mapping's own characters are frequent. */
const names = fc
  .oneof(
    fc.string({ unit: fc.constantFrom('-', '/', 'a', 'f', '2', 'd', 'X', '_', '.', 'é'), maxLength: 12 }),
    fc.string({ unit: 'grapheme', maxLength: 12 }),
  )
  .filter((name) => name !== '' && !hasControls(name));

describe('mapped names', () => {
  test('are Azure’s, in lower case, and come back as they were', () => {
    fc.assert(
      fc.property(names, (name) => {
        fc.pre(kindOf(() => mappedNames.toAzure(name)) === 'no error');
        const mapped = mappedNames.toAzure(name);
        expect(mapped).toMatch(/^[0-9a-z-]{1,127}$/);
        expect(mappedNames.fromAzure(mapped)).toBe(name);
        // Azure tells no cases apart.
        expect(mappedNames.fromAzure(mapped.toUpperCase())).toBe(name);
      }),
      { numRuns: sized(300, 3000) },
    );
  });

  test('never meet', () => {
    fc.assert(
      fc.property(names, names, (one, other) => {
        const isLegal = (name: string): boolean => kindOf(() => mappedNames.toAzure(name)) === 'no error';
        fc.pre(one !== other && isLegal(one) && isLegal(other));
        expect(mappedNames.toAzure(one)).not.toBe(mappedNames.toAzure(other));
      }),
      { numRuns: sized(300, 3000) },
    );
  });

  test('whatever Azure’s name, ours leads back to it, or there is none', () => {
    const alphabet = fc.constantFrom('-', 'a', 'f', '2', 'd', '5');
    fc.assert(
      fc.property(fc.string({ unit: alphabet, minLength: 1, maxLength: 14 }), (azureName) => {
        const name = mappedNames.fromAzure(azureName);
        fc.pre(name !== undefined && !hasControls(name));
        expect(mappedNames.toAzure(name)).toBe(azureName);
      }),
      { numRuns: sized(300, 3000) },
    );
  });

  test.each([
    ['payments/db', 'payments--db'],
    ['payments/db-url', 'payments--db-url'],
    ['DB_URL', '---44---42---5f---55---52---4c'],
    ['a--b', 'a---2d-b'],
    ['a/-b', 'a---2f-b'],
    ['a_/b', 'a---5f--b'],
    ['é', '---c3---a9'],
  ])('%s is %s', (name, mapped) => {
    expect(mappedNames.toAzure(name)).toBe(mapped);
    expect(mappedNames.fromAzure(mapped)).toBe(name);
  });

  test.each(['a---b', 'a----b', '---61', '---zz', '---ff'])('nothing is mapped to %s', (azureName) => {
    expect(mappedNames.fromAzure(azureName)).toBeUndefined();
  });

  test('are measured after the mapping', () => {
    expect(kindOf(() => mappedNames.toAzure('x'.repeat(127)))).toBe('no error');
    expect(kindOf(() => mappedNames.toAzure('x'.repeat(128)))).toBe('Invalid');
    expect(kindOf(() => mappedNames.toAzure('_'.repeat(26)))).toBe('Invalid');
  });
});

describe('plain names', () => {
  test.each(['', 'a/b', 'a_b', 'a.b', 'é', 'a b', 'x'.repeat(128)])('refuse %j with the rule', (name) => {
    expect(() => plainNames.toAzure(name)).toThrow(/letters, digits and -, 1 to 127 characters/);
  });

  test('are Azure’s own', () => {
    expect(plainNames.toAzure('Db-Url-2')).toBe('Db-Url-2');
    expect(plainNames.toAzure('x'.repeat(127))).toHaveLength(127);
  });
});

describe('a sibling’s name', () => {
  test.each([
    [plainNames, 'db--secrets-pending'],
    [plainNames, 'db--Secrets-PENDING'],
    [mappedNames, 'db/secrets-pending'],
  ])('is refused as a name of one’s own', (rules, name) => {
    expect(kindOf(() => rules.toAzure(name))).toBe('Invalid');
  });

  test('is legal in Azure, or refused as too long', () => {
    expect(siblingOf('x'.repeat(110))).toMatch(/^[0-9a-z-]{127}$/);
    expect(isSibling(siblingOf('db'))).toBe(true);
    expect(kindOf(() => siblingOf('x'.repeat(111)))).toBe('Invalid');
  });
});

describe('native identifiers', () => {
  const id = '0123456789abcdef0123456789abcdef';
  const native = (text: string): unknown => descriptor.native?.(text);

  test.each([
    ['https://pay.vault.azure.net/secrets/db', 'public', undefined],
    [`https://pay.vault.azure.net/secrets/db/${id}`, 'public', id],
    ['https://pay.vault.azure.cn/secrets/db', 'china', undefined],
    ['https://pay.vault.usgovcloudapi.net/secrets/db', 'us-government', undefined],
  ])('%s names a secret of the cloud %s', (text, cloud, version) => {
    expect(native(text)).toEqual({
      name: 'db',
      ...(version !== undefined && { version }),
      settings: { vault: text.slice(0, text.indexOf('/secrets')), cloud, names: 'plain' },
    });
  });

  test.each([
    'https://pay.vault.azure.net.evil.example/secrets/db',
    'https://evil.example/secrets/db',
    'https://pay.vault.azure.net@evil.example/secrets/db',
    'https://a.pay.vault.azure.net/secrets/db',
    'https://vault.azure.net/secrets/db',
    'http://pay.vault.azure.net/secrets/db',
    'https://pay.vault.azure.net:8443/secrets/db',
    'https://pay.vault.azure.net/keys/db',
    'https://pay.vault.azure.net/secrets/db/short',
    'https://pay.vault.azure.net/secrets/a_b',
    'pay.vault.azure.net/secrets/db',
  ])('%s is none', (text) => {
    expect(native(text)).toBeUndefined();
  });
});

describe('what needs trust in a found secrets.yaml', () => {
  const settingsOf = (settings: Parameters<typeof descriptor.trustItems>[0]): string[] =>
    descriptor.trustItems(settings).map(({ setting }) => setting);

  test('nothing in the form of names', () => {
    expect(settingsOf({ names: 'mapped' })).toEqual([]);
  });

  // Azure's own, too: the vault, the tenant or the identity may still be somebody else's.
  test.each([
    [{ vault: 'pay' }, 'vault'],
    [{ vault: 'https://pay.vault.azure.net' }, 'vault'],
    [{ cloud: 'china' }, 'cloud'],
    [{ 'dns-suffix': 'vault.azure.cn' }, 'dns-suffix'],
    [{ 'authority-host': 'https://login.microsoftonline.us' }, 'authority-host'],
    [{ auth: { method: 'azure-cli' } }, 'auth.method'],
    [{ auth: { 'tenant-id': 'x' } }, 'auth.tenant-id'],
    [{ vault: 'https://pay.vault.azure.net.evil.example' }, 'vault'],
    [{ vault: 'https://pay.vault.azure.net:8443' }, 'vault'],
    [{ vault: 'http://127.0.0.1:8443' }, 'vault'],
    [{ 'dns-suffix': 'evil.example' }, 'dns-suffix'],
    [{ 'authority-host': 'https://login.microsoftonline.com.evil.example' }, 'authority-host'],
    [{ 'authority-host': 'login.evil.example' }, 'authority-host'],
    [{ ca: 'ca.pem' }, 'ca'],
    [{ 'disable-challenge-resource-verification': true }, 'disable-challenge-resource-verification'],
    [{ 'disable-instance-discovery': true }, 'disable-instance-discovery'],
    [{ auth: { certificate: '/etc/key.pem' } }, 'auth.certificate'],
    [{ auth: { 'token-file': '/etc/token' } }, 'auth.token-file'],
    [{ auth: { 'additional-tenants': ['*'] } }, 'auth.additional-tenants'],
    [{ vault: 'https://u:p@pay.vault.azure.net' }, 'vault'],
  ])('%j does', (settings, setting) => {
    expect(settingsOf(settings as never)).toEqual([setting]);
  });
});

describe('what speaks for Azure on a machine', () => {
  const detect = (env: Readonly<Record<string, string>>): unknown =>
    descriptor.detect?.({ env, home: '/home/ada', exists: () => false });

  test.each([
    [{ AZURE_KEYVAULT_NAME: 'pay' }, { vault: 'pay' }],
    [{ AZURE_KEYVAULT_URL: 'https://pay.vault.azure.net/' }, { vault: 'https://pay.vault.azure.net/' }],
    [{ AZURE_KEYVAULT_URL: 'https://me:hunter2@pay.vault.azure.net' }, {}],
    [{ AZURE_KEYVAULT_URL: 'https://elsewhere.example' }, {}],
  ])('%j gives the settings %j', (env, settings) => {
    expect(detect(env)).toMatchObject({ settings });
    expect((detect(env) as { settings: object }).settings).toEqual(settings);
  });

  test('nothing, where nothing is', () => {
    expect(detect({})).toBeUndefined();
  });
});
