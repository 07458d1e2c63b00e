/**
 * Loaded before the program (node --require): ends it with SIGKILL at one of the moments at which it acts on the
 * world. KILL_AT is `N before` or `N after`: the Nth write to a socket, or change of a name in the file system,
 * is not made any more, or is made and not heard of. With KILL_SIGNAL=SIGSTOP it is stopped there, and goes on when it
 * is woken. KILL_LOG gets how many there were. With KILL_TEXT only writes to sockets count in which that text stands.
 */
'use strict';
const fs = require('node:fs');
const net = require('node:net');

const [number, when] = (process.env['KILL_AT'] ?? '0 never').split(' ');
const at = Number(number);
let count = 0;

const die = () => {
  if (process.env['KILL_SIGNAL'] === 'SIGSTOP') {
    process.kill(process.pid, 'SIGSTOP');
    return;
  }
  process.kill(process.pid, 'SIGKILL');
  // The signal is on its way.
  for (;;);
};
/** Long enough for a server on this machine to have acted on what it was sent. */
const waitForServer = () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 150);

function around(object, name, applies, settle) {
  const original = object[name];
  object[name] = function act(...args) {
    if (!applies(this, args)) return original.apply(this, args);
    count += 1;
    const mine = count;
    if (mine === at && when === 'before') die();
    const result = original.apply(this, args);
    if (mine === at && when === 'after') {
      settle();
      die();
    }
    return result;
  };
}

const wanted = process.env['KILL_TEXT'];
/** What is written: text, bytes, or several of these together. */
const textOf = (data) =>
  Array.isArray(data) ? data.map(({ chunk }) => String(chunk)).join('') : String(data);

// A write while the socket is still connecting comes here again once it is connected.
around(
  net.Socket.prototype,
  '_writeGeneric',
  (socket, [, data]) =>
    !socket.connecting && !(socket.fd <= 2) && (wanted === undefined || textOf(data).includes(wanted)),
  waitForServer,
);
for (const name of ['linkSync', 'renameSync', 'unlinkSync'])
  around(
    fs,
    name,
    // The audit log has tests of its own for these moments (tests/audit/killed.test.ts).
    (_, [path]) => wanted === undefined && !String(path).includes('/audit/'),
    () => {},
  );
process.on('exit', () => {
  if (process.env['KILL_LOG'] !== undefined) fs.writeFileSync(process.env['KILL_LOG'], String(count));
});
