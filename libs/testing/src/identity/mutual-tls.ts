import { X509Certificate } from 'node:crypto';
import { TLSSocket } from 'node:tls';
import type { TokenContext } from 'oidc-provider';
import type { IdentityClient } from './identity-client.js';

/**
 * `tls_client_auth` (RFC 8705 §2.1) as the provider wants it told: a client is authorised by the very certificate that it was
 * registered with. TLS itself has proven that whoever presents it holds its key.
 */
export function mutualTlsFeature(clients: readonly IdentityClient[]): Readonly<Record<string, unknown>> {
  const certificates = new Map<string, X509Certificate>();
  for (const { clientId, certificate } of clients) {
    if (certificate !== undefined) certificates.set(clientId, new X509Certificate(certificate));
  }
  return {
    enabled: true,
    tlsClientAuth: true,
    certificateBoundAccessTokens: true,
    getCertificate: (context: TokenContext) => certificateOf(context)?.toString(),
    certificateAuthorized: (context: TokenContext) => {
      const registered = certificates.get(context.oidc?.client?.clientId ?? '');
      return registered !== undefined && registered.fingerprint256 === certificateOf(context)?.fingerprint256;
    },
    certificateSubjectMatches: (context: TokenContext, property: string, expected: string) =>
      property === 'tls_client_auth_san_dns' && certificateOf(context)?.checkHost(expected) !== undefined,
  };
}

function certificateOf({ req }: TokenContext): X509Certificate | undefined {
  return req.socket instanceof TLSSocket ? req.socket.getPeerX509Certificate() : undefined;
}
