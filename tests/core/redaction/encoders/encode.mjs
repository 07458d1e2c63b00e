// Writes each value as the encoders of Node.js do. In: a value in base64 a line. Out: the name of an encoder and what
// it made, in base64.
import { stringify } from 'node:querystring';
import { readFileSync } from 'node:fs';
import { inspect } from 'node:util';

for (const line of readFileSync(0, 'utf8').trim().split('\n')) {
  const data = Buffer.from(line, 'base64');
  const text = data.toString();
  const lines = Buffer.from(`x${text}yz`)
    .toString('base64')
    .replace(/.{1,24}/g, '$&\n');
  const made = {
    json: JSON.stringify(text),
    'json twice': JSON.stringify(JSON.stringify({ a: text })),
    'json three times': JSON.stringify(JSON.stringify(JSON.stringify(text))),
    'json in a url': encodeURIComponent(JSON.stringify(text)),
    inspect: inspect(text),
    'inspect an object': inspect({ config: { deeper: { value: text } } }, { breakLength: 20 }),
    'inspect lines of base64': inspect({ lines }),
    'base64 in json': JSON.stringify(lines),
    'base64 in a url': encodeURIComponent(data.toString('base64')),
    buffer: inspect(data),
    'buffer as json': JSON.stringify(data),
    'array of bytes': inspect(Uint8Array.from(data), { maxArrayLength: null }),
    uri: encodeURI(text),
    'uri component': encodeURIComponent(text),
    'lower case': encodeURIComponent(text).replace(/%../g, (hex) => hex.toLowerCase()),
    escape: escape(text),
    query: stringify({ a: text }),
    form: new URLSearchParams({ a: text }).toString(),
    url: Object.assign(new URL('pg://app@db/'), { password: text }).href,
  };
  for (const [name, encoded] of Object.entries(made))
    process.stdout.write(`${name}\t${Buffer.from(encoded).toString('base64')}\n`);
}
