/**
 * Forms of text that contain a password, such as a connection URL. A form knows which characters are the password and
 * replaces only those.
 */
import { SecretsError } from '../errors.ts';

/** One server of a connection. Ports are 1 to 65535. */
export interface Host {
  /** A name, an address without brackets, or the folder of a Unix socket. `undefined`: the client's default. */
  readonly name: string | undefined;
  readonly port: number | undefined;
}

/** The sign-in that a text describes, decoded. */
export interface Connection {
  readonly username: string | undefined;
  readonly password: string;
  /** In order; empty if the text names none. */
  readonly hosts: readonly Host[];
  readonly database: string | undefined;
}

/** A text whose password can be replaced. */
export interface CredentialText extends Connection {
  /** The form's name in messages: "a connection URL". */
  readonly title: string;
  /**
   * The kind of system that the text names, in lower case: `postgresql` in `jdbc:postgresql://…`. `undefined` if it
   * names none.
   */
  readonly system: string | undefined;
  /**
   * The same text with a different password, and a different user name if given. Every other character stays.
   * @throws SecretsError Invalid if the form can't represent the new text, or has no place for a user name
   */
  replace(change: Change): string;
}

export interface Change {
  readonly password: string;
  readonly username?: string | undefined;
}

/** The range of a value in a text, from `start` to before `end`, and how to encode a new value there. */
export interface Slot {
  readonly start: number;
  readonly end: number;
  readonly encode: (value: string) => string;
}

export interface ParsedText extends Connection {
  readonly title: string;
  readonly system: string | undefined;
  readonly passwordAt: Slot;
  readonly usernameAt: Slot | undefined;
}

/** Builds a form from a parser's result. @param parse the parser, which checks what was written */
export function replaceable(
  text: string,
  { passwordAt, usernameAt, ...parsed }: ParsedText,
  parse: (text: string) => ParsedText,
): CredentialText {
  return {
    ...parsed,
    replace: ({ password, username }) => {
      const edits: (readonly [Slot, string])[] = [[passwordAt, password]];
      if (username !== undefined && username !== parsed.username) {
        if (usernameAt === undefined)
          throw new SecretsError('Invalid', `${parsed.title} without a user name has no place for one`, {
            hint: 'write the user name into the secret',
          });
        edits.push([usernameAt, username]);
      }
      const written = spliced(text, edits);
      const wanted = { ...connectionOf(parsed), password, username: username ?? parsed.username };
      if (!says(parse, written, wanted))
        throw new SecretsError('Invalid', `the new value can’t be written into ${parsed.title}`, {
          hint: 'let the policy generate letters and digits: generate: alnum:40',
        });
      return written;
    },
  };
}

function spliced(text: string, edits: readonly (readonly [Slot, string])[]): string {
  return edits
    .toSorted(([one], [other]) => other.start - one.start)
    .reduce(
      (rest, [{ start, end, encode }, value]) => rest.slice(0, start) + encode(value) + rest.slice(end),
      text,
    );
}

function says(parse: (text: string) => ParsedText, written: string, wanted: Connection): boolean {
  try {
    return JSON.stringify(connectionOf(parse(written))) === JSON.stringify(wanted);
  } catch {
    return false;
  }
}

function connectionOf({ username, password, hosts, database }: Connection): Connection {
  return { username, password, hosts, database };
}

/** The error for a text that looks like this form but can't be read in exactly one way. */
export function notUnderstood(title: string, why: string): SecretsError {
  return new SecretsError('Invalid', `the value looks like ${title}, but ${why}`, {
    hint: 'correct the value, or keep the password under a key of its own in a JSON secret',
  });
}

/** @returns a port, or `undefined` for an empty text. @throws SecretsError Invalid */
export function portOf(text: string, title: string): number | undefined {
  if (text === '') return undefined;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) throw notUnderstood(title, 'a port is not a port number');
  return port;
}

/** Characters that need no escaping in any form: the unreserved ones of RFC 3986 §2.3. */
export const UNRESERVED = /^[\w.~-]*$/;
