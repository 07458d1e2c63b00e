/** Where else in a JSON secret the old password is, and what becomes of it there. */
import { replaceSecrets, rotatedKeys } from '../../../src/core/credential/fields.ts';
import { JsonDocument } from '../../../src/core/document/document.ts';

type Fields = Readonly<Record<string, unknown>>;

function rotate(fields: Fields | string, keys: readonly string[], secret = 'new', username?: string): string {
  const document = JsonDocument.parse(typeof fields === 'string' ? fields : JSON.stringify(fields));
  const secrets = new Map(keys.map((key) => [key, secret]));
  return replaceSecrets(document, rotatedKeys(document, keys), secrets, username).text;
}

/** What a rotation changed. */
function changed(fields: Fields, keys: readonly string[], secret = 'new', username?: string): Fields {
  const after = JSON.parse(rotate(fields, keys, secret, username)) as Fields;
  expect(Object.keys(after)).toEqual(Object.keys(fields));
  const same = (key: string): boolean => JSON.stringify(after[key]) === JSON.stringify(fields[key]);
  return Object.fromEntries(Object.entries(after).filter(([key]) => !same(key)));
}

describe('the other places of an old password', () => {
  test('connection strings of any form follow, at any depth', () => {
    const fields = {
      password: 'p',
      username: 'app',
      url: 'postgresql://app:p@h/db',
      nested: { jdbc: ['jdbc:postgresql://h/db?user=app&password=p'], dsn: 'host=h user=app password=p' },
      net: 'Server=h;User Id=app;Password=p',
      DB_PASSWORD: 'p',
      engine: 'postgres',
      port: 5432,
    };
    expect(changed(fields, ['password'])).toEqual({
      password: 'new',
      url: 'postgresql://app:new@h/db',
      nested: {
        jdbc: ['jdbc:postgresql://h/db?user=app&password=new'],
        dsn: 'host=h user=app password=new',
      },
      net: 'Server=h;User Id=app;Password=new',
      DB_PASSWORD: 'new',
    });
  });

  test('a rotated key that holds a URL keeps it, and takes the password with it', () => {
    const fields = { password: 'long enough', url: 'mysql://app:long%20enough@h/db' };
    expect(changed(fields, ['url'])).toEqual({ password: 'new', url: 'mysql://app:new@h/db' });
  });

  test('of two users in turns the connection strings get the other one', () => {
    const fields = { username: 'a', password: 'p', url: 'mysql://a:p@h/db' };
    expect(changed(fields, ['password'], 'new', 'b')).toEqual({ password: 'new', url: 'mysql://b:new@h/db' });
  });

  test('published forms of AWS stay as they are but for the password', () => {
    const rds = {
      engine: 'postgres',
      host: 'h',
      username: 'app',
      password: 'app',
      dbname: 'app',
      port: 5432,
      dbInstanceIdentifier: 'app',
      masterarn: 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:master',
    };
    expect(changed(rds, ['password'])).toEqual({ password: 'new' });
    expect(changed({ ...rds, password: '5432' }, ['password'])).toEqual({ password: 'new' });
  });

  test.each<[string, Fields, string]>([
    ['in a text', { password: 'old-password', note: 'it is old-password today' }, 'note'],
    ['percent-encoded', { password: 'old password!', link: '/sign-in?p=old%20password%21' }, 'link'],
    ['percent-encoded in lower case', { password: 'old;password', link: '/x?p=old%3bpassword' }, 'link'],
    ['in base64', { password: 'old-password', auth: 'Basic YXBwOm9sZC1wYXNzd29yZA==' }, 'auth'],
    ['in JSON', { password: 'p', file: '{"password":"p"}' }, 'file'],
    ['as a whole, under another name', { password: 'p', alias: 'p' }, 'alias'],
    ['in a URL that is not understood', { password: 'p', url: 'jdbc:oracle:thin:app/p@//h/svc' }, 'url'],
    ['of another user', { username: 'app', password: 'p', url: 'mysql://dba:p@h/db' }, 'url'],
    ['deep inside', { password: 'p', a: { 'b/c': ['x p'] } }, '/a/b~1c/0'],
  ])('a place where it can’t be replaced is named: %s', (_title, fields, name) => {
    expect(() => rotate(fields, ['password'])).toThrow(
      expect.objectContaining({ kind: 'Invalid', message: expect.stringContaining(`is also in ${name}, `) }),
    );
  });

  test('a word that is a password by chance is not found everywhere', () => {
    const fields = {
      password: 'p',
      engine: 'postgres',
      note: 'happy',
      url: 'mysql://dba:other@p/p',
      username: 'p',
    };
    expect(changed(fields, ['password'])).toEqual({ password: 'new' });
  });

  test.each([[{ a: 1 }], [['x']], [true]])('a key that holds no text is refused: %j', (value) => {
    expect(() => rotate({ password: value }, ['password'])).toThrow('is not text');
  });

  test('a key that holds a structure of an unknown form is refused by its name', () => {
    expect(() => rotate({ dsn: 'app:p@tcp(h:3306)/db' }, ['dsn'])).toThrow(/^dsn: .* looks like/);
  });

  test('every byte that nobody asked for stays', () => {
    const before =
      '{ "port" : 5432.0,\n\t"a\\u0062":1e400, "list":[ 1, "mysql:\\/\\/a:p@h" ],"password":"p"  }\n';
    expect(rotate(before, ['password'])).toBe(
      before.replace('"p"', '"new"').replace('mysql:\\/\\/a:p@h', 'mysql://a:new@h'),
    );
    expect(rotate('{"a": 1}', ['password'])).toBe('{"a": 1,"password": "new"}');
    expect(() => rotate('{"password":"p","password":"q"}', ['password'])).toThrow('ambiguous');
  });
});
