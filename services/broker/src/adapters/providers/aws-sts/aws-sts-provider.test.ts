import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AwsStsSourceConfiguration } from '@token-broker/configuration';
import { createSystemClock, err, ok, Redacted } from '@token-broker/foundation';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { IssuedToken, Lender, Provider, ProviderFailure } from '../../../app/ports/provider.js';
import { readAwsCredentials } from '../aws-credentials.js';
import { silentLog } from '../fakes/silent-log.js';
import { KEYS, session, stsSource } from '../fakes/sts-source.js';
import { startSts, type StsEndpoint } from '../fakes/sts-endpoint.js';
import { createProvider } from '../provider-registry.js';

const REQUEST = { scopes: [] };
const ROLE: AwsStsSourceConfiguration['operation'] = {
  kind: 'assume-role',
  ...session,
  access: KEYS,
  tags: new Map(),
  transitiveTagKeys: [],
};

let sts: StsEndpoint;

beforeEach(async () => {
  sts = await startSts();
  sts.keys.set(KEYS.accessKeyId, { accessKeyId: KEYS.accessKeyId, secretAccessKey: KEYS.secretAccessKey.reveal() });
});

function open(change: Partial<AwsStsSourceConfiguration>, lend: Lender = nobody): Provider {
  const source = stsSource({ endpoint: sts.url, ...change });
  const provider = createProvider(source, { clock: createSystemClock(), log: silentLog, lend });
  onTestFinished(() => provider.close());
  return provider;
}

const nobody: Lender = () => Promise.resolve(err({ code: 'IDP_DENIED', message: 'no such source', detail: '' }));

async function issuedBy(provider: Provider): Promise<IssuedToken> {
  const end = await provider.fetch(REQUEST);
  if (!end.ok) throw new Error(`${end.error.code}: ${end.error.message} (${end.error.detail})`);
  return end.value;
}

async function failureOf(provider: Provider): Promise<ProviderFailure> {
  const end = await provider.fetch(REQUEST);
  if (end.ok) throw new Error('it did not fail');
  return end.error;
}

describe('what is asked for', () => {
  it('is a role with all that was configured', async () => {
    const operation = {
      ...ROLE,
      policy: '{"Version":"2012-10-17"}',
      policyArns: ['arn:aws:iam::aws:policy/ReadOnlyAccess'],
      externalId: 'ext-1',
      tags: new Map([['team', 'größte']]),
      transitiveTagKeys: ['team'],
    };
    await issuedBy(open({ operation, sessionDurationMs: 900_000 }));
    expect(sts.asked).toEqual([
      {
        Action: 'AssumeRole',
        Version: '2011-06-15',
        RoleArn: session.roleArn,
        RoleSessionName: session.sessionName,
        DurationSeconds: '900',
        Policy: '{"Version":"2012-10-17"}',
        'PolicyArns.member.1.arn': 'arn:aws:iam::aws:policy/ReadOnlyAccess',
        ExternalId: 'ext-1',
        'Tags.member.1.Key': 'team',
        'Tags.member.1.Value': 'größte',
        'TransitiveTagKeys.member.1': 'team',
      },
    ]);
  });

  it('is a session of the user', async () => {
    await issuedBy(open({ operation: { kind: 'get-session-token', access: KEYS } }));
    expect(sts.asked).toEqual([{ Action: 'GetSessionToken', Version: '2011-06-15', DurationSeconds: '3600' }]);
  });

  it('is asked with the web identity that its file holds at that time, and without keys', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'web-identity-'));
    onTestFinished(() => {
      rmSync(folder, { recursive: true });
    });
    const tokenFile = join(folder, 'token');
    const provider = open({ operation: { kind: 'assume-role-with-web-identity', ...session, tokenFile } });
    expect(await failureOf(provider)).toMatchObject({ code: 'IDP_UNAVAILABLE', detail: `${tokenFile}: ENOENT` });
    for (const token of ['first.identity', 'second.identity']) {
      writeFileSync(tokenFile, `${token}\n`);
      await issuedBy(provider);
    }
    writeFileSync(tokenFile, '');
    expect(await failureOf(provider)).toMatchObject({ code: 'IDP_UNAVAILABLE' });
    expect(sts.asked.map((fields) => fields['WebIdentityToken'])).toEqual(['first.identity', 'second.identity']);
  });
});

describe('the credential of another source', () => {
  it('signs: roles are chained, and each call is signed with what is lent at that time', async () => {
    const base = open({ name: 'base', operation: ROLE });
    const asked: string[] = [];
    const lend: Lender = async (source) => {
      asked.push(source);
      const { accessToken, tokenType } = await issuedBy(base);
      return ok({ accessToken, tokenType, remainingMs: 60_000 });
    };
    const operation = {
      ...ROLE,
      roleArn: 'arn:aws:iam::123456789012:role/second',
      access: { kind: 'source', source: 'base' },
    } as const;
    const chained = open({ operation }, lend);
    const first = readAwsCredentials((await issuedBy(chained)).accessToken.reveal());
    const second = readAwsCredentials((await issuedBy(chained)).accessToken.reveal());
    expect(first?.sessionToken).not.toBe(second?.sessionToken);
    expect(asked).toEqual(['base', 'base']);
    // The endpoint checks the signature with the keys that it has issued, and wants their session token.
    expect(sts.asked.map((fields) => fields['RoleArn']?.split('/')[1])).toEqual([
      'orders',
      'second',
      'orders',
      'second',
    ]);
  });

  it('must be there, and be one of AWS', async () => {
    const operation = { ...ROLE, access: { kind: 'source', source: 'base' } } as const;
    expect(await failureOf(open({ operation }))).toMatchObject({ code: 'IDP_DENIED', message: 'no such source' });
    const bearer: Lender = () =>
      Promise.resolve(ok({ accessToken: new Redacted('x'), tokenType: 'Bearer', remainingMs: 1 }));
    expect(await failureOf(open({ operation }, bearer))).toMatchObject({
      code: 'IDP_PROTOCOL',
      message: 'the credential of the source "base" is not one of AWS',
    });
    expect(sts.calls()).toBe(0);
  });
});

describe('the life', () => {
  it.each([600_000, -600_000])('is counted by the clock of AWS, which is %d ms ahead', async (aheadMs) => {
    sts.clockAheadMs = aheadMs;
    const { lifeMs } = await issuedBy(open({ operation: ROLE, sessionDurationMs: 900_000 }));
    expect(lifeMs).toBeLessThanOrEqual(900_000);
    expect(lifeMs).toBeGreaterThan(890_000);
  });
});

describe('a refusal', () => {
  const refusing = (status: number, code: string) => {
    sts.answer = () => [
      status,
      `<ErrorResponse><Error><Type>Sender</Type><Code>${code}</Code><Message>because ${KEYS.secretAccessKey.reveal()}</Message></Error></ErrorResponse>`,
    ];
  };

  it.each([
    [400, 'Throttling', 'QUOTA_EXHAUSTED'],
    [400, 'ThrottlingException', 'QUOTA_EXHAUSTED'],
    [400, 'RequestLimitExceeded', 'QUOTA_EXHAUSTED'],
    [429, 'Whatever', 'QUOTA_EXHAUSTED'],
    [403, 'AccessDenied', 'IDP_DENIED'],
    [400, 'ExpiredTokenException', 'IDP_DENIED'],
    [400, 'IDPRejectedClaim', 'IDP_DENIED'],
    [400, 'IDPCommunicationError', 'IDP_UNAVAILABLE'],
    [400, 'MalformedPolicyDocument', 'IDP_DENIED'],
    [500, 'InternalFailure', 'IDP_UNAVAILABLE'],
    [503, 'ServiceUnavailable', 'IDP_UNAVAILABLE'],
  ])('with status %d and %s is %s, after one call', async (status, code, expected) => {
    refusing(status, code);
    const failure = await failureOf(open({ operation: ROLE }));
    expect(failure.code).toBe(expected);
    expect(failure.refused).toBeUndefined();
    expect(sts.calls()).toBe(1);
    expect(failure.detail).toContain(code);
    expect(JSON.stringify(failure)).not.toContain(KEYS.secretAccessKey.reveal());
  });

  it('of the keys holds for whatever is asked with them', async () => {
    const unknown = { ...KEYS, accessKeyId: 'AKIAUNKNOWN00000' };
    expect(await failureOf(open({ operation: { ...ROLE, access: unknown } }))).toMatchObject({
      code: 'IDP_DENIED',
      refused: 'credential',
      message: 'AWS refused: InvalidClientTokenId',
    });
    const wrong = { ...KEYS, secretAccessKey: new Redacted('wrong') };
    expect(await failureOf(open({ operation: { ...ROLE, access: wrong } }))).toMatchObject({
      code: 'IDP_DENIED',
      refused: 'credential',
      message: 'AWS refused: SignatureDoesNotMatch',
    });
  });

  it.each([
    ['no credentials', '<AssumeRoleResponse><AssumeRoleResult></AssumeRoleResult></AssumeRoleResponse>'],
    [
      'no session token',
      '<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>A</AccessKeyId><SecretAccessKey>S</SecretAccessKey><Expiration>2100-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>',
    ],
    [
      'an end in the past',
      '<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>A</AccessKeyId><SecretAccessKey>S</SecretAccessKey><SessionToken>T</SessionToken><Expiration>2001-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>',
    ],
    ['no XML', 'credentials'],
    ['nothing', ''],
  ])('is what a success with %s comes to', async (_, text) => {
    sts.answer = () => [200, text];
    expect((await failureOf(open({ operation: ROLE }))).code).toBe('IDP_PROTOCOL');
  });

  it('without a word of AWS is not one of AWS', async () => {
    sts.answer = () => [404, '<html>not found</html>'];
    expect((await failureOf(open({ operation: ROLE }))).code).toMatch(/^IDP_(PROTOCOL|DENIED)$/);
  });

  it('is told where nobody listens', async () => {
    expect(await failureOf(open({ operation: ROLE, endpoint: 'http://127.0.0.1:1' }))).toMatchObject({
      code: 'IDP_UNAVAILABLE',
      message: 'AWS cannot be reached',
    });
  });
});
