import { Signer } from '@aws-sdk/rds-signer';
import { ok, Redacted } from '@token-broker/foundation';
import type { AwsRdsIamSourceConfiguration } from '@token-broker/configuration';
import type { Lender, ProviderImplementation } from '../../../app/ports/provider.js';
import { signingCredentials } from '../aws-access.js';

/** Of AWS, for a connection that is opened; one that is open stays open. */
const LIFE_MS = 15 * 60_000;

/**
 * Signs passwords for a database of Amazon RDS or Aurora. A password is good for 15 minutes, and no longer than the
 * credential that it was signed with: the database asks IAM about that one when a connection is opened.
 */
export function createAwsRdsIamProvider(
  source: AwsRdsIamSourceConfiguration,
  { lend }: { readonly lend: Lender },
): ProviderImplementation {
  const { host: hostname, port, user: username, region, access } = source;
  process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';
  return {
    fetch: async () => {
      const signing = await signingCredentials(access, lend);
      if (!signing.ok) return signing;
      const { accessKeyId, secretAccessKey, sessionToken, remainingMs } = signing.value;
      const credentials = { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) };
      const password = await new Signer({ hostname, port, username, region, credentials }).getAuthToken();
      return ok({
        accessToken: new Redacted(password),
        tokenType: 'password',
        username,
        lifeMs: Math.min(LIFE_MS, remainingMs ?? LIFE_MS),
      });
    },
  };
}
