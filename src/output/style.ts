/** Colour for one stream, depending on the user's options and the stream. */
import type { ChalkInstance } from 'chalk';
import type { Output } from './output.ts';
import type { OutputStream } from '../platform/world.ts';

/**
 * Chalk for that stream: no colour with `--no-color`, with NO_COLOR (https://no-color.org) or into a pipe, unless
 * FORCE_COLOR asks for it.
 */
export async function styleFor(output: Output, stream: OutputStream): Promise<ChalkInstance> {
  const { Chalk } = await import('chalk');
  const { env } = output.world;
  const forced = env['FORCE_COLOR'];
  const refused = output.options.color === false || (env['NO_COLOR'] ?? '') !== '';
  const wanted = forced !== undefined ? forced !== '0' && forced !== 'false' : stream.isTTY === true;
  return new Chalk({ level: wanted && !refused && env['TERM'] !== 'dumb' ? 1 : 0 });
}
