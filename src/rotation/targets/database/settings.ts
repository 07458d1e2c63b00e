/** Settings that the database targets have in common. */
import * as v from 'valibot';
import { port, said, text } from '../schema.ts';

export const databaseSettings = {
  host: said('host, or path of a Unix socket, where the secret does not name one'),
  port: v.pipe(v.optional(port), v.description('port, where the secret does not name one')),
  database: said('database to connect to, where the secret does not name one'),
  username: said('user, where the secret does not name one'),
  admin: said('reference of the secret whose user changes the password; default: the user itself does'),
  users: v.pipe(
    v.optional(v.pipe(v.array(text), v.length(2))),
    v.description('two users that take turns; needs admin'),
  ),
  ca: said('PEM file of the authority to believe'),
};

export interface DatabaseSettings {
  readonly host?: string;
  readonly port?: number;
  readonly database?: string;
  readonly username?: string;
  readonly admin?: string;
  readonly users?: readonly [string, string];
  readonly ca?: string;
}
