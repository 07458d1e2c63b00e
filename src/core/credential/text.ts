/**
 * The forms in which a password stands in a text, such as a connection URL. A form knows which characters of the text
 * are the password and replaces those alone.
 */
import { SecretsError } from '../errors.ts';

/** One server of a connection. Ports are numbers of 1 to 65535. */
export interface Host {
  /** A name, an address without brackets, or the folder of a Unix socket. `undefined`: the client's default. */
  readonly name: string | undefined;
  readonly port: number | undefined;
}

/** What a text says of a sign-in, decoded. */
export interface Connection {
  readonly username: string | undefined;
  readonly password: string;
  /** In their order; empty where the text names none. */
  readonly hosts: readonly Host[];
  readonly database: string | undefined;
}

/** A text whose password can be replaced. */
export interface CredentialText extends Connection {
  /** What the form is called in messages: "a connection URL". */
  readonly title: string;
  /**
   * The kind of system that the text itself names: `postgresql` of `jdbc:postgresql://…`, in lower case. `undefined`
   * where it names none.
   */
  readonly system: string | undefined;
  /**
   * The same text with another password, and with another user name where one is given. Every other character stays.
   * @throws SecretsError Invalid when the form can't hold the new text, or has no place for a user name
   */
  replace(change: Change): string;
}

export interface Change {
  readonly password: string;
  readonly username?: string | undefined;
}

/** Where a value stands in a text, from `start` up to `end`, and how another one is written there. */
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

/** Makes a form of what a parser found. @param parse the parser, which has the last word on what was written */
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
        throw new SecretsError('Invalid', `the new value does not fit into ${parsed.title}`, {
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

/** A text that looks like this form and can't be read as one in only one way. */
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

/** Characters that mean themselves in every form: the unreserved ones of RFC 3986 §2.3. */
export const UNRESERVED = /^[\w.~-]*$/;
