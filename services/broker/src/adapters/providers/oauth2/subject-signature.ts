import { err, ok, within, type Result } from '@token-broker/foundation';
import type { SubjectTokenConfiguration } from '@token-broker/configuration';
import { errors, jwtVerify, type JWTPayload, type JWTVerifyOptions } from 'jose';
import type { ProviderFailure } from '../../../app/ports/provider.js';
import { ExchangeError } from '../http/exchange.js';
import { IssuerKeys, type IssuerKeysOptions, type KeySet } from './issuer-keys.js';
import { failureOfExchange } from '../http/http-failure.js';
import { ServerMetadataReader } from './server-metadata.js';
import type { Upstream } from './upstream.js';

type JwtCheck = Extract<SubjectTokenConfiguration['check'], { readonly kind: 'jwt' }>;

/** Only such as need the issuer's own key to sign: a key that is public must not make a signature (RFC 8725 §3.1). */
const ALGORITHMS = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
];

const CLOCK_TOLERANCE_SECONDS = 30;

/** A token without a key id may have been signed by any of an issuer's keys. More of them are not tried. */
const MOST_KEYS_TRIED = 16;

/**
 * Checks JWTs by the keys of an issuer, which need not be the source's own. `undefined`: the token is not good. That the keys
 * cannot be read is a failure: it says nothing of the token.
 */
export function createSignatureCheck(
  upstream: Upstream,
  check: JwtCheck,
): (token: string) => Promise<Result<JWTPayload | undefined, ProviderFailure>> {
  const { clock, detail, source } = upstream;
  const { timeoutMs } = source;
  const keys = new IssuerKeys({ ...addressOf(upstream, check), clock, fetch: upstream.fetch, detail, timeoutMs });
  const verify = async (token: string): Promise<Result<JWTPayload | undefined, ProviderFailure>> => {
    const known = await keys.read();
    if (!known.ok) return known;
    let outcome = await verifyBy(token, known.value, check, clock.wallMs());
    if (outcome === 'unknown-key') {
      const newer = await keys.readNewerThan(known.value);
      if (!newer.ok) return newer;
      if (newer.value !== known.value) outcome = await verifyBy(token, newer.value, check, clock.wallMs());
    }
    return ok(outcome === 'unknown-key' ? undefined : outcome);
  };
  return async (token) => {
    const asked = 'the key set';
    try {
      // Metadata and keys have deadlines of their own, one after the other.
      const timed = await within(clock, timeoutMs, verify(token));
      if (timed.inTime) return timed.value;
      const late = new ExchangeError('timeout', `no key within ${String(timeoutMs)} ms`);
      return err(failureOfExchange(late, { asked, detail }));
    } catch (error) {
      const message = "the issuer's key cannot be used";
      const said = detail(`${asked}: ${error instanceof Error ? error.message : String(error)}`);
      return err({ code: 'IDP_PROTOCOL', message, detail: said });
    }
  };
}

/** Where the issuer's keys are: as configured, or as its metadata say. */
function addressOf(
  { source, clock, fetch, detail }: Upstream,
  { issuer, jwksUri }: JwtCheck,
): Pick<IssuerKeysOptions, 'address' | 'forgetAddress'> {
  if (jwksUri !== undefined) {
    const isAllowed = source.allowInsecureHttp || jwksUri.startsWith('https://');
    const message = "the address of the issuer's keys is not https://";
    const address = isAllowed ? ok(jwksUri) : err({ code: 'IDP_PROTOCOL' as const, message, detail: message });
    return { address: () => Promise.resolve(address), forgetAddress: () => undefined };
  }
  // Of its own, also for the source's own issuer: that of workload identities names no token endpoint.
  const reader = new ServerMetadataReader(
    { ...source, endpoint: { kind: 'issuer', issuer }, needs: 'jwks_uri' },
    { clock, fetch, detail },
  );
  return {
    address: async () => {
      const server = await reader.read();
      return server.ok ? ok(server.value.jwks_uri ?? '') : server;
    },
    forgetAddress: () => {
      reader.forget();
    },
  };
}

/** The claims of a good token. */
async function verifyBy(
  token: string,
  keys: KeySet,
  { issuer, audience }: JwtCheck,
  wallMs: number,
): Promise<JWTPayload | 'unknown-key' | undefined> {
  const options: JWTVerifyOptions = {
    algorithms: ALGORITHMS,
    issuer,
    ...(audience === undefined ? {} : { audience }),
    clockTolerance: CLOCK_TOLERANCE_SECONDS,
    currentDate: new Date(wallMs),
    requiredClaims: ['exp'],
  };
  try {
    return (await jwtVerify(token, keys, options)).payload;
  } catch (error) {
    if (error instanceof errors.JWKSMultipleMatchingKeys) return verifyByAny(token, error, options);
    if (error instanceof errors.JWKSNoMatchingKey) return 'unknown-key';
    throwUnlessOfToken(error);
    return undefined;
  }
}

async function verifyByAny(
  token: string,
  candidates: errors.JWKSMultipleMatchingKeys,
  options: JWTVerifyOptions,
): Promise<JWTPayload | undefined> {
  let tried = 0;
  for await (const key of candidates) {
    if ((tried += 1) > MOST_KEYS_TRIED) break;
    try {
      return (await jwtVerify(token, key, options)).payload;
    } catch (error) {
      throwUnlessOfToken(error);
      if (!(error instanceof errors.JWSSignatureVerificationFailed)) return undefined;
    }
  }
  return undefined;
}

/** Errors that say: the token is not good. Anything else that can happen is no fault of the token, and thrown on. */
function throwUnlessOfToken(error: unknown): void {
  const isOfToken =
    error instanceof errors.JWTExpired ||
    error instanceof errors.JWTClaimValidationFailed ||
    error instanceof errors.JWTInvalid ||
    error instanceof errors.JWSInvalid ||
    error instanceof errors.JWSSignatureVerificationFailed ||
    error instanceof errors.JOSEAlgNotAllowed ||
    error instanceof errors.JOSENotSupported;
  if (!isOfToken) throw error;
}
