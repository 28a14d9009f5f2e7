import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatProblems } from './index.js';
import { CANARY } from './fakes/refused-documents.js';
import {
  bearer,
  byKey,
  byTls,
  ec,
  exchange,
  explicit,
  HOUR,
  pem,
  BASE,
  documentOf,
  having,
  problemsOf,
  type Settings,
} from './fakes/oauth2-sources.js';

describe('a refused OAuth 2.0 source', () => {
  it('starts from a valid one', async () => {
    expect(await problemsOf(documentOf({ payments: BASE }))).toEqual([]);
  });

  it('reads a certificate from a file that everybody may read', async () => {
    expect(await problemsOf(documentOf({ payments: having(byTls({ certificate: '${file:public.pem}' })) }))).toEqual(
      [],
    );
  });

  it('names everything that is wrong with it at once', async () => {
    const problems = await problemsOf(
      documentOf({
        payments: having({
          grant: 'token_exchange',
          clientAuthentication: 'private_key_jwt',
          keyId: '',
          subjectToken: { check: 'jwt', issuer: 'name', typ: 'x' },
          proxy: 'proxy',
          refresh: { keepWarm: true },
          quota: { limit: 0, window: '1h', reserve: '200%' },
        }),
      }),
    );
    const paths = ['clientSecret', 'keyId', 'privateKey', 'proxy', 'quota.limit', 'quota.reserve', 'refresh.keepWarm'];
    paths.push('subjectToken.jwksUri', 'subjectToken.typ');
    expect(problems.map(({ path }) => path).sort()).toEqual(paths.map((path) => `sources.payments.${path}`));
  });

  it('is told of one upstream that two sources give different quotas, with both names', async () => {
    const quota = { limit: 100, window: '1h' };
    const problems = await problemsOf(
      documentOf({
        first: having({ quota }),
        second: having({ scope: 'read', quota: { ...quota, limit: 200 } }),
        silent: having({ scope: 'write' }),
        alike: having({ quota: [{ limit: 100, window: '60m', reserve: 10 }] }),
        stranger: having({ clientId: 'ledger', quota: { limit: 7, window: 'day' } }),
        elsewhere: having({ issuer: 'https://other.example.com', quota: { limit: 8, window: 'day' } }),
      }),
    );
    expect(problems).toMatchObject([
      { path: 'sources.second.quota', message: expect.stringContaining('is not sources.first.quota') as unknown },
    ]);
  });
});

describe('an OAuth 2.0 source with anything in the place of a setting', () => {
  it('never throws and never shows a secret', async () => {
    const sources: readonly Settings[] = [
      byKey(pem(ec.privateKey), { keyId: 'k', signingAlgorithm: 'ES256', proxy: 'http://proxy' }),
      byTls(explicit({ revocationEndpoint: 'https://idp/r', introspectionEndpoint: 'https://idp/i' })),
      bearer({ claims: { a: 1 } }, { quota: { ...HOUR, reserve: '5%' } }),
      exchange({ check: 'jwt', issuer: 'i', jwksUri: 'https://k', ownerClaim: 'azp' }, { quota: [HOUR] }),
      { grant: 'jwt_bearer', assertion: { from: 'caller' }, subjectToken: { type: 'urn:x' } },
    ];
    const inner = ['from', 'privateKey', 'claims', 'check', 'issuer', 'jwksUri', 'type', 'limit', 'window', 'reserve'];
    const secret = fc.constantFrom(CANARY, [CANARY], { a: CANARY }, `{"kty":"${CANARY}"}`, '${env:GONE}');
    const place = fc.constantFrom(
      ...sources.flatMap((source) =>
        Object.keys(having(source)).flatMap((key) => [
          { source, key, path: '' },
          ...inner.map((path) => ({ source, key, path })),
        ]),
      ),
    );
    await fc.assert(
      fc.asyncProperty(place, fc.oneof(secret, fc.jsonValue()), async ({ source, key, path }, value) => {
        const before = having(source)[key];
        const mapping = typeof before === 'object' ? before : {};
        const changed = path === '' ? value : { ...mapping, [path]: value };
        const problems = await problemsOf(documentOf({ payments: having({ ...source, [key]: changed }) }));
        expect(formatProblems(problems, 'f')).not.toContain(CANARY);
      }),
      { numRuns: 500 },
    );
  });
});

describe('refused client ids of a caller', () => {
  it.each([
    ['text', 'orders', 'callers.orders.clientIds', 'expected a list, got text'],
    ['an empty one', ['a', ''], 'callers.orders.clientIds[1]', 'is empty'],
    ['one twice', ['a', 'b', 'a'], 'callers.orders.clientIds[2]', 'is in the list already'],
  ])('%s', async (_name, clientIds, path, words) => {
    const problems = await problemsOf(documentOf({ payments: BASE }, { clientIds }));
    expect(problems).toMatchObject([{ path, message: expect.stringContaining(words) as unknown }]);
  });
});
