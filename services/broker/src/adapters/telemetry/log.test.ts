import { Redacted } from '@token-broker/foundation';
import { VirtualClock } from '@token-broker/testing';
import { describe, expect, it } from 'vitest';
import { createLog, type JsonLog, type LogOptions } from './log.js';

type Line = Readonly<Record<string, unknown>>;

function make(options: Partial<LogOptions> = {}): {
  log: JsonLog;
  clock: VirtualClock;
  lines: () => Line[];
  text: () => string;
} {
  const clock = new VirtualClock();
  const written: string[] = [];
  const log = createLog({
    level: 'info',
    clock,
    write: (line) => written.push(line),
    name: 'token-broker',
    ...options,
  });
  return {
    log,
    clock,
    lines: () => written.map((line) => JSON.parse(line) as Line),
    text: () => written.join(''),
  };
}

describe('createLog', () => {
  it('writes one JSON line with level, time of the clock, name, bindings, fields and message', () => {
    const { log, lines, text } = make({ bindings: { broker: 'b1' } });
    log.warn('something happened', { count: 3, list: ['a', 'b'], absent: undefined });
    expect(lines()).toEqual([
      {
        level: 'warn',
        time: '2026-01-01T00:00:00.000Z',
        name: 'token-broker',
        broker: 'b1',
        count: 3,
        list: ['a', 'b'],
        msg: 'something happened',
      },
    ]);
    expect(text().endsWith('}\n')).toBe(true);
  });

  it('leaves out what is below its level, but never a line of another kind', () => {
    const { log, lines } = make({ level: 'error' });
    log.debug('d');
    log.info('i');
    log.warn('w');
    log.error('e');
    log.writeLine('{"audit":1}\n');
    expect(lines().map(({ msg, audit }) => [msg, audit])).toEqual([
      ['e', undefined],
      [undefined, 1],
    ]);
  });

  it('keeps its own keys when a field has the name of one', () => {
    const { log, lines, text } = make();
    log.info('hello', { level: 'fake', audit: true, name: 'payments' });
    expect(lines()[0]).toMatchObject({ level: 'info', level_: 'fake', audit_: true, name_: 'payments' });
    expect(text().match(/"level"/g)).toHaveLength(1);
  });

  it('cuts a text that is too long for a line', () => {
    const { log, text } = make();
    log.info('big', { detail: 'x'.repeat(1_000_000) });
    expect(text().length).toBeLessThan(5_000);
  });
});

describe('the limit of lines', () => {
  it('writes 20 lines of one message in 10 s, then says how many more there were, and starts anew', async () => {
    const { log, clock, lines } = make();
    for (let i = 0; i < 1_000; i += 1) log.error('Redis failed', { i });
    expect(lines()).toHaveLength(20);
    await clock.advance(10_000);
    expect(lines()).toHaveLength(21);
    expect(lines()[20]).toMatchObject({
      level: 'error',
      msg: '980 more like this',
      message: 'Redis failed',
      leftOut: 980,
    });
    log.error('Redis failed');
    expect(lines()).toHaveLength(22);
  });

  it('bounds an outage of a minute at 10,000 failures a second', async () => {
    const { log, clock, lines } = make();
    for (let second = 0; second < 60; second += 1) {
      for (let i = 0; i < 10_000; i += 1) log.warn('NATS failed');
      await clock.advance(1_000);
    }
    await clock.advance(10_000);
    expect(lines().length).toBeLessThanOrEqual(7 * 21);
    const leftOut = lines().reduce((sum, line) => sum + Number(line['leftOut'] ?? 0), 0);
    const written = lines().filter((line) => line['leftOut'] === undefined).length;
    expect(leftOut + written).toBe(600_000);
  });

  it('counts each message for itself', () => {
    const { log, lines } = make();
    for (let i = 0; i < 100; i += 1) {
      log.info('first');
      log.info('second');
    }
    const of = (message: string): number => lines().filter(({ msg }) => msg === message).length;
    expect([of('first'), of('second')]).toEqual([20, 20]);
  });

  it('stays bounded when the messages differ', () => {
    const { log, lines } = make();
    for (let i = 0; i < 5_000; i += 1) log.info(`message ${String(i)}`);
    expect(lines()).toHaveLength(1_020);
  });

  it('leaves no summary and no timer behind where nothing was left out', async () => {
    const { log, clock, lines } = make();
    log.info('once');
    await clock.advance(10_000);
    expect(lines()).toHaveLength(1);
    expect(clock.pendingTimers).toBe(0);
  });

  it('says at the end of the process what was left out', () => {
    const { log, lines } = make();
    for (let i = 0; i < 25; i += 1) log.info('often');
    log.flush();
    log.flush();
    expect(lines().map(({ msg }) => msg)).toEqual([...Array.from({ length: 20 }, () => 'often'), '5 more like this']);
  });
});

describe('the mask of secrets', () => {
  const SECRET = 'c&n=ry "s3cr/t+';

  it.each([
    ['plain', SECRET],
    ['percent-encoded', encodeURIComponent(SECRET)],
    ['form-encoded', new URLSearchParams({ s: SECRET }).toString().slice(2)],
    ['in base64', Buffer.from(SECRET).toString('base64')],
    ['in base64url', Buffer.from(SECRET).toString('base64url')],
  ])('hides a registered secret %s, in messages, fields, lists, bindings and texts of others', (_, shown) => {
    const { log, lines, text } = make({ bindings: { origin: `x${shown}y` } });
    log.registerSecret(new Redacted(SECRET));
    log.info(`failed with ${shown}!`, { detail: `a ${shown} b`, list: [shown] });
    log.writeLine(`${JSON.stringify({ detail: log.mask(shown) })}\n`);
    expect(text()).not.toContain(JSON.stringify(shown).slice(1, -1));
    expect(lines()[0]).toMatchObject({
      msg: 'failed with <redacted>!',
      detail: 'a <redacted> b',
      list: ['<redacted>'],
    });
  });

  it('hides the longer of two secrets whole when one begins the other', () => {
    const { log, lines } = make();
    log.registerSecret('abcd');
    log.registerSecret('abcdefgh');
    log.info('x abcdefgh y abcd z');
    expect(lines()[0]).toMatchObject({ msg: 'x <redacted> y <redacted> z' });
  });

  it('hides what looks like a token although nobody registered it', () => {
    const { log, text } = make();
    const jwt = 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJvcmRlcnMifQ.c2lnbmF0dXJl';
    const jwe = 'eyJhbGciOiJSU0EtT0FFUCJ9.a2V5.aXY.Y2lwaGVy.dGFn';
    log.error('odd reply', { detail: `{"access_token":"${jwt}"}`, cut: jwt.slice(0, 30), jwe });
    log.error('odd request', { detail: 'Authorization: Bearer opaque-token-0123456789' });
    for (const part of ['eyJ', 'c2lnbmF0dXJl', 'Y2lwaGVy', 'dGFn', 'opaque-token']) expect(text()).not.toContain(part);
  });

  it('leaves ordinary texts alone, also after an empty or very short secret', () => {
    const { log, lines } = make();
    log.registerSecret('');
    log.registerSecret('a');
    log.info('a basic fact about a bearer of news', { detail: 'v1.2.3 (eyJ)' });
    expect(lines()[0]).toMatchObject({ msg: 'a basic fact about a bearer of news', detail: 'v1.2.3 (eyJ)' });
  });

  it('shows no secret in the summary of what was left out', async () => {
    const { log, clock, text } = make();
    log.registerSecret('hunter22');
    for (let i = 0; i < 30; i += 1) log.error('login with hunter22 failed');
    await clock.advance(10_000);
    expect(text()).toContain('10 more like this');
    expect(text()).not.toContain('hunter22');
  });

  it('registers a secret of the mask even when it is a Redacted that a logger would print as such', () => {
    const { log, lines } = make();
    log.registerSecret(new Redacted('topsecret'));
    log.info('topsecret');
    expect(lines()[0]).toMatchObject({ msg: '<redacted>' });
  });
});
