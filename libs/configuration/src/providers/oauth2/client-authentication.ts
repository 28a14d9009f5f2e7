import type { Redacted } from '@token-broker/foundation';
import { certificates, isForeignKey, privateKey } from '../../certificates.js';
import type { ClientAuthentication } from '../../configuration.js';
import { choice, secret, withDefault } from '../../scalars.js';
import type { Report, Values } from '../../settings.js';
import { checkAlgorithm, signingKeySettings, toSigningKey, type WrittenSigningKey } from './signing-key.js';

type Kind = ClientAuthentication['kind'];

const KINDS = ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'tls_client_auth', 'none'] as const;

export const clientAuthenticationSettings = {
  clientAuthentication: withDefault(choice('How the client proves who it is.', KINDS), 'client_secret_basic'),
  clientSecret: secret('The client’s secret, for `client_secret_basic` and `client_secret_post`.').optional(),
  ...signingKeySettings('the client’s assertion, for `private_key_jwt`'),
  certificate: certificates('The client’s certificate (and chain), PEM, for `tls_client_auth`.').optional(),
  certificateKey: privateKey('The private key of `certificate`, PEM, without a passphrase.').optional(),
};

interface Needs {
  readonly required: readonly string[];
  readonly optional: readonly string[];
}

/** What each kind proves itself with. Whatever another kind needs is refused: it would not be used. */
const NEEDS: Readonly<Record<Kind, Needs>> = {
  client_secret_basic: { required: ['clientSecret'], optional: [] },
  client_secret_post: { required: ['clientSecret'], optional: [] },
  private_key_jwt: { required: ['privateKey'], optional: ['keyId', 'signingAlgorithm'] },
  tls_client_auth: { required: ['certificate', 'certificateKey'], optional: [] },
  none: { required: [], optional: [] },
};

const PROOFS = [...new Set(KINDS.flatMap((kind) => [...NEEDS[kind].required, ...NEEDS[kind].optional]))];

export function checkClientAuthentication(written: Values, report: Report): void {
  const { clientAuthentication, privateKey, signingAlgorithm, certificate, certificateKey } = written;
  checkAlgorithm(['signingAlgorithm'], privateKey, signingAlgorithm, report);
  if (isForeignKey(certificate, certificateKey)) report(['certificateKey'], 'is not the private key of certificate');
  const kind = KINDS.find((known) => known === clientAuthentication);
  if (kind === undefined) return;
  const { required, optional } = NEEDS[kind];
  for (const name of PROOFS) {
    if (required.includes(name) && written[name] === undefined) {
      report([name], `is required for clientAuthentication: ${kind}`, 'unless the client proves itself in another way');
    }
    if (!required.includes(name) && !optional.includes(name) && written[name] !== undefined) {
      report([name], `is never used with clientAuthentication: ${kind}`, `it is for ${kindsWith(name).join(' and ')}`);
    }
  }
}

function kindsWith(proof: string): Kind[] {
  return KINDS.filter((kind) => NEEDS[kind].required.includes(proof) || NEEDS[kind].optional.includes(proof));
}

interface WrittenClientAuthentication extends WrittenSigningKey {
  readonly clientAuthentication: Kind;
  readonly clientSecret?: Redacted | undefined;
  readonly certificate?: string | undefined;
  readonly certificateKey?: Redacted | undefined;
}

export function toClientAuthentication(written: WrittenClientAuthentication): ClientAuthentication {
  const { clientAuthentication: kind, clientSecret, certificate, certificateKey } = written;
  switch (kind) {
    case 'client_secret_basic':
    case 'client_secret_post':
      if (clientSecret === undefined) break;
      return Object.freeze({ kind, clientSecret });
    case 'private_key_jwt':
      return Object.freeze({ kind, key: toSigningKey(written) });
    case 'tls_client_auth':
      if (certificate === undefined || certificateKey === undefined) break;
      return Object.freeze({ kind, certificate, key: certificateKey });
    case 'none':
      return Object.freeze({ kind });
  }
  throw new Error(`a client without what ${kind} needs passed its check`);
}
