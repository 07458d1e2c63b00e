/** Which addresses may be sent to: TLS everywhere but on this machine, and no credentials in what a file says. */
import { isLoopback } from './authority.ts';

/** What is wrong with the URL of a receiver, and what to do; undefined when it may be used. */
export function urlProblem(
  url: string,
): { readonly what: 'none' | 'credentials' | 'plain'; readonly message: string } | undefined {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || !/^https?:$/.test(parsed.protocol) || parsed.hash !== '')
    return { what: 'none', message: 'is no http URL' };
  if (parsed.username !== '' || parsed.password !== '')
    return { what: 'credentials', message: 'holds a user name or a password' };
  if (parsed.protocol !== 'https:' && !isLoopback(parsed.hostname))
    return { what: 'plain', message: 'must be https: plain http is for loopback addresses only' };
  return undefined;
}
