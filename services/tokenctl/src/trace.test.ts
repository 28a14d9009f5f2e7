import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createSystemClock } from '@token-broker/foundation';
import { encode } from '@token-broker/protocol';
import { VirtualClock } from '@token-broker/testing';
import { describe, expect, it } from 'vitest';
import { LOGIN, runOn, STATUS } from './fakes/run.js';
import { openHttpDoor } from './http-door.js';

const TRACEPARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

describe('TRACEPARENT in the environment', () => {
  it.each([
    [{ TRACEPARENT }, { traceparent: TRACEPARENT }],
    [
      { TRACEPARENT, TRACESTATE: 'vendor=1' },
      { traceparent: TRACEPARENT, tracestate: 'vendor=1' },
    ],
    [{ TRACEPARENT: 'nonsense' }, undefined],
    [{ TRACEPARENT: '' }, undefined],
    [{ TRACESTATE: 'vendor=1' }, undefined],
    [{ TRACEPARENT: `${TRACEPARENT}\r\nauthorization: x` }, undefined],
    [{}, undefined],
  ])('is the trace of the requests, where it is well formed: %j', async (env, trace) => {
    const overNats = await runOn(new VirtualClock(), ['status'], { env: { ...LOGIN, ...env } });
    expect(overNats.settings?.trace).toEqual(trace);
    const url = { TOKENCTL_URL: 'https://broker-1.example.com', TOKENCTL_TOKEN: 'a-token' };
    const overHttp = await runOn(new VirtualClock(), ['status'], { env: { ...url, ...env } });
    expect(overHttp.httpSettings?.trace).toEqual(trace);
  });

  it('is a header of requests over HTTP', async () => {
    const seen: IncomingHttpHeaders[] = [];
    const server = createServer((request, response) => {
      seen.push(request.headers);
      response.end(encode(STATUS));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const settings = { url: `http://127.0.0.1:${String(port)}`, timeoutMs: 5_000 };
    for (const trace of [{ traceparent: TRACEPARENT, tracestate: 'vendor=1' }, undefined]) {
      const door = openHttpDoor({ ...settings, ...(trace === undefined ? {} : { trace }) }, createSystemClock());
      await door.operator.status();
      await door.close();
    }
    expect(seen[0]).toMatchObject({ traceparent: TRACEPARENT, tracestate: 'vendor=1' });
    expect(seen[1]).not.toHaveProperty('traceparent');
    server.close();
  });
});
