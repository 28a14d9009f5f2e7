import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { traitsOf, type AwsStsOperation, type SourceConfiguration } from '@token-broker/configuration';
import { Redacted } from '@token-broker/foundation';
import { expect, it, onTestFinished } from 'vitest';
import { KEYS, session, stsSource } from '../fakes/sts-source.js';
import { startSts } from '../fakes/sts-endpoint.js';
import { itKeepsTheContract, type ContractBed, type ContractKind } from '../fakes/contract/provider-contract.js';

type AssumeRole = Extract<AwsStsOperation, { kind: 'assume-role' }>;

async function start(operation: AwsStsOperation): Promise<ContractBed> {
  const sts = await startSts();
  sts.keys.set(KEYS.accessKeyId, { accessKeyId: KEYS.accessKeyId, secretAccessKey: KEYS.secretAccessKey.reveal() });
  return {
    source: stsSource({ operation, endpoint: sts.url }),
    takenBack: [],
    calls: () => sts.calls(),
    will: (behaviour) => {
      sts.will(behaviour);
    },
  };
}

const having =
  (change: Parameters<typeof stsSource>[0]) =>
  (source: SourceConfiguration): SourceConfiguration => ({ ...(source as ReturnType<typeof stsSource>), ...change });

const role: AssumeRole = {
  kind: 'assume-role',
  ...session,
  access: KEYS,
  tags: new Map(),
  transitiveTagKeys: [],
};
const assuming = (change: Partial<AssumeRole>) => having({ operation: { ...role, ...change } });

const shared = {
  tokenType: 'aws-credentials',
  sameTokens: { timeout: having({ timeoutMs: 1, lockTimeMs: 2 }) },
} satisfies Partial<ContractKind>;

const changes = {
  region: having({ region: 'us-east-1' }),
  endpoint: having({ endpoint: 'https://sts.example.com' }),
  CA: having({ ca: 'other' }),
  duration: having({ sessionDurationMs: 900_000 }),
};

itKeepsTheContract('aws-sts: AssumeRole', {
  ...shared,
  start: () => start(role),
  changes: {
    ...changes,
    role: assuming({ roleArn: 'arn:aws:iam::123456789012:role/other' }),
    'session name': assuming({ sessionName: 'other' }),
    'external id': assuming({ externalId: 'other' }),
    tags: assuming({ tags: new Map([['team', 'orders']]) }),
    'transitive tags': assuming({ transitiveTagKeys: ['team'] }),
    policy: assuming({ policy: '{}' }),
    'managed policies': assuming({ policyArns: ['arn:aws:iam::aws:policy/ReadOnlyAccess'] }),
    'access key': assuming({ access: { ...KEYS, accessKeyId: 'AKIAOTHER0000000' } }),
    'secret access key': assuming({ access: { ...KEYS, secretAccessKey: new Redacted('other') } }),
    'session token of the keys': assuming({ access: { ...KEYS, sessionToken: new Redacted('other') } }),
    'source of the credentials': assuming({ access: { kind: 'source', source: 'base' } }),
    operation: having({ operation: { kind: 'get-session-token', access: KEYS } }),
  },
});

itKeepsTheContract('aws-sts: GetSessionToken', {
  ...shared,
  start: () => start({ kind: 'get-session-token', access: KEYS }),
  changes,
});

itKeepsTheContract('aws-sts: AssumeRoleWithWebIdentity', {
  ...shared,
  start: () => {
    const folder = mkdtempSync(join(tmpdir(), 'web-identity-'));
    onTestFinished(() => {
      rmSync(folder, { recursive: true });
    });
    writeFileSync(join(folder, 'token'), 'canary.of.an-identity\n', { mode: 0o600 });
    return start({ kind: 'assume-role-with-web-identity', ...session, tokenFile: join(folder, 'token') });
  },
  changes: {
    ...changes,
    file: having({ operation: { kind: 'assume-role-with-web-identity', ...session, tokenFile: '/other' } }),
  },
});

it('has another recipe when the source has one that lends it its credential (K2)', () => {
  const recipe = (ofLender: string): string => {
    const lender = stsSource({ name: 'base', operation: { ...role, roleArn: ofLender } });
    const source = stsSource({ operation: { ...role, access: { kind: 'source', source: 'base' } } });
    return JSON.stringify(traitsOf(source, new Map([['base', lender]])).recipe);
  };
  expect(recipe('arn:aws:iam::123456789012:role/one')).not.toBe(recipe('arn:aws:iam::123456789012:role/two'));
});
