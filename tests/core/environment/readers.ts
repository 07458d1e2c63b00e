/** Readers of formats whose own programs can't run in these tests, each written from the documentation it names. */

type Variables = Map<string, string>;

/**
 * The runner's file commands (docs.github.com, "Workflow commands", "Setting an environment variable", "Multiline
 * strings"): `NAME<<DELIMITER`, the value's lines, the delimiter alone on a line. On Linux lines end at LF.
 */
export function readGithubEnv(text: string): Variables {
  const variables: Variables = new Map();
  const lines = text.split('\n');
  for (let index = 0; index < lines.length; index += 1) {
    const line = lines[index] as string;
    if (line === '') continue;
    const equals = line.indexOf('=');
    const heredoc = line.indexOf('<<');
    if (equals !== -1 && (heredoc === -1 || equals < heredoc)) {
      variables.set(line.slice(0, equals), line.slice(equals + 1));
      continue;
    }
    if (heredoc === -1) throw new Error(`invalid format: ${line}`);
    const delimiter = line.slice(heredoc + 2);
    const end = lines.indexOf(delimiter, index + 1);
    if (delimiter === '' || end === -1) throw new Error(`matching delimiter not found: ${delimiter}`);
    variables.set(line.slice(0, heredoc), lines.slice(index + 1, end).join('\n'));
    index = end;
  }
  return variables;
}

/**
 * GitLab's dotenv reports (docs.gitlab.com, "CI/CD artifacts reports types", artifacts:reports:dotenv): a variable a
 * line, no empty lines or comments, quotes kept, white space around names and values dropped.
 */
export function readGitlabReport(text: string): Variables {
  const variables: Variables = new Map();
  for (const line of text.split('\n').slice(0, -1)) {
    const match = /^(.*?)=(.*)$/su.exec(line);
    const [, name = '', value = ''] = match ?? [];
    if (match === null || !/^[A-Za-z0-9_]+$/.test(name.trim())) throw new Error(`invalid format: ${line}`);
    variables.set(name.trim(), value.trim());
  }
  return variables;
}

/**
 * HCL native syntax specification, "Template Expressions" and "Quoted templates": escapes \n \r \t \" \\ \uNNNN
 * \UNNNNNNNN; `$${` and `%%{` are literal, `${` and `%{` start an interpolation, a raw line break is an error.
 */
export function readHcl(text: string): Variables {
  const variables: Variables = new Map();
  let at = 0;
  const take = (pattern: RegExp): string => {
    const match = new RegExp(pattern.source, `${pattern.flags}y`);
    match.lastIndex = at;
    const found = match.exec(text);
    if (found === null) throw new Error(`expected ${pattern} at ${JSON.stringify(text.slice(at, at + 40))}`);
    at += found[0].length;
    return found[0];
  };
  const peek = (part: string): boolean => text.startsWith(part, at);
  const simple: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', '"': '"', '\\': '\\' };
  while (at < text.length) {
    const name = take(/[A-Za-z_][A-Za-z0-9_-]*/);
    take(/ *= *"/);
    let value = '';
    while (!peek('"')) {
      if (peek('$${') || peek('%%{')) value += take(/\$\$\{|%%\{/).slice(1);
      else if (peek('${') || peek('%{')) throw new Error('an interpolation');
      else if (peek('\\u'))
        value += String.fromCodePoint(Number.parseInt(take(/\\u[0-9a-f]{4}/i).slice(2), 16));
      else if (peek('\\')) value += simple[take(/\\[nrt"\\]/)[1] as string];
      else value += take(/[^"\\\n\r]/u);
    }
    take(/"\n/);
    variables.set(name, value);
  }
  return variables;
}

/**
 * PowerShell: about_Quoting_Rules ("single-quoted strings": literal; two single quotes make one) and the language
 * specification §2.3.5.2, by which U+2018 to U+201B count as single quotes too.
 */
export function readPowerShell(text: string): Variables {
  const variables: Variables = new Map();
  const quote = /['\u2018-\u201b]/;
  let at = 0;
  while (at < text.length) {
    const head = /^\$env:([A-Za-z0-9_]+) = (?=')/.exec(text.slice(at, at + 100));
    if (head === null) throw new Error(`no assignment at ${JSON.stringify(text.slice(at, at + 40))}`);
    at += head[0].length + 1;
    let value = '';
    for (;;) {
      const char = text[at];
      if (char === undefined) throw new Error('the string has no end');
      if (quote.test(char)) {
        if (!quote.test(text[at + 1] ?? '')) break;
        at += 1;
      }
      value += char;
      at += 1;
    }
    if (text[at + 1] !== '\n') throw new Error('something follows the string');
    at += 2;
    variables.set(head[1] as string, value);
  }
  return variables;
}

/** fish: "Quotes" in its language documentation: in single quotes only \' and \\ are escapes. */
export function readFish(text: string): Variables {
  const variables: Variables = new Map();
  const pattern = /set -gx ([A-Za-z0-9_]+) '((?:\\[^]|[^'\\])*)'\n/y;
  while (pattern.lastIndex < text.length) {
    const from = pattern.lastIndex;
    const match = pattern.exec(text);
    if (match === null) throw new Error(`no assignment at ${JSON.stringify(text.slice(from, from + 40))}`);
    variables.set(match[1] as string, (match[2] as string).replace(/\\(['\\])/g, '$1'));
  }
  return variables;
}
