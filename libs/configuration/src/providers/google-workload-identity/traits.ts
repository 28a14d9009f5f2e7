import type { GoogleSubject, GoogleWorkloadIdentitySourceConfiguration } from '../../configuration.js';
import type { SourceTraits } from '../source-traits.js';

/** `lender` is the recipe of the source whose token is the subject. */
export function googleWorkloadIdentityTraits(
  source: GoogleWorkloadIdentitySourceConfiguration,
  lender: readonly unknown[] | undefined,
): SourceTraits {
  const { provider, workloadIdentityProvider, subject, subjectTokenType, scopes, impersonation, timeoutMs } = source;
  const { stsEndpoint, iamCredentialsEndpoint, ca, proxy } = source;
  const place = impersonation === undefined ? [stsEndpoint] : [stsEndpoint, iamCredentialsEndpoint];
  const credential = subjectIngredients(subject, lender);
  return {
    recipe: [
      provider,
      place,
      workloadIdentityProvider,
      credential,
      subjectTokenType,
      scopes,
      impersonation === undefined
        ? null
        : [impersonation.serviceAccount, impersonation.delegates, impersonation.lifetimeMs],
      ca ?? null,
      proxy?.reveal() ?? null,
    ],
    // The workload as its pool knows it, whatever it is allowed to be.
    upstream: [provider, stsEndpoint, workloadIdentityProvider, subjectIngredients(subject, undefined)],
    credential,
    besides: [timeoutMs],
    secrets: proxy === undefined ? [] : [proxy],
    summary: {
      grant: impersonation === undefined ? 'token_exchange' : 'token_exchange, generateAccessToken',
      endpoint: stsEndpoint,
      clientId: impersonation?.serviceAccount ?? workloadIdentityProvider,
    },
  };
}

function subjectIngredients(subject: GoogleSubject, lender: readonly unknown[] | undefined): readonly unknown[] {
  return subject.kind === 'source'
    ? ['source', subject.source, ...(lender === undefined ? [] : [lender])]
    : ['file', subject.file, subject.field ?? null];
}
