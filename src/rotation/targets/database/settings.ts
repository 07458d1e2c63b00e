/** Settings that the database targets have in common. */
import * as v from 'valibot';
import { port, said, text } from '../schema.ts';

export const databaseSettings = {
  host: said('host, or path of a Unix socket; a secret that names another is refused'),
  port: v.pipe(v.optional(port), v.description('port; a secret that names another is refused')),
  database: said('database that the user connects to; a secret that names another is refused'),
  username: said('user whose password is changed; a secret that names another is refused'),
  admin: said('reference of the secret whose user changes the password; default: the user itself does'),
  users: v.pipe(
    v.optional(v.pipe(v.array(text), v.length(2))),
    v.description('two users that take turns; needs admin'),
  ),
  ca: said('PEM file of the authority to believe'),
  verify: v.pipe(
    v.optional(v.picklist(['sign-in', 'none'])),
    v.description(
      'how a new password is verified: by a sign-in (default), or not at all, where the server lets in any password',
    ),
  ),
};

export interface DatabaseSettings {
  readonly host?: string;
  readonly port?: number;
  readonly database?: string;
  readonly username?: string;
  readonly admin?: string;
  readonly users?: readonly [string, string];
  readonly ca?: string;
  readonly verify?: 'sign-in' | 'none';
}
