import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { SourceConfiguration } from '@token-broker/configuration';
import { createSystemClock, Redacted, type Result } from '@token-broker/foundation';
import { createCertificate } from '@token-broker/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { IssuedToken, ProviderFailure } from '../../../app/ports/provider.js';
import { entraSource, startEntra } from '../fakes/entra-endpoint.js';
import { googleSource, IMPERSONATION, startGoogle } from '../fakes/google-endpoints.js';
import { lendNothing } from '../fakes/lend-nothing.js';
import { failureOf, valueOf } from '../fakes/oauth2-bed.js';
import { silentLog } from '../fakes/silent-log.js';
import { createProvider } from '../provider-registry.js';

/** All that any of the kinds looks for in a reply. */
const TOKEN = {
  access_token: 'token',
  token_type: 'Bearer',
  expires_in: 600,
  issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
  accessToken: 'token',
  expireTime: '2999-01-01T00:00:00Z',
};

interface Way {
  readonly ca?: string;
  readonly proxy?: Redacted;
}

/** A source of each kind that asks at `url`, or at its own endpoint, by such a way. */
const KINDS: Readonly<Record<string, (way: Way, url?: string) => Promise<SourceConfiguration>>> = {
  'azure-workload-identity': async (way, url) =>
    entraSource(await startEntra(), { ...way, ...(url === undefined ? {} : { authority: url }) }),
  'google-workload-identity': async (way, url) => {
    const place = url === undefined ? {} : { stsEndpoint: `${url}/v1/token`, iamCredentialsEndpoint: url };
    return googleSource(await startGoogle(), { ...way, ...place, impersonation: IMPERSONATION });
  },
};

function ask(source: SourceConfiguration): Promise<Result<IssuedToken, ProviderFailure>> {
  const provider = createProvider(source, { clock: createSystemClock(), log: silentLog, lend: lendNothing });
  onTestFinished(() => provider.close());
  return provider.fetch({ scopes: source.scopes });
}

async function startTls(): Promise<{ readonly url: string; readonly ca: string; readonly calls: () => number }> {
  const { cert, key } = await createCertificate();
  let calls = 0;
  const server = createServer({ cert, key }, (request, response) => {
    calls++;
    request.resume();
    response.end(JSON.stringify(TOKEN));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `https://127.0.0.1:${String((server.address() as AddressInfo).port)}`, ca: cert, calls: () => calls };
}

describe.each(Object.entries(KINDS))('a source of %s', (_, sourceBy) => {
  it('trusts the authority that it names, and nobody whom it does not know', async () => {
    const { url, ca, calls } = await startTls();
    expect(failureOf(await ask(await sourceBy({}, url)))).toMatchObject({
      code: 'IDP_UNAVAILABLE',
      detail: expect.stringContaining('self-signed certificate') as string,
    });
    expect(calls()).toBe(0);
    expect(valueOf(await ask(await sourceBy({ ca }, url)))).toMatchObject({ tokenType: 'Bearer' });
    expect(calls()).toBeGreaterThan(0);
  });

  it('goes by its proxy or not at all, and tells nobody the password', async () => {
    expect((await ask(await sourceBy({}))).ok).toBe(true);
    // Nobody listens there.
    const failure = failureOf(await ask(await sourceBy({ proxy: new Redacted('http://user:canary@127.0.0.1:1') })));
    expect(failure).toMatchObject({ code: 'IDP_UNAVAILABLE' });
    expect(JSON.stringify(failure)).not.toContain('canary');
  });
});
