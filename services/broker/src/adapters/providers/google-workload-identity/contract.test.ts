import {
  traitsOf,
  type GoogleWorkloadIdentitySourceConfiguration,
  type SourceConfiguration,
} from '@token-broker/configuration';
import { Redacted } from '@token-broker/foundation';
import { expect, it } from 'vitest';
import { itKeepsTheContract, type ContractBed } from '../fakes/contract/provider-contract.js';
import { DELEGATE, googleSource, IMPERSONATION, startGoogle } from '../fakes/google-endpoints.js';

type Google = GoogleWorkloadIdentitySourceConfiguration;

async function start(change: Partial<Google>): Promise<ContractBed> {
  const google = await startGoogle();
  const last = change.impersonation === undefined ? 'sts' : 'iam';
  return {
    source: googleSource(google, change),
    takenBack: [],
    calls: () => google.asked(last).length,
    will: (behaviour) => {
      google.will(last, behaviour);
    },
  };
}

const having =
  (change: Partial<Google>) =>
  (source: SourceConfiguration): SourceConfiguration => ({ ...(source as Google), ...change });

const shared = {
  tokenType: 'Bearer',
  sameTokens: { timeout: having({ timeoutMs: 1, lockTimeMs: 2 }) },
};

const changes = {
  pool: having({ workloadIdentityProvider: '//iam.googleapis.com/projects/1/other' }),
  file: having({ subject: { kind: 'file', file: '/other' } }),
  'field of the file': having({ subject: { kind: 'file', file: '/other', field: 'other' } }),
  'source of the subject token': having({ subject: { kind: 'source', source: 'other' } }),
  'type of the subject token': having({ subjectTokenType: 'urn:ietf:params:oauth:token-type:id_token' }),
  scope: having({ scopes: ['https://www.googleapis.com/auth/bigquery'] }),
  'endpoint of the exchange': having({ stsEndpoint: 'https://sts.example.com' }),
  CA: having({ ca: 'other' }),
  proxy: having({ proxy: new Redacted('http://proxy:3128') }),
};

itKeepsTheContract('google-workload-identity, with tokens of the pool', {
  ...shared,
  start: () => start({}),
  changes: { ...changes, 'service account, where there was none': having({ impersonation: IMPERSONATION }) },
});

itKeepsTheContract('google-workload-identity, with tokens of a service account', {
  ...shared,
  start: () => start({ impersonation: IMPERSONATION }),
  changes: {
    ...changes,
    'service account': having({ impersonation: { ...IMPERSONATION, serviceAccount: 'other' } }),
    delegate: having({ impersonation: { ...IMPERSONATION, delegates: [DELEGATE] } }),
    life: having({ impersonation: { ...IMPERSONATION, lifetimeMs: 60_000 } }),
    'endpoint that impersonates': having({ iamCredentialsEndpoint: 'https://iam.example.com' }),
  },
});

it('has another recipe when the source has one that lends it its token (K2)', async () => {
  const google = await startGoogle();
  const recipe = (scope: string): string => {
    const lender = googleSource(google, { name: 'lender', scopes: [scope] });
    const source = googleSource(google, { subject: { kind: 'source', source: 'lender' } });
    return JSON.stringify(traitsOf(source, new Map([['lender', lender]])).recipe);
  };
  expect(recipe('one')).not.toBe(recipe('two'));
});
