import { Redacted } from '@token-broker/foundation';
import { VirtualClock } from '@token-broker/testing';
import { describe, expect, it } from 'vitest';
import {
  claimsOf,
  CLIENT_ID,
  createKey,
  endpointOf,
  failureOf,
  headerOf,
  issuerOf,
  openProvider,
  startIdp,
  startScript,
} from '../fakes/oauth2-bed.js';

const ANY = { scopes: [] };
const TOKEN = { access_token: 'token', token_type: 'Bearer', expires_in: 600 };

describe('a client that proves itself by private_key_jwt', () => {
  it.each(['RS256', 'RS512', 'PS256', 'ES256', 'ES384', 'EdDSA'] as const)(
    'gets tokens at a real identity provider: %s, in PEM and as JWK',
    async (algorithm) => {
      const { signingKey, asJwk, publicKey } = await createKey(algorithm, 'key-1');
      const clients = [{ clientId: CLIENT_ID, clientAuthentication: 'private_key_jwt' as const, keys: [publicKey] }];
      const idp = await startIdp({ clients });
      for (const privateKey of [signingKey.privateKey, asJwk]) {
        for (const endpoint of [issuerOf(idp), endpointOf(idp)]) {
          const clientAuthentication = { kind: 'private_key_jwt' as const, key: { ...signingKey, privateKey } };
          const { provider } = openProvider({ ...endpoint, clientAuthentication });
          expect(await provider.fetch(ANY)).toMatchObject({ ok: true });
        }
      }
      const assertions = idp.requests().map(({ form }) => form.get('client_assertion'));
      expect(assertions.map(headerOf)).toEqual(assertions.map(() => ({ alg: algorithm, kid: 'key-1' })));
      const audiences = [idp.issuer, idp.tokenEndpoint];
      expect(assertions.map((assertion) => claimsOf(assertion)['aud'])).toEqual([...audiences, ...audiences]);
      expect(idp.requests()[0]?.headers.authorization).toBeUndefined();
    },
  );

  it('signs an assertion of its own for each request: the identity provider takes none twice', async () => {
    const { signingKey, publicKey } = await createKey('ES256', 'key-1');
    const clients = [{ clientId: CLIENT_ID, clientAuthentication: 'private_key_jwt' as const, keys: [publicKey] }];
    const idp = await startIdp({ clients });
    const { provider } = openProvider({
      ...issuerOf(idp),
      clientAuthentication: { kind: 'private_key_jwt', key: signingKey },
    });
    const issued = await Promise.all([provider.fetch(ANY), provider.fetch(ANY), provider.fetch(ANY)]);
    expect(issued.map(({ ok }) => ok)).toEqual([true, true, true]);
    const ids = idp.requests().map(({ form }) => claimsOf(form.get('client_assertion'))['jti']);
    expect(new Set(ids).size).toBe(3);
  });

  it('is denied with a key that is not the registered one: no call of this credential will do better', async () => {
    const [own, registered] = [await createKey('ES256', 'key-1'), await createKey('ES256', 'key-1')];
    const clients = [
      { clientId: CLIENT_ID, clientAuthentication: 'private_key_jwt' as const, keys: [registered.publicKey] },
    ];
    const idp = await startIdp({ clients });
    const { provider } = openProvider({
      ...issuerOf(idp),
      clientAuthentication: { kind: 'private_key_jwt', key: own.signingKey },
    });
    expect(failureOf(await provider.fetch(ANY))).toMatchObject({ code: 'IDP_DENIED', refused: 'credential' });
    expect(idp.counts().tokenRequests).toBe(1);
  });

  it("signs by the broker's clock, for a minute, and names the key of the JWK where no other name is configured", async () => {
    const { signingKey, asJwk } = await createKey('ES256', 'unused');
    const named = JSON.stringify({ ...(JSON.parse(asJwk.reveal()) as object), kid: 'of-the-jwk' });
    const idp = await startScript(() => ({ body: TOKEN }));
    const clock = new VirtualClock();
    const key = { algorithm: signingKey.algorithm, privateKey: new Redacted(named) };
    const { provider } = openProvider(
      { ...endpointOf(idp), clientAuthentication: { kind: 'private_key_jwt', key } },
      clock,
    );
    await provider.fetch(ANY);
    const assertion = idp.requests[0]?.form['client_assertion'];
    const nowSeconds = Math.floor(clock.wallMs() / 1_000);
    expect(headerOf(assertion)).toEqual({ alg: 'ES256', kid: 'of-the-jwk' });
    expect(claimsOf(assertion)).toEqual({
      iss: CLIENT_ID,
      sub: CLIENT_ID,
      aud: idp.tokenEndpoint,
      jti: expect.stringMatching(/^[\w-]{20,}$/) as string,
      iat: nowSeconds,
      exp: nowSeconds + 60,
    });
  });

  it.each([
    ['PEM that is cut', (pem: string) => pem.slice(0, 80)],
    ['a JWK that is cut', () => '{"kty":"EC","d":"canary-of-the-key'],
    ['a key of another kind', (_: string, other: string) => other],
    ['a public key', () => '{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA"}'],
    ['a secret', () => '{"kty":"oct","k":"Y2FuYXJ5LW9mLXRoZS1rZXk"}'],
  ])('tells nothing of a key that cannot be used: %s', async (_, spoil) => {
    const { signingKey } = await createKey('ES256', 'key-1');
    const other = await createKey('ES384', 'key-1');
    const idp = await startScript(() => ({ body: TOKEN }));
    const privateKey = new Redacted(spoil(signingKey.privateKey.reveal(), other.signingKey.privateKey.reveal()));
    const { provider, lines } = openProvider({
      ...endpointOf(idp),
      clientAuthentication: { kind: 'private_key_jwt', key: { ...signingKey, privateKey } },
    });
    const failure = failureOf(await provider.fetch(ANY));
    expect(failure).toMatchObject({ code: 'IDP_PROTOCOL', message: 'the token request could not be made' });
    expect(failure.detail).toBe('the token request: the private key cannot sign by ES256');
    expect(idp.requests).toHaveLength(0);
    expect(lines).toEqual([]);
  });
});
