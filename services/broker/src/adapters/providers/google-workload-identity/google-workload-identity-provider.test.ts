import type { GoogleWorkloadIdentitySourceConfiguration } from '@token-broker/configuration';
import { createSystemClock, err, ok, Redacted } from '@token-broker/foundation';
import type { ScriptedReply } from '@token-broker/testing';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { Lender, Provider, ProviderFailure } from '../../../app/ports/provider.js';
import {
  ACCOUNT,
  apiError,
  AUDIENCE,
  bodyOf,
  CLOUD_PLATFORM,
  DELEGATE,
  googleSource,
  IMPERSONATION,
  startGoogle,
  stsError,
  type GoogleEndpoints,
} from '../fakes/google-endpoints.js';
import { lendNothing } from '../fakes/lend-nothing.js';
import { failureOf, valueOf } from '../fakes/oauth2-bed.js';
import { silentLog } from '../fakes/silent-log.js';
import { createProvider } from '../provider-registry.js';

type Change = Partial<GoogleWorkloadIdentitySourceConfiguration>;

const BIGQUERY = 'https://www.googleapis.com/auth/bigquery';
const RETRY_INFO = [{ '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '1.5s' }];

let google: GoogleEndpoints;

beforeEach(async () => {
  google = await startGoogle();
});

function open(change: Change = {}, lend: Lender = lendNothing): Provider {
  const ports = { clock: createSystemClock(), log: silentLog, lend };
  const provider = createProvider(googleSource(google, change), ports);
  onTestFinished(() => provider.close());
  return provider;
}

const ask = (provider: Provider, scopes = [CLOUD_PLATFORM]) => provider.fetch({ scopes });
const failureWith = async (change: Change = {}): Promise<ProviderFailure> => failureOf(await ask(open(change)));

describe('the exchange', () => {
  it('brings the token of the pool for the token of the workload, as RFC 8693 has it', async () => {
    const subject = google.workload.put();
    expect(valueOf(await ask(open(), [BIGQUERY, CLOUD_PLATFORM]))).toMatchObject({
      tokenType: 'Bearer',
      lifeMs: 3_599_000,
    });
    expect(google.asked('sts').map(({ form }) => form)).toEqual([
      {
        grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
        audience: AUDIENCE,
        scope: `${BIGQUERY} ${CLOUD_PLATFORM}`,
        requested_token_type: 'urn:ietf:params:oauth:token-type:access_token',
        subject_token: subject,
        subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      },
    ]);
    expect(google.asked('iam')).toEqual([]);
  });

  it('reads the file for each call: as text, or a field of JSON', async () => {
    const provider = open({ subject: { kind: 'file', file: google.workload.file, field: 'id_token' } });
    const tokens = [google.workload.put(), google.workload.put()];
    for (const token of tokens) {
      google.workload.write(JSON.stringify({ id_token: token, other: 1 }));
      valueOf(await ask(provider));
    }
    expect(google.asked('sts').map(({ form }) => form['subject_token'])).toEqual(tokens);
  });

  it.each([
    ['no JSON', 'a.b.c'],
    ['a list', '["a.b.c"]'],
    ['another field', '{"access_token":"a.b.c"}'],
    ['no text in the field', '{"id_token":7}'],
  ])('is not made where a file that should be JSON holds %s', async (_, text) => {
    google.workload.write(text);
    const failure = await failureWith({ subject: { kind: 'file', file: google.workload.file, field: 'id_token' } });
    expect(failure).toMatchObject({
      code: 'IDP_UNAVAILABLE',
      message: 'the file with the subject token holds no token',
    });
    expect(google.asked('sts')).toEqual([]);
  });

  it('takes the bearer token of another source, and no other credential', async () => {
    const subject = google.workload.put();
    const lent = (tokenType: string): Lender =>
      ((name) =>
        Promise.resolve(
          name === 'login'
            ? ok({ accessToken: new Redacted(subject), tokenType, remainingMs: 60_000 })
            : err({ code: 'IDP_DENIED', message: 'no such source', detail: '' }),
        )) satisfies Lender;
    const change: Change = { subject: { kind: 'source', source: 'login' } };
    google.workload.write('');
    valueOf(await ask(open(change, lent('Bearer'))));
    expect(google.asked('sts')[0]?.form['subject_token']).toBe(subject);
    expect(failureOf(await ask(open(change, lent('password'))))).toMatchObject({ code: 'IDP_PROTOCOL' });
    expect(await failureWith(change)).toMatchObject({ code: 'IDP_DENIED', message: 'there is no such source' });
    expect(google.asked('sts')).toHaveLength(1);
  });

  it.each([
    ['has ended', { exp: 1, iat: 0, nbf: 0 }, 'invalid_grant'],
    ['is of another issuer', { iss: 'https://other.example.com' }, 'invalid_grant'],
    ['is for another audience', { aud: 'other' }, 'invalid_grant'],
    ['is of another subject', { sub: 'system:serviceaccount:other:other' }, 'unauthorized_client'],
  ])('is denied to the workload where its token %s', async (_, claims, name) => {
    google.workload.put(claims);
    expect(await failureWith()).toMatchObject({
      code: 'IDP_DENIED',
      message: `Google refused the token exchange: ${name}`,
      refused: 'credential',
    });
  });

  it('is denied to the workload where its token is signed by another, or its pool is not there', async () => {
    const pool = await failureWith({ workloadIdentityProvider: `${AUDIENCE}x` });
    google.workload.put({}, 'stranger');
    expect([await failureWith(), pool]).toMatchObject([
      { code: 'IDP_DENIED', message: 'Google refused the token exchange: invalid_grant', refused: 'credential' },
      { code: 'IDP_DENIED', message: 'Google refused the token exchange: invalid_target', refused: 'credential' },
    ]);
  });

  it.each<[string, ScriptedReply, object]>([
    ['a throttle', { status: 429, body: { error: 'slow_down' } }, { code: 'QUOTA_EXHAUSTED' }],
    [
      'a throttle with its pause in the body',
      apiError(429, 'RESOURCE_EXHAUSTED', 'Too many.', RETRY_INFO),
      { code: 'QUOTA_EXHAUSTED', retryAfterMs: 1_500 },
    ],
    [
      'a throttle with another status, and its pause in the header',
      { ...apiError(403, 'RESOURCE_EXHAUSTED', 'Too many.', RETRY_INFO), headers: { 'retry-after': '9' } },
      { code: 'QUOTA_EXHAUSTED', retryAfterMs: 9_000 },
    ],
    ['an outage', apiError(503, 'UNAVAILABLE', 'Away.', RETRY_INFO), { code: 'IDP_UNAVAILABLE', retryAfterMs: 1_500 }],
    ['an outage by its name', stsError('temporarily_unavailable', 'Away.'), { code: 'IDP_UNAVAILABLE' }],
    ['an API that is not switched on', apiError(403, 'PERMISSION_DENIED', 'Off.'), { code: 'IDP_DENIED' }],
    ['an error of a new name', stsError('a_new_error', 'New.'), { code: 'IDP_DENIED' }],
    ['a page with 403', { status: 403, body: '<html>' }, { code: 'IDP_PROTOCOL' }],
    [
      'a token that is no access token',
      { body: { access_token: 'x', token_type: 'Bearer', expires_in: 60, issued_token_type: 'other' } },
      { code: 'IDP_PROTOCOL' },
    ],
  ])('says what it is that came in place of a token: %s', async (_, reply, failure) => {
    google.answer = () => reply;
    expect(await failureWith({ impersonation: IMPERSONATION })).toMatchObject(failure);
    expect([google.asked('sts').length, google.asked('iam').length]).toEqual([1, 0]);
  });
});

describe('a service account', () => {
  const impersonation = { ...IMPERSONATION, lifetimeMs: 1_800_000 };

  it('is asked for by the token of the pool, with scopes, life and those between', async () => {
    const { accessToken, lifeMs } = valueOf(
      await ask(open({ impersonation: { ...impersonation, delegates: [DELEGATE] } }), [BIGQUERY]),
    );
    expect(accessToken.reveal()).toBe('canary-of-google-iam-2');
    expect(lifeMs).toBeLessThanOrEqual(1_800_000);
    expect(lifeMs).toBeGreaterThan(1_790_000);
    expect(google.asked('sts')[0]?.form['scope']).toBe(CLOUD_PLATFORM);
    const [request] = google.asked('iam');
    expect(decodeURIComponent(request?.path ?? '')).toBe(
      `/v1/projects/-/serviceAccounts/${ACCOUNT}:generateAccessToken`,
    );
    expect(request?.headers.authorization).toBe('Bearer canary-of-google-sts-1');
    expect(request === undefined ? undefined : bodyOf(request)).toEqual({
      delegates: [`projects/-/serviceAccounts/${DELEGATE}`],
      scope: [BIGQUERY],
      lifetime: '1800s',
    });
  });

  it('has tokens whose life is that by the clock of Google', async () => {
    google.clockAheadMs = -3_600_000;
    const { lifeMs } = valueOf(await ask(open({ impersonation })));
    expect(lifeMs).toBeGreaterThan(1_790_000);
  });

  it.each<[string, Change, string]>([
    ['is not there', { impersonation: { ...impersonation, serviceAccount: `x${ACCOUNT}` } }, 'NOT_FOUND'],
    ['may not live so long', { impersonation: { ...impersonation, lifetimeMs: 7_200_000 } }, 'INVALID_ARGUMENT'],
    ['is behind another', { impersonation: { ...impersonation, delegates: ['x'] } }, 'PERMISSION_DENIED'],
  ])('that %s is denied, which says nothing of the workload', async (_, change, name) => {
    const failure = await failureWith(change);
    expect(failure).toMatchObject({ code: 'IDP_DENIED', message: `Google refused the impersonation: ${name}` });
    expect(failure.refused).toBeUndefined();
  });

  it('that is refused costs the fetch: the token of the pool is forgotten, and the next fetch begins with it again', async () => {
    const provider = open({ impersonation });
    google.will('iam', { does: 'throttle', pauseMs: 7_000 });
    const failure = failureOf(await ask(provider));
    expect(failure).toMatchObject({ code: 'QUOTA_EXHAUSTED', retryAfterMs: 7_000 });
    expect(JSON.stringify(failure)).not.toContain('canary');
    google.will('iam', { does: 'issue' });
    valueOf(await ask(provider));
    expect(google.asked('sts')).toHaveLength(2);
    expect(google.asked('iam').map(({ headers }) => headers.authorization)).toEqual([
      'Bearer canary-of-google-sts-1',
      'Bearer canary-of-google-sts-2',
    ]);
  });

  it.each<[string, ScriptedReply]>([
    ['no JSON', { body: '<html>' }],
    ['no token', { body: { expireTime: '2999-01-01T00:00:00Z' } }],
    ['no end', { body: { accessToken: 'x' } }],
    ['an end that is no moment', { body: { accessToken: 'x', expireTime: '2999-13-01T00:00:00Z' } }],
    ['an end in words', { body: { accessToken: 'x', expireTime: 'tomorrow' } }],
    ['an end that has been', { body: { accessToken: 'x', expireTime: '2001-01-01T00:00:00Z' } }],
  ])('has no token in a reply with %s', async (_, reply) => {
    google.answer = (service) => (service === 'iam' ? reply : undefined);
    expect(await failureWith({ impersonation })).toMatchObject({ code: 'IDP_PROTOCOL' });
  });

  it('shows neither the subject token nor the token of the pool, whoever repeats them', async () => {
    const subject = google.workload.put();
    google.answer = (service, { headers }) =>
      service === 'iam' ? apiError(400, 'INVALID_ARGUMENT', `${headers.authorization ?? ''} ${subject}`) : undefined;
    const failure = JSON.stringify(await failureWith({ impersonation }));
    expect(failure).not.toContain('canary');
    for (const part of subject.split('.')) expect(failure).not.toContain(part.slice(0, 40));
  });
});
