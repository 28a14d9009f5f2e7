import { Redacted } from '@token-broker/foundation';
import type { OAuth2SourceConfiguration } from '@token-broker/configuration';
import { startScriptedIdentityProvider, VirtualClock, type ScriptedReply } from '@token-broker/testing';
import { afterEach, describe, expect, it } from 'vitest';
import type { Log } from '../../../app/ports/telemetry.js';
import { createOAuth2Provider } from './oauth2-provider.js';

const cleanups: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Each has characters of its own that an encoding on the way changes; the last is of the kind that most providers give out. */
const SECRETS = ['s:e%c+r&t/"<x>', "it's_a.secret~*(1)!", 'käse ünd brot', 'h3Jq~8Q_x-Zt.9pLw2'];
const CANARY = 'opaque,canary}"value';

/** What a careless provider repeats: what it was sent, as it was sent and as it understood it. */
type Echo = (sent: string) => ScriptedReply;

const html = { 'content-type': 'text/html' };
const ECHOES: [string, Echo][] = [
  ['a description', (sent) => ({ status: 401, body: { error: 'invalid_client', error_description: sent } })],
  ['the name of the error', (sent) => ({ status: 400, body: { error: sent } })],
  ['a page', (sent) => ({ status: 500, headers: html, body: `<p>${sent}</p>` })],
  ['a page that reports success', (sent) => ({ headers: html, body: `<p>${sent}</p>` })],
  ['a redirect', (sent) => ({ status: 302, headers: { location: `/login?was=${encodeURIComponent(sent)}` } })],
  ['a challenge', (sent) => ({ status: 401, headers: { 'www-authenticate': `Basic error="${encodeURI(sent)}"` } })],
  ['a token type', (sent) => ({ body: { access_token: CANARY, token_type: sent } })],
  ['the scope of a token', (sent) => ({ body: { access_token: 'opaque-canary', token_type: 'Bearer', scope: sent } })],
  ['a success that the OAuth library objects to', (sent) => ({ body: tokenWith({ refresh_token: 7, note: sent }) })],
  ['a success that names an error', (sent) => ({ body: tokenWith({ error: 'invalid_grant', note: sent }) })],
  ['a failure that holds a token', (sent) => ({ status: 500, body: tokenWith({ error: 'server_error', note: sent }) })],
];

function tokenWith(more: Record<string, unknown>) {
  return { access_token: CANARY, token_type: 'Bearer', expires_in: 60, ...more };
}

async function failureTexts(
  secret: string,
  kind: 'client_secret_basic' | 'client_secret_post',
  echo: Echo,
): Promise<{ readonly told: string; readonly sent: readonly string[] }> {
  const sent: string[] = [];
  const idp = await startScriptedIdentityProvider(({ headers, form }) => {
    const credentials = headers.authorization?.split(' ')[1];
    const own =
      credentials === undefined ? [] : [credentials, Buffer.from(credentials, 'base64').toString().split(':')[1] ?? ''];
    sent.push(...own, ...(form['client_secret'] === undefined ? [] : [form['client_secret']]));
    return echo(`${sent.join(' ')} ${secret}`);
  });
  cleanups.push(() => idp.stop());
  const lines: string[] = [];
  const note: Log['info'] = (message, fields) => lines.push(`${message} ${JSON.stringify(fields)}`);
  const source: OAuth2SourceConfiguration = {
    name: 'payments-api',
    provider: 'oauth2',
    grant: { kind: 'client_credentials' },
    endpoint: { kind: 'token-endpoint', tokenEndpoint: idp.tokenEndpoint },
    allowInsecureHttp: true,
    clientId: 'payments',
    clientAuthentication: { kind, clientSecret: new Redacted(secret) },
    scopes: ['read'],
    parameters: new Map(),
    timeoutMs: 5_000,
    lockTimeMs: 7_000,
    defaultLifetimeMs: 300_000,
    maxLifetimeMs: 86_400_000,
    acceptNarrowerScope: true,
    refresh: { ahead: { kind: 'off' }, keepWarm: false },
    quota: [],
  };
  const log: Log = { debug: note, info: note, warn: note, error: note };
  const provider = createOAuth2Provider(source, { clock: new VirtualClock(), log });
  cleanups.push(() => provider.close());
  const issued = await provider.fetch({ scopes: ['read'] });
  if (issued.ok) throw new Error('the reply was taken');
  expect(idp.requests).toHaveLength(1);
  return { told: [issued.error.message, issued.error.detail, ...lines].join('\n'), sent };
}

describe.each(['client_secret_basic', 'client_secret_post'] as const)(
  'a secret that was sent by %s',
  (authentication) => {
    it.each(ECHOES)('is in no failure and in no log line when it comes back in %s', async (_, echo) => {
      for (const secret of SECRETS) {
        const { told, sent } = await failureTexts(secret, authentication, echo);
        expect(sent.length).toBeGreaterThan(0);
        for (const text of [secret, ...sent]) {
          for (const spelling of [text, encodeURIComponent(text), encodeURI(text), JSON.stringify(text).slice(1, -1)]) {
            expect(told).not.toContain(spelling);
          }
        }
        expect(told).not.toMatch(/canary/);
      }
    });
  },
);
