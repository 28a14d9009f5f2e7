import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { ok, Redacted, type Result } from '@token-broker/foundation';
import type { z } from 'zod';
import type { TlsConfiguration } from './configuration.js';
import { text } from './scalars.js';
import { crossCheck, refuse, setting, settings, wrongKind, type Refusal, type Setting } from './settings.js';

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** PEM text of one certificate or more; each must parse. */
export function certificates(description: string): Setting<string> {
  return setting({ type: 'string', minLength: 1, description }, (input) => {
    if (typeof input !== 'string') return refuse(wrongKind('PEM text', input));
    const parsed = parseCertificates(input);
    return parsed.ok ? ok(input) : parsed;
  });
}

function parseCertificates(pem: string): Result<X509Certificate[], Refusal> {
  const blocks = pem.match(PEM_CERTIFICATE) ?? [];
  if (blocks.length === 0) {
    return refuse(
      'expected a PEM certificate ("-----BEGIN CERTIFICATE-----")',
      'for a file: "${file:/path/to/ca.pem}"',
    );
  }
  try {
    return ok(blocks.map((block) => new X509Certificate(block)));
  } catch {
    return refuse('the certificate does not parse');
  }
}

/** PEM text of a private key without a passphrase. */
export function privateKey(description: string): Setting<Redacted> {
  return setting({ type: 'string', minLength: 1, writeOnly: true, description }, (input) => {
    if (typeof input !== 'string') return refuse(wrongKind('PEM text', input));
    if (input.trim() === '') return refuse('the secret is empty');
    if (parsePrivateKey(input) !== undefined) return ok(new Redacted(input));
    return input.includes('ENCRYPTED')
      ? refuse('the private key is encrypted', 'store it without a passphrase, in a file that only the broker can read')
      : refuse('the private key does not parse', 'expected PEM; for a file: "${file:/path/to/key.pem}"');
  });
}

function parsePrivateKey(pem: string): KeyObject | undefined {
  try {
    return createPrivateKey(pem);
  } catch {
    return undefined;
  }
}

/** `tls:` of a connection. An empty mapping turns TLS on with the system's authorities. */
export const tlsSchema = crossCheck(
  settings('TLS of the connection. An empty mapping ({}) is TLS with the system’s certificate authorities.', {
    ca: certificates('Certificate authorities to trust, PEM, instead of the system’s.').optional(),
    cert: certificates('The client’s certificate (and chain), PEM.').optional(),
    key: privateKey('The private key of `cert`, PEM.').optional(),
    serverName: text('The name to verify the server’s certificate against, where it is not the host’s.').optional(),
  }),
  ({ cert, key }, report) => {
    if (cert !== undefined && key === undefined) report(['key'], 'is required beside cert');
    if (cert === undefined && key !== undefined) report(['cert'], 'is required beside key');
    if (isForeignKey(cert, key)) report(['key'], 'is not the private key of cert');
  },
);

/** Whether a certificate and a key that both parse do not belong together. */
export function isForeignKey(cert: unknown, key: unknown): boolean {
  if (typeof cert !== 'string' || !(key instanceof Redacted)) return false;
  const parsed = parseCertificates(cert);
  const keyObject = parsePrivateKey(String(key.reveal()));
  const certificate = parsed.ok ? parsed.value[0] : undefined;
  return certificate !== undefined && keyObject !== undefined && !certificate.checkPrivateKey(keyObject);
}

export function toTls(written: z.output<typeof tlsSchema>): TlsConfiguration {
  return Object.freeze({
    ...(written.ca === undefined ? {} : { ca: written.ca }),
    ...(written.cert === undefined ? {} : { cert: written.cert }),
    ...(written.key === undefined ? {} : { key: written.key }),
    ...(written.serverName === undefined ? {} : { serverName: written.serverName }),
  });
}
