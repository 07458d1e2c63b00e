/** The user's and the machine's name according to the system, never the environment, where anybody can claim any name. */
import { hostname, userInfo } from 'node:os';

export function hostName(): string {
  return hostname();
}

export function systemUser(): string | undefined {
  try {
    return userInfo().username;
  } catch {
    // A container may run as a numeric user without a name.
    return undefined;
  }
}
