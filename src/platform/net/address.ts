/** Which addresses may be sent to: TLS everywhere but on this machine, and no credentials in what a file says. */

/** Where nobody but this machine can listen, so that plain text is allowed. */
export function isLoopback(host: string): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|::1|\[::1\])$/i.test(host);
}

/** Whether nobody can read on the way what is sent there: https, or http that stays on this machine. */
export function isProtected({ protocol, hostname }: URL): boolean {
  return protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname));
}

/** What is wrong with the URL of a receiver, and what to do; undefined when it may be used. */
export function urlProblem(
  url: string,
): { readonly what: 'none' | 'credentials' | 'plain'; readonly message: string } | undefined {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || !/^https?:$/.test(parsed.protocol) || parsed.hash !== '')
    return { what: 'none', message: 'is no http URL' };
  if (parsed.username !== '' || parsed.password !== '')
    return { what: 'credentials', message: 'holds a user name or a password' };
  if (!isProtected(parsed))
    return { what: 'plain', message: 'must be https: plain http is for loopback addresses only' };
  return undefined;
}
