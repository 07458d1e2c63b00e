/** A syslog message of RFC 5424, as far as Conjur's audit uses it. */

export interface SyslogMessage {
  /** As it was written; `undefined` for none. */
  readonly time: string | undefined;
  readonly application: string;
  readonly process: string;
  readonly id: string;
  /** Parameters by SD-ID. One that is given twice has its first value. */
  readonly data: ReadonlyMap<string, ReadonlyMap<string, string>>;
  readonly text: string;
}

/** What stands before a message: nothing, a count of bytes (RFC 6587), or what a collector put there. */
const HEADER = /(?:^|<\d{1,3}>|\s)1 (\S+) (\S+) (\S+) (\S+) (\S+) (?=\[|-)/;
/** RFC 5424, 6.3.3: in values `"`, `\` and `]` are escaped; a `\` before anything else stands for itself. */
const PARAMETER = / +([^=\s"\]]{1,64})="((?:[^"\\\]]|\\[\s\S])*)"/y;
const NONE = '-';

/** @returns `undefined` for what is no such message */
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
