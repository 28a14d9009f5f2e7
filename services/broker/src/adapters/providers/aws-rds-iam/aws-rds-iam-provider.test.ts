import { createSystemClock, err, ok, Redacted } from '@token-broker/foundation';
import { explainRdsPassword, STS_REGION, type KnownKeys } from '@token-broker/testing/aws';
import { expect, it } from 'vitest';
import type { LentToken, Lender } from '../../../app/ports/provider.js';
import { silentLog } from '../fakes/silent-log.js';
import { rdsSource } from '../fakes/rds-source.js';
import { KEYS } from '../fakes/sts-source.js';
import { createProvider } from '../provider-registry.js';

const LENT = { AccessKeyId: 'ASIALENT00000000', SecretAccessKey: 'lent/secret+', SessionToken: 'lent//session==' };
const HOST = 'orders.cluster-canary.eu-central-1.rds.amazonaws.com:5432';
const BY_SOURCE = { access: { kind: 'source', source: 'base' } } as const;

const lending =
  (change: Partial<LentToken> = {}): Lender =>
  () =>
    Promise.resolve(
      ok({
        accessToken: new Redacted(JSON.stringify(LENT)),
        tokenType: 'aws-credentials',
        remainingMs: 3_600_000,
        ...change,
      }),
    );

async function issue(change: Parameters<typeof rdsSource>[0], lend: Lender = lending()) {
  const source = rdsSource(change);
  const end = await createProvider(source, { clock: createSystemClock(), log: silentLog, lend }).fetch({ scopes: [] });
  if (!end.ok) throw new Error(`${end.error.code}: ${end.error.message}`);
  return { ...end.value, password: end.value.accessToken.reveal() };
}

/** What a database, which knows these keys alone, has against a password of its user `orders`. */
function explain(password: string, keys: KnownKeys): string | undefined {
  const database = { host: HOST, region: STS_REGION, keys: new Map([[keys.accessKeyId, keys]]) };
  return explainRdsPassword(password, 'orders', database, createSystemClock().wallMs());
}

it('signs what the database checks: host, port, user, and 15 minutes', async () => {
  const { password, username, tokenType, lifeMs } = await issue({});
  expect({ username, tokenType, lifeMs }).toEqual({ username: 'orders', tokenType: 'password', lifeMs: 900_000 });
  const url = new URL(`https://${password}`);
  expect(url.host).toBe(HOST);
  const parameters = Object.fromEntries(url.searchParams);
  expect(parameters).toMatchObject({ Action: 'connect', DBUser: 'orders', 'X-Amz-Expires': '900' });
  expect(parameters['X-Amz-Credential']).toMatch(/^AKIACANARY000000\/\d{8}\/eu-central-1\/rds-db\/aws4_request$/);
  const { accessKeyId } = KEYS;
  expect(explain(password, { accessKeyId, secretAccessKey: KEYS.secretAccessKey.reveal() })).toBeUndefined();
  expect(explain(password, { accessKeyId, secretAccessKey: 'another' })).toBe('its signature is wrong');
});

it('signs with the credential of another source', async () => {
  const { password } = await issue(BY_SOURCE);
  const { searchParams } = new URL(`https://${password}`);
  expect(searchParams.get('X-Amz-Security-Token')).toBe(LENT.SessionToken);
  const { AccessKeyId: accessKeyId, SecretAccessKey: secretAccessKey, SessionToken: sessionToken } = LENT;
  expect(explain(password, { accessKeyId, secretAccessKey, sessionToken })).toBeUndefined();
});

it('is never good for longer than what it was signed with', async () => {
  expect((await issue(BY_SOURCE, lending({ remainingMs: 120_000 }))).lifeMs).toBe(120_000);
  expect((await issue(BY_SOURCE, lending({ remainingMs: 3_600_000 }))).lifeMs).toBe(900_000);
});

it('fails as that other source does', async () => {
  const lend: Lender = () =>
    Promise.resolve(err({ code: 'QUOTA_EXHAUSTED', message: 'later', detail: '', retryAfterMs: 9 }));
  await expect(issue(BY_SOURCE, lend)).rejects.toThrow('QUOTA_EXHAUSTED: later');
});
