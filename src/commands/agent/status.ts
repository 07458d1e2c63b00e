import { isJsonObject, type JsonValue } from '../../core/json.ts';
import { printTable } from '../../output/table.ts';
import { agentIdentity } from '../../session/agent-identity.ts';
import type { Session } from '../../session/session.ts';
import { askRunning } from './ask.ts';

type Status = Readonly<Record<string, JsonValue>>;

export async function run(session: Session): Promise<void> {
  const { audit } = await session.config();
  const identity = agentIdentity(session.world, audit);
  const { path, done } = await askRunning(session, { op: 'status', identity });
  const status: Status = { socket: path, ...(isJsonObject(done) ? done : {}) };
  if (session.options.json === true) await session.printJson(status);
  else await printTable(session, ['AGENT', ''], rowsOf(status));
}

function rowsOf(status: Status): readonly (readonly [string, string])[] {
  const limits = isJsonObject(status['limits']) ? status['limits'] : {};
  const doors = Array.isArray(status['doors']) ? status['doors'].filter(isJsonObject) : [];
  const oldest = status['oldestMs'];
  const idle = limits['idleMs'];
  return [
    ['process', textOf(status['pid'])],
    ['version', textOf(status['version'])],
    ['running for', ageOf(status['uptimeMs'])],
    ['answers here', typeof status['refuses'] === 'string' ? `no: ${status['refuses']}` : 'yes'],
    ['values', `${textOf(status['values'])} of ${textOf(limits['maxValues'])}`],
    ['bytes', `${textOf(status['bytes'])} of ${textOf(limits['maxBytes'])}`],
    ['oldest value', typeof oldest === 'number' ? ageOf(oldest) : 'none'],
    ['from memory', `${textOf(status['hits'])} reads`],
    ['from stores', `${textOf(status['misses'])} reads`],
    ['open stores', textOf(status['stores'])],
    ['holds values for', `${ageOf(limits['ttlMs'])}, fresh for ${ageOf(limits['freshMs'])}`],
    ['ends when idle', typeof idle === 'number' ? `after ${ageOf(idle)}` : 'never'],
    ...doors.map((door): readonly [string, string] => [`${textOf(door['name'])} door`, doorText(door)]),
  ];
}

function doorText({ address, ...facts }: Status): string {
  const texts = Object.entries(facts)
    .filter(([fact]) => fact !== 'name')
    .map(([fact, value]) => factText(fact, value));
  return [textOf(address), ...texts].join(', ');
}

/** `1 token`, `token file /path`. */
function factText(fact: string, value: JsonValue): string {
  const words = fact.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  if (typeof value !== 'number') return `${words} ${textOf(value)}`;
  return `${value} ${value === 1 ? words.replace(/s$/, '') : words}`;
}

function textOf(value: JsonValue | undefined): string {
  return typeof value === 'string' ? value : value === undefined ? '' : JSON.stringify(value);
}

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
] as const;

/** `2h 5m`: the two largest units. */
function ageOf(value: JsonValue | undefined): string {
  if (typeof value !== 'number') return '';
  let rest = Math.max(0, value);
  const parts: string[] = [];
  for (const [unit, ms] of UNITS) {
    const count = Math.floor(rest / ms);
    rest -= count * ms;
    if (count > 0) parts.push(`${count}${unit}`);
  }
  return parts.slice(0, 2).join(' ') || '0s';
}
