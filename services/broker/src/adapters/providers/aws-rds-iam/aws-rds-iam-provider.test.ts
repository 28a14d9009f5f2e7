import { createHash, createHmac } from 'node:crypto';
import { createSystemClock, err, ok, Redacted } from '@token-broker/foundation';
import { expect, it } from 'vitest';
import type { LentToken, Lender } from '../../../app/ports/provider.js';
import { silentLog } from '../fakes/silent-log.js';
import { rdsSource } from '../fakes/rds-source.js';
import { KEYS } from '../fakes/sts-source.js';
import { createProvider } from '../provider-registry.js';

const LENT = { AccessKeyId: 'ASIALENT00000000', SecretAccessKey: 'lent/secret+', SessionToken: 'lent//session==' };
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

/** The signature of a password, worked out by hand (Signature Version 4, in the query). */
function signatureOf(password: string, secretAccessKey: string): string {
  const [place = '', query = ''] = password.split('?');
  const pairs = query.split('&').filter((pair) => !pair.startsWith('X-Amz-Signature='));
  const parameters = new Map(pairs.map((pair) => pair.split('=') as [string, string]));
  const date = parameters.get('X-Amz-Date') ?? '';
  const [, day = '', region = '', service = ''] = decodeURIComponent(parameters.get('X-Amz-Credential') ?? '').split(
    '/',
  );
  const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
  const host = place.replace(/\/$/, '');
  const canonical = ['GET', '/', pairs.sort().join('&'), `host:${host}`, '', 'host', sha256('')].join('\n');
  const toSign = ['AWS4-HMAC-SHA256', date, `${day}/${region}/${service}/aws4_request`, sha256(canonical)].join('\n');
  const key = [day, region, service, 'aws4_request'].reduce<Uint8Array | string>(
    (secret, part) => createHmac('sha256', secret).update(part).digest(),
    `AWS4${secretAccessKey}`,
  );
  return createHmac('sha256', key).update(toSign).digest('hex');
}

it('signs what the database checks: host, port, user, and 15 minutes', async () => {
  const { password, username, tokenType, lifeMs } = await issue({});
  expect({ username, tokenType, lifeMs }).toEqual({ username: 'orders', tokenType: 'password', lifeMs: 900_000 });
  const url = new URL(`https://${password}`);
  expect(url.host).toBe('orders.cluster-canary.eu-central-1.rds.amazonaws.com:5432');
  const parameters = Object.fromEntries(url.searchParams);
  expect(parameters).toMatchObject({ Action: 'connect', DBUser: 'orders', 'X-Amz-Expires': '900' });
  expect(parameters['X-Amz-Credential']).toMatch(/^AKIACANARY000000\/\d{8}\/eu-central-1\/rds-db\/aws4_request$/);
  expect(parameters['X-Amz-Signature']).toBe(signatureOf(password, KEYS.secretAccessKey.reveal()));
  expect(signatureOf(password, 'another')).not.toBe(parameters['X-Amz-Signature']);
});

it('signs with the credential of another source', async () => {
  const { password } = await issue(BY_SOURCE);
  const { searchParams } = new URL(`https://${password}`);
  expect(searchParams.get('X-Amz-Security-Token')).toBe(LENT.SessionToken);
  expect(searchParams.get('X-Amz-Signature')).toBe(signatureOf(password, LENT.SecretAccessKey));
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
