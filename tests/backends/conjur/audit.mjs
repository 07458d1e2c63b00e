/**
 * Conjur's audit lines, as its own description of them has them:
 * https://github.com/cyberark/conjur/blob/master/docs/audit.md, with the `fetch`, `update`, `check`, `list`, `resource` and
 * `policy` events of its source.
 */
import { randomUUID } from 'node:crypto';

const escape = (value) => String(value).replaceAll(/["\\\]]/g, '\\$&');
const element = (name, parameters) =>
  `[${name}@43868${Object.entries(parameters)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}="${escape(value)}"`)
    .join('')}]`;

export class AuditLines {
  #lines = [];

  constructor(now) {
    this.now = now;
  }

  add({ type, user, operation, subject, ok, why }) {
    // authpriv (10), and auth (4) for policies; info, notice and warning.
    const facility = type === 'policy' ? 4 : 10;
    const severity = ok ? (type === 'policy' ? 5 : 6) : 4;
    const action = type === 'policy' ? { operation } : { result: ok ? 'success' : 'failure', operation };
    const data = [
      element('auth', { user }),
      element('subject', subject),
      element('client', { ip: '127.0.0.1' }),
      element('action', action),
    ];
    const text = ok ? `${user} did ${operation}` : `${user} tried to ${operation}: ${why}`;
    this.#lines.push(
      `<${facility * 8 + severity}>1 ${this.now().toISOString()} conjur.test conjur ${randomUUID()} ${type} ${data.join('')} ${text}`,
    );
  }

  text() {
    return this.#lines.map((line) => `${line}\n`).join('');
  }
}
