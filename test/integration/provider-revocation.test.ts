import { createSystemClock } from '@token-broker/foundation';
import { eventually } from '@token-broker/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ask } from './asking.js';
import { introspected } from './identity.js';
import { CLIENT_ID, sourceSettings, startStack, type Settings, type Stack } from './stack.js';
import { tokenctl } from './tokenctl.js';

const clock = createSystemClock();
let stack: Stack;
/** Every token that the identity provider has issued, the oldest first. */
const issued: string[] = [];

beforeAll(async () => {
  stack = await startStack({
    tokenTransform: (accessToken) => {
      issued.push(accessToken);
      return accessToken;
    },
    configure: (settings, idp) => {
      const explicit: Settings = { issuer: undefined, tokenEndpoint: idp.tokenEndpoint };
      return {
        ...settings,
        sources: {
          discovered: sourceSettings(idp),
          troubled: sourceSettings(idp),
          explicit: sourceSettings(idp, { ...explicit, revocationEndpoint: idp.revocationEndpoint }),
          without: sourceSettings(idp, explicit),
          mailbox: sourceSettings(idp, { grant: 'refresh_token' }),
        },
        callers: { orders: { sources: '*' }, ops: { sources: ['*'], admin: true } },
      };
    },
  });
});
afterAll(() => stack.stop());
beforeEach(() => {
  stack.idp.resetCounts();
});
afterEach(() => {
  stack.idp.setHanging(false);
  stack.idp.revocation.failNext(0);
});

async function isActive(token: string): Promise<unknown> {
  return (await introspected(stack.idp, token))['active'];
}

function revoked(): (string | null)[] {
  return stack.idp.revocation.requests().map(({ form }) => form.get('token'));
}

describe('revoke, at the identity provider too', () => {
  it('takes back every token of the source, and no other', async () => {
    const client = await stack.client('orders', { refetchOnRevoke: false });
    const scopes = ['payments:read', 'payments:write'];
    const tokens = await Promise.all(scopes.map((scope) => client.source('discovered', { scope }).get()));
    const other = await client.source('explicit').get();
    const operator = await stack.operator();
    const reply = await operator.revoke({ selector: { source: 'discovered' }, atProvider: true, reason: 'a test' });
    expect(reply).toMatchObject({
      complete: true,
      slots: 2,
      provider: { asked: 2, revoked: 2, unsupported: 0, failed: 0 },
    });
    expect(revoked().sort()).toEqual(tokens.map(({ accessToken }) => accessToken).sort());
    for (const { accessToken } of tokens) expect(await isActive(accessToken)).toBe(false);
    expect(await isActive(other.accessToken)).toBe(true);
  });

  it('leaves them good there unless it is asked to', async () => {
    const connection = await stack.connectAs('orders');
    const { accessToken } = await ask(connection, 'orders', 'discovered');
    const reply = await (await stack.operator()).revoke({ selector: { source: 'discovered' }, reason: 'a test' });
    expect(reply).not.toHaveProperty('provider');
    expect(await isActive(accessToken)).toBe(true);
    expect(revoked()).toEqual([]);
  });

  it('uses the endpoint that is configured, and says of a provider without one that it has none', async () => {
    const connection = await stack.connectAs('orders');
    const operator = await stack.operator();
    const explicit = await ask(connection, 'orders', 'explicit');
    const done = await operator.revoke({ selector: { source: 'explicit' }, atProvider: true, reason: 'a test' });
    expect(done.provider).toEqual({ asked: 1, revoked: 1, unsupported: 0, failed: 0 });
    expect(await isActive(explicit.accessToken)).toBe(false);

    const without = await ask(connection, 'orders', 'without');
    const reply = await operator.revoke({ selector: { source: 'without' }, atProvider: true, reason: 'a test' });
    expect(reply.provider).toEqual({ asked: 1, revoked: 0, unsupported: 1, failed: 0 });
    expect(await isActive(without.accessToken)).toBe(true);
    // Dead here all the same.
    expect((await ask(connection, 'orders', 'without')).generation).toBeGreaterThan(without.generation);
  });

  it('leaves the refresh token alone, which the token came of', async () => {
    const refreshToken = await stack.idp.issueRefreshToken({
      clientId: CLIENT_ID,
      scope: 'openid offline_access payments:read payments:write',
    });
    const operator = await stack.operator();
    await operator.setRefreshToken({ source: 'mailbox', refreshToken });
    const connection = await stack.connectAs('orders');
    const first = await ask(connection, 'orders', 'mailbox');
    const { provider } = await operator.revoke({ selector: { source: 'mailbox' }, atProvider: true, reason: 'a test' });
    expect(provider).toMatchObject({ revoked: 1 });
    expect(await isActive(first.accessToken)).toBe(false);
    expect((await ask(connection, 'orders', 'mailbox')).accessToken).not.toBe(first.accessToken);
    expect(stack.idp.refreshTokens()).toMatchObject({ used: 2, replayed: 0, familiesRevoked: 0 });
  });

  it('F8: takes back a token that was revoked before anybody had it', async () => {
    /** One request, off the path of every caller, and what a loaded machine adds. */
    const TAKEN_BACK_WITHIN_MS = 3_000;
    stack.idp.setHanging(true);
    const connection = await stack.connectAs('orders');
    const asked = ask(connection, 'orders', 'discovered');
    await eventually(() => stack.idpCalls() === 1, { what: 'the call to be under way' });
    await (await stack.operator()).revoke({ selector: { source: 'discovered' }, reason: 'a test' });
    const before = issued.length;
    stack.idp.setHanging(false);
    const answer = await asked;
    const [dead, ...more] = issued.slice(before);
    if (dead === undefined) throw new Error('nothing was issued');
    expect(more).toEqual([answer.accessToken]);
    await eventually(() => revoked().includes(dead), {
      what: 'the dead token to be taken back',
      withinMs: TAKEN_BACK_WITHIN_MS,
    });
    await eventually(async () => (await isActive(dead)) === false, { what: 'the provider to refuse it' });
    expect(await isActive(answer.accessToken)).toBe(true);
  });
});

describe('a revocation endpoint in trouble', () => {
  it('is asked again when it says so, and the report waits for it', async () => {
    const RETRY_AFTER_SECONDS = 1;
    /** Beyond the pause: the requests themselves, and what a loaded machine adds. */
    const SLACK_MS = 3_000;
    const client = await stack.client('orders', { refetchOnRevoke: false });
    const handle = client.source('troubled');
    const token = await handle.get();
    stack.idp.revocation.failNext(1, { status: 503, headers: { 'retry-after': String(RETRY_AFTER_SECONDS) } });
    const startedAtMs = clock.elapsedMs();
    const reply = await (
      await stack.operator()
    ).revoke({ selector: { source: 'troubled' }, atProvider: true, reason: 'a test' });
    const tookMs = clock.elapsedMs() - startedAtMs;
    expect(reply.provider).toEqual({ asked: 1, revoked: 1, unsupported: 0, failed: 0 });
    expect(revoked()).toEqual([token.accessToken, token.accessToken]);
    expect(tookMs).toBeGreaterThanOrEqual(RETRY_AFTER_SECONDS * 1_000);
    expect(tookMs).toBeLessThan(RETRY_AFTER_SECONDS * 1_000 + SLACK_MS);
    expect(await isActive(token.accessToken)).toBe(false);
  });

  it('that stays away is reported as what it is, and the token is dead here nevertheless', async () => {
    const client = await stack.client('orders', { refetchOnRevoke: false });
    const handle = client.source('troubled');
    const token = await handle.get();
    // Longer than anybody waits for a report.
    stack.idp.revocation.failNext(10, { status: 503, headers: { 'retry-after': '3600' } });
    const args = ['revoke', '--source', 'troubled', '--at-provider', '--wait', '--reason', 'test', '--yes', '--json'];
    const run = await tokenctl(stack, args);
    expect(run.code).toBe(1);
    expect(JSON.parse(run.out)).toMatchObject({
      complete: true,
      provider: { asked: 1, revoked: 0, unsupported: 0, failed: 1 },
    });
    expect(revoked()).toEqual([token.accessToken]);
    expect(handle.current).toBeUndefined();
    expect(await isActive(token.accessToken)).toBe(true);
    expect((await handle.get()).accessToken).not.toBe(token.accessToken);
  });
});
