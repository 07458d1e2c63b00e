/** Messages on the agent's socket, however the stream is cut. */
import fc from 'fast-check';
import { frame, FrameReader } from '../../src/platform/agent/frames.ts';

test('messages arrive whole and in order, wherever the stream is cut', () => {
  fc.assert(
    fc.property(fc.array(fc.jsonValue()), fc.array(fc.nat({ max: 50 })), (messages, cuts) => {
      const reader = new FrameReader(1_000_000);
      let rest: Uint8Array = Buffer.concat(messages.map(frame));
      const found: unknown[] = [];
      for (const cut of [...cuts, rest.length]) {
        found.push(...reader.push(rest.subarray(0, cut)));
        rest = rest.subarray(cut);
      }
      expect(JSON.stringify(found)).toBe(JSON.stringify(messages));
    }),
  );
});

test('a length that is too large is refused before anything is kept', () => {
  const reader = new FrameReader(100);
  expect(() => reader.push(Buffer.from([0xff, 0xff, 0xff, 0xff]))).toThrow('too long');
});

test.each([
  ['no JSON', Buffer.from('{')],
  ['no UTF-8', Buffer.from([0xff, 0xfe])],
])('%s is refused, without what it says', (_what, body) => {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(body.length);
  expect(() => new FrameReader(100).push(Buffer.concat([head, body]))).toThrow(
    /a message is not (JSON|UTF-8)/,
  );
});
