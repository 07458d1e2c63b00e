/** Receivers of notifications about rotations: URLs and programs, from settings and flags. Loads nothing else. */
import type { NotifySetting, ReceiverSetting } from './rotation.ts';
import { SecretsError } from '../core/errors.ts';
import { urlProblem } from '../platform/net/address.ts';
import type { TrustItem } from '../core/trust.ts';

export type Receiver =
  | {
      readonly kind: 'webhook';
      readonly url: string;
      /** Reference of the signing key. */
      readonly secret: string | undefined;
      /** Path of a PEM file. */
      readonly ca: string | undefined;
    }
  | { readonly kind: 'program'; readonly command: readonly string[] };

/** @throws SecretsError Usage for a URL that isn't allowed */
export function receiversOf(setting: NotifySetting): readonly Receiver[] {
  const list = Array.isArray(setting)
    ? (setting as readonly ReceiverSetting[])
    : [setting as ReceiverSetting];
  return list.map((one): Receiver => {
    if (typeof one === 'string')
      return isUrl(one) ? webhook({ url: one }) : { kind: 'program', command: [one] };
    if ('url' in one) return webhook(one);
    return { kind: 'program', command: typeof one.program === 'string' ? [one.program] : one.program };
  });
}

/** @throws SecretsError Usage */
export function checkReceivers(setting: NotifySetting): void {
  receiversOf(setting);
}

/** The trust that these receivers need in a found secrets.yaml. */
export function trustItemsOf(setting: NotifySetting): readonly TrustItem[] {
  const receivers = receiversOf(setting);
  // An empty list needs trust too, because it would silence the receivers in the user's own file.
  if (receivers.length === 0)
    return [
      { setting: '', value: '[]', effect: 'nobody is told of rotations, whoever your own settings name' },
    ];
  return receivers.flatMap((receiver): TrustItem[] => {
    if (receiver.kind === 'program')
      return [
        {
          setting: '',
          value: receiver.command.join(' '),
          effect: 'this program is run after each rotation, and reads what came of it',
        },
      ];
    const { url, secret, ca } = receiver;
    const items = [{ setting: '', value: url, effect: 'what came of each rotation is sent to this server' }];
    if (secret !== undefined)
      items.push({ setting: '', value: secret, effect: 'this secret is read, and signs what is sent there' });
    if (ca !== undefined)
      items.push({
        setting: '',
        value: ca,
        effect: 'servers with certificates of this authority are believed',
      });
    return items;
  });
}

/** The receiver's name in messages. The path and query of a URL may contain credentials, so they aren't shown. */
export function receiverName(receiver: Receiver): string {
  return receiver.kind === 'webhook' ? new URL(receiver.url).origin : (receiver.command[0] ?? '');
}

function isUrl(text: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(text);
}

function webhook({
  url,
  secret,
  ca,
}: {
  readonly url: string;
  readonly secret?: string | undefined;
  readonly ca?: string | undefined;
}): Receiver {
  const problem = urlProblem(url);
  if (problem?.what === 'none')
    throw new SecretsError('Usage', 'notify: a receiver is not an http URL', { hint: 'https://HOST/PATH' });
  if (problem?.what === 'credentials')
    throw new SecretsError('Usage', 'notify: a URL holds a user name or a password', {
      hint: 'let the receiver check the signature: notify: { url: …, secret: REF }',
    });
  if (problem?.what === 'plain')
    throw new SecretsError('Usage', 'notify: the URL must be https', {
      hint: 'plain http is for loopback addresses only',
    });
  return { kind: 'webhook', url, secret, ca };
}
