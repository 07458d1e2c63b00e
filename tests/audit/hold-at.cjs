/**
 * Loaded before a writer (node --require): holds it up at a moment at which it changes the file system, until its test
 * lets it go on. HOLD_AT is `N`, before the Nth change, or `locked`, as soon as it has the lock. HOLD is the beginning
 * of the names of two files: `HOLD.held` says that it waits, and `HOLD.go` lets it go on.
 */
'use strict';
const fs = require('node:fs');

const { HOLD_AT, HOLD } = process.env;
let count = 0;

const hold = () => {
  fs.closeSync(fs.openSync(`${HOLD}.held`, 'w'));
  const cell = new Int32Array(new SharedArrayBuffer(4));
  while (!fs.existsSync(`${HOLD}.go`)) {
    // Its test has ended, and taken the folder along.
    if (!fs.existsSync(`${HOLD}.held`)) process.exit(1);
    Atomics.wait(cell, 0, 0, 5);
  }
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
    if (String(count) === HOLD_AT) hold();
    const result = original.apply(this, args);
    if (HOLD_AT === 'locked' && name === 'symlinkSync' && String(args[1]).endsWith('.lock')) hold();
    return result;
  };
}
