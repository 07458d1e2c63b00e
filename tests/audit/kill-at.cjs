/**
 * Loaded before a writer (node --require): ends it with SIGKILL at one of the moments at which it changes the file
 * system. KILL_AT is `N before`, `N after` or `N half`: the Nth change is not made any more, is made and nothing after
 * it, or, for a write, is made by half. KILL_LOG gets how many there were.
 */
'use strict';
const fs = require('node:fs');

const [number, when] = (process.env['KILL_AT'] ?? '0 never').split(' ');
const at = Number(number);
let count = 0;

const die = () => {
  process.kill(process.pid, 'SIGKILL');
  // The signal is on its way.
  for (;;);
};

for (const name of [
  'writeSync',
  'ftruncateSync',
  'renameSync',
  'linkSync',
  'symlinkSync',
  'unlinkSync',
  'mkdirSync',
]) {
  const original = fs[name];
  fs[name] = function act(...args) {
    count += 1;
    const mine = count;
    if (mine === at && when === 'before') die();
    if (mine === at && when === 'half' && name === 'writeSync') {
      const bytes = Buffer.from(args[1]);
      // A text has its position before its encoding, bytes behind their length.
      const position = typeof args[1] === 'string' ? args[2] : args[4];
      original(args[0], bytes, 0, bytes.length >> 1, position ?? null);
      die();
    }
    const result = original.apply(this, args);
    if (mine === at && when !== 'before') die();
    return result;
  };
}
process.on('exit', () => {
  if (process.env['KILL_LOG'] !== undefined) fs.writeFileSync(process.env['KILL_LOG'], String(count));
});
