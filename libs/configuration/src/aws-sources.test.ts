import { describe, expect, it } from 'vitest';
import { formatProblems, type SourceConfiguration } from './index.js';
import { documentOf, load, problemsOf, type Settings } from './fakes/oauth2-sources.js';

const KEYS = { accessKeyId: 'AKIACANARY000000', secretAccessKey: 'canary/of+the/user' };
const ROLE = {
  provider: 'aws-sts',
  region: 'eu-central-1',
  roleArn: 'arn:aws:iam::123456789012:role/orders',
  credentials: KEYS,
};
const WEB = { ...ROLE, operation: 'assume-role-with-web-identity', credentials: undefined, webIdentityTokenFile: '/t' };
const SESSION = { provider: 'aws-sts', region: 'eu-central-1', operation: 'get-session-token', credentials: KEYS };
const RDS = { provider: 'aws-rds-iam', host: 'db.example.com', port: 5432, user: 'orders', region: 'eu-central-1' };

const written = (settings: Settings): Settings =>
  Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));

async function sourceOf(settings: Settings): Promise<SourceConfiguration | undefined> {
  return (await load(documentOf({ key: written(settings) }))).sources.get('key');
}

describe('a source of AWS', () => {
  it('assumes a role, under a name that says who it is, for an hour', async () => {
    const source = await sourceOf({ ...ROLE, policy: { Version: '2012-10-17' }, sessionTags: { team: 'orders' } });
    expect(source).toMatchObject({
      sessionDurationMs: 3_600_000,
      operation: {
        kind: 'assume-role',
        roleArn: ROLE.roleArn,
        sessionName: 'token-broker-key',
        policy: '{"Version":"2012-10-17"}',
        access: { kind: 'keys', accessKeyId: KEYS.accessKeyId },
      },
    });
    expect(JSON.stringify(source)).not.toContain(KEYS.secretAccessKey);
  });

  it('assumes a role by a web identity, or opens a session', async () => {
    expect(await sourceOf(WEB)).toMatchObject({
      operation: { kind: 'assume-role-with-web-identity', tokenFile: '/t' },
    });
    expect(await sourceOf({ ...SESSION, sessionDuration: '36h' })).toMatchObject({ sessionDurationMs: 129_600_000 });
  });

  it('may sign with the credential of another source', async () => {
    const sources = { base: ROLE, db: { ...RDS, credentials: { source: 'base' } } };
    expect((await load(documentOf(sources))).sources.get('db')).toMatchObject({
      access: { kind: 'source', source: 'base' },
      port: 5_432,
    });
  });

  it.each<[string, Settings, string, string]>([
    ['no role', { ...ROLE, roleArn: undefined }, 'roleArn', 'is required for assume-role'],
    ['a role that is none', { ...ROLE, roleArn: 'orders' }, 'roleArn', 'is not the ARN of a role'],
    ['no credentials', { ...ROLE, credentials: undefined }, 'credentials', 'is required for assume-role'],
    [
      'half of the keys',
      { ...ROLE, credentials: { accessKeyId: KEYS.accessKeyId } },
      'credentials.secretAccessKey',
      'is required',
    ],
    [
      'keys beside a source',
      { ...ROLE, credentials: { ...KEYS, source: 'x' } },
      'credentials.accessKeyId',
      'never used beside',
    ],
    ['no region', { ...ROLE, region: undefined }, 'region', 'is required'],
    ['a region that is none', { ...ROLE, region: 'Frankfurt' }, 'region', 'is not a region of AWS'],
    ['too short a session', { ...ROLE, sessionDuration: '5m' }, 'sessionDuration', 'at least 15m'],
    ['too long a session', { ...ROLE, sessionDuration: '13h' }, 'sessionDuration', 'at most 12h'],
    ['keys beside a web identity', { ...WEB, credentials: KEYS }, 'credentials', 'never used with operation'],
    ['no file', { ...WEB, webIdentityTokenFile: undefined }, 'webIdentityTokenFile', 'is required for'],
    ['a file that is relative', { ...WEB, webIdentityTokenFile: 't' }, 'webIdentityTokenFile', 'is no absolute path'],
    [
      'a role of a session',
      { ...SESSION, roleArn: ROLE.roleArn },
      'roleArn',
      'never used with operation: get-session-token',
    ],
    ['an operation of another name', { ...ROLE, operation: 'assume-rol' }, 'operation', 'did you mean "assume-role"?'],
    ['a policy that is none', { ...ROLE, policy: '{' }, 'policy', 'expected a policy document'],
    [
      'a tag that goes on and is none',
      { ...ROLE, transitiveTagKeys: ['team'] },
      'transitiveTagKeys[0]',
      'no key of sessionTags',
    ],
    ['an endpoint in clear', { ...ROLE, endpoint: 'http://sts.example.com' }, 'endpoint', 'in clear'],
    ['a database without a host', { ...RDS, host: 'a b', credentials: KEYS }, 'host', 'is not the name of a host'],
    ['a database without credentials', RDS, 'credentials', 'is required'],
  ])('is refused with %s', async (_, settings, path, words) => {
    const problems = await problemsOf(documentOf({ key: written(settings) }));
    expect(problems.map((problem) => problem.path)[0]).toBe(`sources.key.${path}`);
    const printed = formatProblems(problems, 'broker.yaml');
    expect(printed).toContain(words);
    expect(printed).not.toContain(KEYS.secretAccessKey);
  });

  it.each<[string, Settings, string]>([
    ['is not there', { db: { ...RDS, credentials: { source: 'bas' } }, base: ROLE }, 'did you mean "base"?'],
    [
      'issues no credentials of AWS',
      { db: { ...RDS, credentials: { source: 'base' } }, base: { provider: 'static', value: 'x' } },
      'is a source without credentials of AWS',
    ],
    ['is itself', { db: { ...ROLE, credentials: { source: 'db' } } }, 'leads back to this source'],
    [
      'leads back in a circle',
      {
        db: { ...ROLE, credentials: { source: 'b' } },
        b: { ...ROLE, credentials: { source: 'db' } },
      },
      'leads back to this source',
    ],
  ])('is refused where the source that lends to it %s', async (_, sources, words) => {
    const problems = await problemsOf(documentOf(sources as Readonly<Record<string, Settings>>));
    expect(problems[0]?.path).toMatch(/^sources\.(db|b)\.credentials\.source$/);
    expect(formatProblems(problems, 'broker.yaml')).toContain(words);
  });
});
