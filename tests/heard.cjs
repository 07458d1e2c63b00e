/**
 * Loaded before the program (node --require), for tests/heard.ts: adds a line to the file that HEARD names when the
 * program begins to listen to a signal, when a signal has arrived, and when it reads its stdin.
 */
'use strict';
const { appendFileSync } = require('node:fs');
const { Readable } = require('node:stream');

const file = process.env['HEARD'];
const say = (line) => appendFileSync(file, `${line}\n`);

const { emit } = process;
process.emit = function heard(name, ...rest) {
  // Said before the listeners run, all within this turn of the event loop: whatever the test does now comes after them.
  if (String(name).startsWith('SIG')) say(`got ${name}`);
  const result = emit.call(this, name, ...rest);
  // Node.js has asked for the signal by now.
  if (name === 'newListener' && String(rest[0]).startsWith('SIG')) say(`listens to ${rest[0]}`);
  return result;
};

const { read } = Readable.prototype;
Readable.prototype.read = function heard(...args) {
  const result = read.apply(this, args);
  if (this.fd === 0 && result === null) say('waits for stdin');
  return result;
};
