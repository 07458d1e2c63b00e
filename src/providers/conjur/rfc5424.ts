/** Parses syslog messages of RFC 5424, as far as Conjur's audit uses it. */

export interface SyslogMessage {
  /** As written; `undefined` if there is none. */
  readonly time: string | undefined;
  readonly application: string;
  readonly process: string;
  readonly id: string;
  /** Parameters by SD-ID. For a repeated parameter, the first value. */
  readonly data: ReadonlyMap<string, ReadonlyMap<string, string>>;
  readonly text: string;
}

/** The possible prefixes of a message: nothing, a byte count (RFC 6587), or text added by a collector. */
const HEADER = /(?:^|<\d{1,3}>|\s)1 (\S+) (\S+) (\S+) (\S+) (\S+) (?=\[|-)/;
/** RFC 5424, 6.3.3: in values `"`, `\` and `]` are escaped; a `\` before anything else is a literal backslash. */
const PARAMETER = / +([^=\s"\]]{1,64})="((?:[^"\\\]]|\\[\s\S])*)"/y;
const NONE = '-';

/** @returns `undefined` for anything but such a message */
export function parseSyslog(line: string): SyslogMessage | undefined {
  const header = HEADER.exec(line);
  if (header === null) return undefined;
  const [whole, time, , application = '', process = '', id = ''] = header;
  const data = new Map<string, Map<string, string>>();
  let at = header.index + whole.length;
  if (line[at] === NONE) at += 1;
  while (line[at] === '[') {
    const name = /^[^\s="\]]{1,64}/.exec(line.slice(at + 1, at + 65))?.[0];
    if (name === undefined) return undefined;
    at += 1 + name.length;
    const parameters = data.get(name) ?? new Map<string, string>();
    data.set(name, parameters);
    for (;;) {
      PARAMETER.lastIndex = at;
      const found = PARAMETER.exec(line);
      if (found === null) break;
      const [text, key = '', value = ''] = found;
      if (!parameters.has(key)) parameters.set(key, value.replaceAll(/\\(["\\\]])/g, '$1'));
      at += text.length;
    }
    if (line[at] !== ']') return undefined;
    at += 1;
  }
  if (at < line.length && line[at] !== ' ') return undefined;
  return { time: time === NONE ? undefined : time, application, process, id, data, text: line.slice(at + 1) };
}
