import { rmSync } from 'node:fs';
import type { AzureWorkloadIdentitySourceConfiguration } from '@token-broker/configuration';
import { createSystemClock } from '@token-broker/foundation';
import type { ScriptedReply } from '@token-broker/testing';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { Provider, ProviderFailure } from '../../../app/ports/provider.js';
import {
  CLIENT_ID,
  entraError,
  entraSource,
  startEntra,
  VAULT_SCOPE,
  type EntraEndpoint,
} from '../fakes/entra-endpoint.js';
import { lendNothing } from '../fakes/lend-nothing.js';
import { failureOf, valueOf } from '../fakes/oauth2-bed.js';
import { silentLog } from '../fakes/silent-log.js';
import { createProvider } from '../provider-registry.js';

let entra: EntraEndpoint;

beforeEach(async () => {
  entra = await startEntra();
});

function open(change: Partial<AzureWorkloadIdentitySourceConfiguration> = {}): Provider {
  const ports = { clock: createSystemClock(), log: silentLog, lend: lendNothing };
  const provider = createProvider(entraSource(entra, change), ports);
  onTestFinished(() => provider.close());
  return provider;
}

const ask = (provider = open(), scopes = [VAULT_SCOPE]) => provider.fetch({ scopes });

async function failureWith(change: Partial<AzureWorkloadIdentitySourceConfiguration> = {}): Promise<ProviderFailure> {
  return failureOf(await ask(open(change)));
}

describe('what is asked of Microsoft Entra ID', () => {
  it('is a token for one resource, by the token of the workload as it stands', async () => {
    const assertion = entra.workload.put();
    expect(valueOf(await ask())).toMatchObject({ tokenType: 'Bearer', lifeMs: 3_599_000 });
    expect(entra.asked()).toEqual([
      {
        grant_type: 'client_credentials',
        client_id: CLIENT_ID,
        scope: VAULT_SCOPE,
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: assertion,
      },
    ]);
  });

  it('is asked by the token that the file holds now: it is replaced before it ends', async () => {
    const provider = open();
    const tokens = [entra.workload.put(), entra.workload.put()];
    entra.workload.write(`  ${tokens[0] ?? ''}\r\n`);
    valueOf(await ask(provider));
    entra.workload.write(tokens[1] ?? '');
    valueOf(await ask(provider));
    expect(entra.asked().map((form) => form['client_assertion'])).toEqual(tokens);
  });

  it.each([
    ['is not there', (file: string) => rmSync(file), 'cannot be read'],
    ['is empty', () => entra.workload.write('\n'), 'holds no token'],
    ['holds two lines', () => entra.workload.write('a.b.c\nd.e.f'), 'holds no token'],
    ['is longer than any token', () => entra.workload.write('x'.repeat(65_537)), 'holds no token'],
  ])('is asked by nobody where the file %s', async (_, change, words) => {
    change(entra.workload.file);
    const failure = await failureWith();
    expect(failure).toMatchObject({ code: 'IDP_UNAVAILABLE', message: `the file with the federated token ${words}` });
    expect(entra.calls()).toBe(0);
  });
});

describe('a denial of Microsoft Entra ID', () => {
  it.each([
    ['has ended', { exp: 1, iat: 0, nbf: 0 }, 700_024],
    ['is of an issuer that it does not trust', { iss: 'https://other.example.com' }, 700_211],
    ['is of another subject', { sub: 'system:serviceaccount:other:other' }, 700_213],
    ['is for another audience', { aud: 'https://kubernetes.default.svc' }, 700_212],
  ])('is one of the application with its credential where the token %s', async (_, claims, number) => {
    entra.workload.put(claims);
    expect(await failureWith()).toMatchObject({
      code: 'IDP_DENIED',
      message: `Microsoft Entra ID refused: invalid_client (AADSTS${String(number)})`,
      refused: 'credential',
    });
  });

  it('is the same where the token is signed by another', async () => {
    entra.workload.put({}, 'stranger');
    expect(await failureWith()).toMatchObject({ code: 'IDP_DENIED', refused: 'credential' });
  });

  it('is one of the application where there is none of the name', async () => {
    expect(await failureWith({ clientId: '99999999-2222-4333-8444-555555555555' })).toMatchObject({
      code: 'IDP_DENIED',
      message: 'Microsoft Entra ID refused: unauthorized_client (AADSTS700016)',
      refused: 'credential',
    });
  });

  it('is one of this token alone where it is of the scope, or of the tenant', async () => {
    const scope = failureOf(await ask(open(), ['https://vault.azure.net/read']));
    const tenant = await failureWith({ tenantId: 'other.example.com' });
    expect([scope, tenant]).toMatchObject([
      { code: 'IDP_DENIED', message: 'Microsoft Entra ID refused: invalid_scope (AADSTS1002012)' },
      { code: 'IDP_DENIED', message: 'Microsoft Entra ID refused: invalid_request (AADSTS90002)' },
    ]);
    expect([scope.refused, tenant.refused]).toEqual([undefined, undefined]);
  });
});

describe('a reply that is no token', () => {
  it.each<[string, ScriptedReply, object]>([
    ['a loop, by its number', entraError(400, 'invalid_grant', 50_196, 'A loop.'), { code: 'QUOTA_EXHAUSTED' }],
    [
      'a throttled tenant, with a pause',
      { ...entraError(400, 'invalid_request', 90_055, 'Too many.'), headers: { 'retry-after': '60' } },
      { code: 'QUOTA_EXHAUSTED', retryAfterMs: 60_000 },
    ],
    [
      'too many requests, in JSON',
      { ...entraError(429, 'temporarily_unavailable', 90_055, 'Too many.'), headers: { 'retry-after': '60' } },
      { code: 'QUOTA_EXHAUSTED', retryAfterMs: 60_000 },
    ],
    ['a busy server', entraError(400, 'temporarily_unavailable', 90_099, 'Busy.'), { code: 'IDP_UNAVAILABLE' }],
    ['a directory that is away', entraError(400, 'invalid_request', 90_033, 'Transient.'), { code: 'IDP_UNAVAILABLE' }],
    ['a failure', entraError(503, 'server_error', 90_033, 'Transient.'), { code: 'IDP_UNAVAILABLE' }],
    ['a page of a gateway', { status: 502, body: '<html>' }, { code: 'IDP_UNAVAILABLE' }],
    ['an unknown error', entraError(400, 'a_new_error', 1, 'New.'), { code: 'IDP_DENIED' }],
    ['a page with 403', { status: 403, body: '<html>' }, { code: 'IDP_PROTOCOL' }],
    ['a page with 200', { body: '<html>' }, { code: 'IDP_PROTOCOL' }],
    ['no content', { status: 204 }, { code: 'IDP_PROTOCOL' }],
    ['a redirect', { status: 302, headers: { location: 'https://elsewhere.example.com' } }, { code: 'IDP_PROTOCOL' }],
    ['another type', { body: { access_token: 'x', token_type: 'pop', expires_in: 1 } }, { code: 'IDP_PROTOCOL' }],
    ['no life', { body: { access_token: 'x', token_type: 'Bearer' } }, { code: 'IDP_PROTOCOL' }],
    ['no token', { body: { access_token: '', token_type: 'Bearer', expires_in: 1 } }, { code: 'IDP_PROTOCOL' }],
  ])('says what it is: %s', async (_, reply, failure) => {
    entra.answer = () => reply;
    expect(await failureWith()).toMatchObject(failure);
    expect(entra.calls()).toBe(1);
  });

  it('takes the number of seconds as text, too', async () => {
    entra.answer = () => ({ body: { access_token: 'x', token_type: 'bearer', expires_in: '600' } });
    expect(valueOf(await ask())).toMatchObject({ lifeMs: 600_000, tokenType: 'Bearer' });
  });

  it('shows nothing of the token that the workload is known by, whoever repeats it', async () => {
    const assertion = entra.workload.put();
    entra.answer = ({ form }) => ({ status: 400, body: { error: form['client_assertion'], error_description: form } });
    const failure = JSON.stringify(await failureWith());
    for (const part of assertion.split('.')) expect(failure).not.toContain(part.slice(0, 40));
  });
});
