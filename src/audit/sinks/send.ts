/** Opens the sender of a sink by its kind. Loads only that kind's code. */
import type { Sender, SinkContext } from './sender.ts';
import type { Sink } from './settings.ts';

/** @throws SecretsError if something that it needs isn't available */
export async function openSender(sink: Sink, context: SinkContext): Promise<Sender> {
  const { given, file } = sink;
  switch (given.type) {
    case 'syslog':
      return (await import('./syslog.ts')).openSyslog(given, file);
    case 'otlp':
      return (await import('./otlp.ts')).openOtlp(given, file, context);
    case 'webhook':
      return (await import('./webhook.ts')).openWebhook(given, file, context);
  }
}
