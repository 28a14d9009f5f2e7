import { afterEach, describe, expect, it } from 'vitest';
import { eventually } from '../eventually.js';
import {
  startScriptedIdentityProvider,
  type ScriptedIdentityProvider,
  type ScriptedReply,
} from './scripted-identity-provider.js';

const started: ScriptedIdentityProvider[] = [];

afterEach(async () => {
  for (const provider of started.splice(0)) await provider.stop();
});

async function start(...replies: ScriptedReply[]): Promise<ScriptedIdentityProvider> {
  const provider = await startScriptedIdentityProvider((_, index) => replies[index] ?? { status: 500 });
  started.push(provider);
  return provider;
}

describe('startScriptedIdentityProvider', () => {
  it('answers each request as the script says, and records what it was asked', async () => {
    const provider = await start(
      { body: { access_token: 'a' } },
      { status: 302, headers: { location: '/elsewhere', 'content-type': 'text/html' }, body: '<html>' },
    );
    const form = new URLSearchParams({ grant_type: 'client_credentials', scope: 'a b' });
    const first = await fetch(provider.tokenEndpoint, { method: 'POST', body: form, headers: { 'x-probe': '1' } });
    expect(first.headers.get('content-type')).toBe('application/json');
    expect(await first.json()).toEqual({ access_token: 'a' });
    const second = await fetch(provider.tokenEndpoint, { redirect: 'manual' });
    expect([second.status, second.headers.get('location'), await second.text()]).toEqual([302, '/elsewhere', '<html>']);
    expect(provider.requests).toMatchObject([
      {
        method: 'POST',
        path: '/token',
        form: { grant_type: 'client_credentials', scope: 'a b' },
        headers: { 'x-probe': '1' },
      },
      { method: 'GET', path: '/token', form: {} },
    ]);
  });

  it('resets the connection in the middle of a body', async () => {
    const provider = await start({ body: 'x'.repeat(10_000), fault: 'reset-mid-body' });
    const response = await fetch(provider.tokenEndpoint);
    expect(response.status).toBe(200);
    await expect(response.text()).rejects.toThrow();
  });

  it('hangs until it is stopped', async () => {
    const provider = await start({ fault: 'hang' });
    const pending = fetch(provider.tokenEndpoint).then(
      () => 'answered',
      () => 'broken off',
    );
    await eventually(() => provider.requests.length === 1, { what: 'the request' });
    await provider.stop();
    expect(await pending).toBe('broken off');
  });
});
