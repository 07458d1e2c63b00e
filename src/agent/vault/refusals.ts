/**
 * Requests that no client of ours makes. A web page in a browser on this machine can send requests to a loopback
 * address too, and with a name that it points there (DNS rebinding) it can read the answers; a proxy in front would let
 * in other machines. None of them gets past this, with or without a token.
 */
import type { IncomingHttpHeaders } from 'node:http';

const LOOPBACK_HOST = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i;

/** Says that somebody passes requests on. */
const FORWARDED = /^(?:forwarded|via|x-forwarded-.*|x-real-ip|x-original-.*)$/;

/** Why a request is refused, or undefined. */
export function refusal(
  headers: IncomingHttpHeaders,
  rawHeaders: readonly string[],
  isSocket: boolean,
): string | undefined {
  let [hosts, tokens, isForwarded] = [0, 0, false];
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] as string).toLowerCase();
    if (name === 'host') hosts += 1;
    else if (name === 'x-vault-token') tokens += 1;
    else isForwarded ||= FORWARDED.test(name);
  }
  if (hosts > 1) return 'more than one Host header';
  if (tokens > 1) return 'more than one token';
  // No web page reaches a Unix socket.
  if (!isSocket && !LOOPBACK_HOST.test(headers.host ?? ''))
    return 'the Host header is not a loopback address: use 127.0.0.1 or localhost';
  if (headers.origin !== undefined) return 'requests of web pages are refused: this one has an Origin header';
  const site = headers['sec-fetch-site'];
  if (site !== undefined && site !== 'none') return 'requests of web pages are refused';
  if (isForwarded) return 'forwarded requests are refused: the agent is for programs on this machine';
  return undefined;
}

/** A client's name for its program, for records: printable ASCII, and short. */
export function programOf(userAgent: string | undefined): string | undefined {
  const text = userAgent
    ?.replaceAll(/[^ -~]/g, '')
    .trim()
    .slice(0, 100);
  return text === '' ? undefined : text;
}
