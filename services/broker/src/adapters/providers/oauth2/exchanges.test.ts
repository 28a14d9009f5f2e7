import { VirtualClock } from '@token-broker/testing';
import { describe, expect, it } from 'vitest';
import { ExchangeError, MAX_REPLY_BYTES, type HttpFetch, type HttpReply } from '../http/exchange.js';
import { Exchanges } from './exchanges.js';

const GET = { method: 'GET', headers: {} };
const URL_ASKED = 'https://idp.invalid/token';

function exchangesOf(fetch: HttpFetch, clock = new VirtualClock()): Exchanges {
  return new Exchanges(fetch, clock, 1_000);
}

function reply(body: Iterable<Uint8Array>, settings: Partial<Omit<HttpReply, 'body'>> = {}): HttpReply {
  return {
    status: 200,
    headers: new Headers(),
    ...settings,
    body: (async function* () {
      yield* body;
    })(),
  };
}

async function failureOf(fetch: HttpFetch): Promise<ExchangeError> {
  const exchanges = exchangesOf(fetch);
  await expect(exchanges.request(URL_ASKED, GET)).rejects.toBeInstanceOf(ExchangeError);
  exchanges.close();
  if (exchanges.failure === undefined) throw new Error('no failure was kept');
  expect(exchanges.last).toBeUndefined();
  return exchanges.failure;
}

describe('Exchanges', () => {
  it('reads a reply to its end, over the borders of chunks, without a byte order mark', async () => {
    const text = '\ufeff{"a":"é"}';
    const exchanges = exchangesOf(async () => reply([...Buffer.from(text)].map((byte) => Uint8Array.of(byte))));
    expect(await (await exchanges.request(URL_ASKED, GET)).json()).toEqual({ a: 'é' });
    expect(exchanges.last).toMatchObject({ status: 200, text: '{"a":"é"}' });
    exchanges.close();
  });

  it('takes a reply of the largest size, and stops reading where it is larger', async () => {
    const chunk = new Uint8Array(MAX_REPLY_BYTES / 4).fill(0x20);
    const exchanges = exchangesOf(async () => reply([chunk, chunk, chunk, chunk]));
    expect((await exchanges.request(URL_ASKED, GET)).status).toBe(200);
    exchanges.close();

    let read = 0;
    const endless = function* () {
      for (;;) {
        read += 1;
        yield chunk;
      }
    };
    expect(await failureOf(async () => reply(endless()))).toMatchObject({ why: 'too-large' });
    expect(read).toBe(5);
  });

  it('tells where a redirect points, without what its query repeats', async () => {
    const headers = new Headers({ location: 'https://idp.invalid/moved?client_secret=abc#def' });
    const failure = await failureOf(async () => reply([], { status: 308, headers }));
    expect(failure).toMatchObject({ why: 'redirect', message: 'status 308, location: https://idp.invalid/moved' });
  });

  it('lets go of a reply that it does not read', async () => {
    let given: AbortSignal | undefined;
    await failureOf(async (_, { signal }) => {
      given = signal;
      return reply([], { status: 302 });
    });
    expect(given?.aborted).toBe(true);
  });

  it('names the reason behind "fetch failed", also of several addresses', async () => {
    const one = new TypeError('fetch failed', { cause: new Error('connect ECONNREFUSED ::1:1') });
    expect((await failureOf(() => Promise.reject(one))).message).toBe('connect ECONNREFUSED ::1:1');
    const addresses = [new Error('connect ECONNREFUSED ::1:1'), new Error('connect ECONNREFUSED 127.0.0.1:1')];
    const several = new TypeError('fetch failed', { cause: new AggregateError(addresses) });
    expect(await failureOf(() => Promise.reject(several))).toMatchObject({
      why: 'network',
      message: 'connect ECONNREFUSED ::1:1; connect ECONNREFUSED 127.0.0.1:1',
    });
  });

  it('names a reason whose causes are a circle, or are no errors', async () => {
    const circle = new Error('round and round');
    circle.cause = circle;
    expect((await failureOf(() => Promise.reject(circle))).message).toBe('round and round');
    const odd = new Error('the reason', { cause: { code: 7 } });
    expect((await failureOf(() => Promise.reject(odd))).message).toBe('the reason');
  });

  it('sends nothing when its time is over', async () => {
    const clock = new VirtualClock();
    let sent = 0;
    const exchanges = exchangesOf(async () => {
      sent += 1;
      return reply([]);
    }, clock);
    await clock.advance(1_000);
    await expect(exchanges.request(URL_ASKED, GET)).rejects.toMatchObject({ why: 'timeout' });
    expect(sent).toBe(0);
  });

  it('takes a status that no Response can have for a failure of the network', async () => {
    expect(await failureOf(async () => reply([], { status: 999 }))).toMatchObject({ why: 'network' });
  });
});
