/**
 * A double of AWS CloudTrail's LookupEvents, in front of moto: what passes on its way to Secrets Manager becomes an
 * event, in the shape of the sample entries in AWS's documentation; other events can be put in. Written from the
 * API's reference and kept apart from the adapter. ../README.md says what it can't show.
 */
import { randomUUID } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo } from 'node:net';

const TARGET = 'CloudTrail_20131101.LookupEvents';
const DAY = 86_400_000;
/** Of these CloudTrail shows that they were there, and not what they were. */
const HIDDEN = ['secretString', 'secretBinary'];

export type EventRecord = Readonly<Record<string, unknown>>;

export interface Trail {
  /** Secrets Manager and CloudTrail, and whatever else moto serves. */
  readonly url: string;
  readonly account: string;
  /** The events, oldest first. */
  readonly events: EventRecord[];
  /** Lookups so far: the time of each, and whether it was throttled. */
  readonly lookups: { readonly at: number; readonly throttled: boolean }[];
  /** Access keys that may not look events up. */
  readonly denied: Set<string>;
  /** Puts in an event, completed to the form of AWS's samples. */
  add(event: EventRecord): void;
  stop(): Promise<void>;
}

interface Refusal {
  readonly type: string;
  readonly message: string;
}

const refuse = (type: string, message: string): never => {
  throw { type, message } satisfies Refusal;
};

export async function startTrail(
  moto: { readonly url: string },
  options: { readonly region?: string; readonly principals?: ReadonlyMap<string, string> } = {},
): Promise<Trail> {
  const { region = 'eu-west-1', principals = new Map<string, string>() } = options;
  const account = '123456789012';
  const events: EventRecord[] = [];
  const lookups: Trail['lookups'] = [];
  const denied = new Set<string>();

  const add = (event: EventRecord): void => {
    events.push({
      eventVersion: '1.11',
      userIdentity: {
        type: 'IAMUser',
        principalId: 'AIDAEXAMPLE',
        arn: `arn:aws:iam::${account}:user/ann`,
        accountId: account,
        accessKeyId: 'AKIAEXAMPLE',
        userName: 'ann',
      },
      eventTime: new Date().toISOString().replace(/\.\d+/, ''),
      eventSource: 'secretsmanager.amazonaws.com',
      eventName: 'GetSecretValue',
      awsRegion: region,
      sourceIPAddress: '192.0.2.10',
      userAgent: 'aws-cli/2.15.0',
      requestParameters: null,
      responseElements: null,
      requestID: randomUUID(),
      eventID: randomUUID(),
      readOnly: true,
      eventType: 'AwsApiCall',
      managementEvent: true,
      recipientAccountId: account,
      eventCategory: 'Management',
      ...event,
    });
  };

  /** Who signed; only the form of the signature is looked at. */
  const signer = (headers: http.IncomingHttpHeaders, service: string): string => {
    const [, key, scope] =
      /^AWS4-HMAC-SHA256 Credential=([^/]+)\/\d{8}\/([^,]+), ?SignedHeaders=[^,]*host[^,]*, ?Signature=[0-9a-f]{64}$/.exec(
        headers.authorization ?? '',
      ) ?? [];
    if (key === undefined || headers['x-amz-date'] === undefined)
      return refuse('MissingAuthenticationTokenException', 'Missing Authentication Token');
    if (scope !== `${region}/${service}/aws4_request`)
      return refuse(
        'InvalidSignatureException',
        'Credential should be scoped to a valid region and service.',
      );
    return key;
  };

  const lookUp = (body: string, headers: http.IncomingHttpHeaders): object => {
    const key = signer(headers, 'cloudtrail');
    const now = Date.now();
    // A second, less what the way of a request may take longer for one than for the next.
    const recent = lookups.filter(({ at, throttled }) => !throttled && now - at < 800).length;
    lookups.push({ at: now, throttled: recent >= 2 });
    if (recent >= 2) refuse('ThrottlingException', 'Rate exceeded');
    if (denied.has(key))
      refuse(
        'AccessDeniedException',
        `User: ${principals.get(key) ?? key} is not authorized to perform: cloudtrail:LookupEvents because no identity-based policy allows the cloudtrail:LookupEvents action`,
      );
    const asked = JSON.parse(body) as {
      LookupAttributes?: { AttributeKey: string; AttributeValue: string }[];
      StartTime?: number;
      EndTime?: number;
      MaxResults?: number;
      NextToken?: string;
    };
    const { LookupAttributes: attributes = [], MaxResults: size = 50, NextToken: token, ...times } = asked;
    if (attributes.length > 1) refuse('InvalidLookupAttributesException', 'Only one attribute is allowed.');
    if (!Number.isInteger(size) || size < 1 || size > 50)
      refuse('InvalidMaxResultsException', 'MaxResults must be from 1 to 50.');
    const start = Math.max((times.StartTime ?? 0) * 1000, now - 90 * DAY);
    const end = (times.EndTime ?? now / 1000) * 1000;
    if (times.StartTime !== undefined && times.StartTime * 1000 > end)
      refuse('InvalidTimeRangeException', 'The start time is after the end time.');
    const [attribute] = attributes;
    const fields: Readonly<Record<string, string>> = { EventSource: 'eventSource', EventName: 'eventName' };
    const field = attribute === undefined ? undefined : fields[attribute.AttributeKey];
    if (attribute !== undefined && field === undefined)
      refuse('InvalidLookupAttributesException', 'This double knows EventSource and EventName.');
    const found = events
      .filter((event) => {
        const at = Date.parse(String(event['eventTime']));
        return (
          at >= start && at <= end && (field === undefined || event[field] === attribute?.AttributeValue)
        );
      })
      .toSorted((a, b) => Date.parse(String(b['eventTime'])) - Date.parse(String(a['eventTime'])));
    // A token belongs to one query.
    const query = JSON.stringify([attributes, times]);
    let from = 0;
    if (token !== undefined) {
      const [at, of] = JSON.parse(Buffer.from(token, 'base64').toString()) as [number, string];
      if (of !== query) refuse('InvalidNextTokenException', 'The token belongs to another request.');
      from = at;
    }
    const next = from + size;
    return {
      Events: found.slice(from, next).map((event) => ({
        EventId: event['eventID'],
        EventName: event['eventName'],
        ReadOnly: String(event['readOnly']),
        EventTime: Date.parse(String(event['eventTime'])) / 1000,
        EventSource: event['eventSource'],
        Resources: [],
        CloudTrailEvent: JSON.stringify(event),
      })),
      ...(next < found.length && {
        NextToken: Buffer.from(JSON.stringify([next, query])).toString('base64'),
      }),
    };
  };

  /** What CloudTrail notes of a call. A batch has an event for itself, and one for each secret it gave. */
  const note = (
    request: http.IncomingMessage,
    body: string,
    answer: { status: number; id: string; body: string },
  ): void => {
    const [, action = ''] = /^secretsmanager\.(\w+)$/.exec(String(request.headers['x-amz-target'])) ?? [];
    const [, key = ''] = /Credential=([^/]+)/.exec(request.headers.authorization ?? '') ?? [];
    const arn = principals.get(key) ?? `arn:aws:iam::${account}:user/${key}`;
    const parameters = lowerCamel(JSON.parse(body || '{}') as EventRecord);
    for (const field of HIDDEN) if (field in parameters) parameters[field] = 'HIDDEN_DUE_TO_SECURITY_REASONS';
    const result = JSON.parse(answer.body || '{}') as Record<string, unknown>;
    const type = String(result['__type'] ?? '').replace(/^.*#/, '');
    const isRead = /^(Get|Batch|List|Describe)/.test(action);
    const common = {
      userIdentity: {
        type: 'IAMUser',
        principalId: 'AIDAEXAMPLE',
        arn,
        accountId: account,
        accessKeyId: key,
      },
      sourceIPAddress: '127.0.0.1',
      userAgent: request.headers['user-agent'],
      requestID: answer.id,
      readOnly: isRead,
    };
    add({
      ...common,
      eventName: action,
      requestParameters: parameters,
      responseElements: isRead || answer.status !== 200 ? null : lowerCamel(result),
      ...(answer.status !== 200 && {
        errorCode: type.replace(/^AccessDeniedException$/, 'AccessDenied'),
        errorMessage: result['message'] ?? result['Message'],
      }),
    });
    if (action !== 'BatchGetSecretValue' || answer.status !== 200) return;
    for (const value of (result['SecretValues'] ?? []) as { ARN: string }[])
      add({ ...common, eventName: 'GetSecretValue', requestParameters: { secretId: value.ARN } });
  };

  const serve = async (request: http.IncomingMessage, response: http.ServerResponse): Promise<void> => {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const body = Buffer.concat(pieces);
    const target = String(request.headers['x-amz-target'] ?? '');
    if (target.endsWith(TARGET)) {
      let status = 200;
      let answer: object;
      try {
        answer = lookUp(body.toString(), request.headers);
      } catch (thrown) {
        const { type, message } = thrown as Refusal;
        if (type === undefined) throw thrown;
        status = 400;
        answer = { __type: type, message };
      }
      response.writeHead(status, {
        'content-type': 'application/x-amz-json-1.1',
        'x-amzn-requestid': randomUUID(),
      });
      response.end(JSON.stringify(answer));
      return;
    }
    const { method = 'GET', url = '/', headers } = request;
    const { hostname, port } = new URL(moto.url);
    const sent = http.request({ hostname, port, method, path: url, headers }, (passed) => {
      const parts: Buffer[] = [];
      passed.on('data', (part: Buffer) => parts.push(part));
      passed.on('end', () => {
        const text = Buffer.concat(parts);
        const id = String(passed.headers['x-amzn-requestid'] ?? randomUUID());
        if (target.startsWith('secretsmanager.'))
          note(request, body.toString(), { status: passed.statusCode ?? 0, id, body: text.toString() });
        response.writeHead(passed.statusCode ?? 502, passed.headers).end(text);
      });
    });
    sent.on('error', () => request.socket.destroy());
    sent.end(body);
  };
  const server = http.createServer((request, response) => {
    serve(request, response).catch(() => request.socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    account,
    events,
    lookups,
    denied,
    add,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** CloudTrail writes the first letter of a parameter small, `ARN` as `arn`. */
function lowerCamel(fields: EventRecord): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name === 'ARN' ? 'arn' : `${name.charAt(0).toLowerCase()}${name.slice(1)}`,
      value,
    ]),
  );
}
