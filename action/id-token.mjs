// Asks GitHub for the job's OpenID Connect token, masks it, and writes it to a private file.
import { writeFileSync } from 'node:fs';

const [audience = '', file = ''] = process.argv.slice(2);
const { ACTIONS_ID_TOKEN_REQUEST_URL: url, ACTIONS_ID_TOKEN_REQUEST_TOKEN: bearer } = process.env;

function fail(why) {
  process.stdout.write(`::error::no OpenID Connect token: ${why}\n`);
  process.exit(4);
}

if (!url || !bearer) fail('the job needs permissions: id-token: write');
let answer;
try {
  answer = await fetch(`${url}&audience=${encodeURIComponent(audience)}`, {
    headers: { authorization: `bearer ${bearer}` },
    redirect: 'error',
    signal: AbortSignal.timeout(30_000),
  });
} catch {
  fail('GitHub can’t be reached');
}
if (!answer.ok) fail(`GitHub answered ${answer.status}`);
const { value } = await answer.json().catch(() => ({}));
if (typeof value !== 'string' || !/^[\w-]+(?:\.[\w-]+){2}$/.test(value)) fail('GitHub’s answer has none');
process.stdout.write(`::add-mask::${value}\n`);
writeFileSync(file, value, { mode: 0o600, flag: 'wx' });
