import { Redacted } from '@token-broker/foundation';
import { createCertificate, type TestCertificate } from '@token-broker/testing';
import { expect, it } from 'vitest';
import { CLIENT_ID, endpointOf, failureOf, issuerOf, openProvider, startIdp, valueOf } from '../fakes/oauth2-bed.js';

const ANY = { scopes: [] };

async function startMutualIdp({ boundTokens = false } = {}) {
  const [server, client] = [await createCertificate(), await createCertificate()];
  const idp = await startIdp({
    clients: [
      {
        clientId: CLIENT_ID,
        clientAuthentication: 'tls_client_auth',
        certificate: client.cert,
        certificateBoundTokens: boundTokens,
      },
    ],
    tls: server,
    tokenFormat: 'jwt',
  });
  const source = (certificate: TestCertificate) => ({
    ...issuerOf(idp),
    allowInsecureHttp: false,
    ca: server.cert,
    clientAuthentication: {
      kind: 'tls_client_auth' as const,
      certificate: certificate.cert,
      key: new Redacted(certificate.key),
    },
  });
  return { idp, server, client, source };
}

it('a client is known by its certificate, at the aliases that the metadata name', async () => {
  const { idp, client, source } = await startMutualIdp();
  const { provider } = openProvider(source(client));
  const issued = valueOf(await provider.fetch(ANY));
  expect(await provider.revoke(issued.accessToken)).toEqual({ ok: true, value: 'revoked' });
  const alias = new URL(idp.mutualTlsTokenEndpoint ?? '');
  for (const requests of [idp.requests(), idp.revocation.requests()]) {
    expect(requests.map(({ headers }) => headers.host)).toEqual([alias.host]);
    expect(requests[0]?.form.get('client_id')).toBe(CLIENT_ID);
    expect(requests[0]?.headers.authorization).toBeUndefined();
  }
});

it('a client is known by its certificate at an endpoint that was configured', async () => {
  const { idp, client, source } = await startMutualIdp();
  const settings = { ...source(client), ...endpointOf({ tokenEndpoint: idp.mutualTlsTokenEndpoint ?? '' }) };
  expect(await openProvider(settings).provider.fetch(ANY)).toMatchObject({ ok: true });
});

it('a client is denied where another certificate than its own is shown, or none is asked for', async () => {
  const { idp, client, source } = await startMutualIdp();
  const stranger = openProvider(source(await createCertificate()));
  // The main port asks for no certificate.
  const unasked = openProvider({ ...source(client), ...endpointOf(idp) });
  for (const { provider } of [stranger, unasked]) {
    expect(failureOf(await provider.fetch(ANY))).toMatchObject({ code: 'IDP_DENIED', refused: 'credential' });
  }
});

it('a token that is bound to the certificate is refused: callers could not use it', async () => {
  const { client, source } = await startMutualIdp({ boundTokens: true });
  const failure = failureOf(await openProvider(source(client)).provider.fetch(ANY));
  expect(failure).toMatchObject({ code: 'IDP_PROTOCOL', message: expect.stringContaining('mutual TLS') as string });
});

it('the certificate of the server is verified all the same', async () => {
  const { client, source } = await startMutualIdp();
  const settings = { ...source(client), ca: (await createCertificate()).cert };
  expect(failureOf(await openProvider(settings).provider.fetch(ANY)).code).toBe('IDP_UNAVAILABLE');
});
