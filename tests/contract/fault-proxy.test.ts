import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { type KeyPair, makeCertificate } from '../backends/tls.ts';
import { type Fault, type FaultProxy, startFaultProxy } from './fault-proxy.ts';

interface Got {
  readonly status: number;
  readonly body: string;
}

describe.each(['http', 'https'])('the proxy of faults over %s', (scheme) => {
  let pair: KeyPair | undefined;
  let server: http.Server;
  let proxy: FaultProxy;
  let acted = 0;

  /** A request of a client that trusts the proxy's certificate; rejects for a broken connection. */
  const send = (body: string, timeout = 20_000): Promise<Got> =>
    new Promise((resolve, reject) => {
      const { request } = scheme === 'https' ? https : http;
      const sent = request(
        `${proxy.url}/a%20b?c=d`,
        {
          method: 'POST',
          agent: false,
          signal: AbortSignal.timeout(timeout),
          headers: { 'x-mine': 'kept' },
          ...(pair !== undefined && { ca: pair.cert }),
        },
        (answer) => {
          let text = '';
          answer.on('data', (piece: Buffer) => (text += piece.toString()));
          answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body: text }));
          answer.on('error', reject);
        },
      );
      sent.on('error', reject);
      sent.end(body);
    });

  beforeAll(async () => {
    const answer: http.RequestListener = (request, response) => {
      acted += 1;
      let body = '';
      request.on('data', (piece: Buffer) => (body += piece.toString()));
      request.on('end', () => {
        const { host, 'x-mine': mine } = request.headers;
        response.statusCode = 201;
        response.end(JSON.stringify({ host, mine, url: request.url, body }));
      });
    };
    pair = scheme === 'https' ? makeCertificate() : undefined;
    server = pair === undefined ? http.createServer(answer) : https.createServer(pair, answer);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    proxy = await startFaultProxy({ url: `${scheme}://127.0.0.1:${port}`, tls: pair, ca: pair?.cert });
  });
  afterEach(() => {
    proxy.heal();
    acted = 0;
  });
  afterAll(async () => {
    await proxy.stop();
    await new Promise((resolve) => server.close(resolve));
  });

  test('passes everything on as it came', async () => {
    const { status, body } = await send('text');
    expect(status).toBe(201);
    expect(JSON.parse(body)).toEqual({
      host: new URL(proxy.url).host,
      mine: 'kept',
      url: '/a%20b?c=d',
      body: 'text',
    });
    expect(proxy.requests).toMatchObject([{ method: 'POST', path: '/a%20b?c=d' }]);
  });

  test('lets some pass, then answers so many itself', async () => {
    proxy.fault({ answer: { status: 418, body: 'no' } }, { skip: 1, times: 1 });
    const statuses = [(await send('')).status, (await send('')).status, (await send('')).status];
    expect(statuses).toEqual([201, 418, 201]);
    expect(acted).toBe(2);
    proxy.fault({ answer: { status: 418 }, afterwards: true });
    expect((await send('')).status).toBe(418);
    expect(acted).toBe(3);
  });

  test.each([
    ['reset', 0],
    ['hang', 0],
    ['drip', 0],
    ['stall', 1],
    ['lost', 1],
    ['truncated', 1],
  ] as const satisfies readonly (readonly [Fault, number])[])(
    '%s: no whole answer, and the server acted %i times',
    async (fault, times) => {
      proxy.fault(fault);
      await expect(send('x', 1000)).rejects.toThrow(/abort|reset|hang up|disconnected|closed/i);
      expect(acted).toBe(times);
    },
  );
});
