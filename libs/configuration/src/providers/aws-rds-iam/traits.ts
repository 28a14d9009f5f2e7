import type { AwsRdsIamSourceConfiguration } from '../../configuration.js';
import { accessIdentity, accessIngredients, accessSecrets } from '../aws-access.js';
import type { SourceTraits } from '../source-traits.js';

/** `signer` is the recipe of the source whose credential it is signed with. */
export function awsRdsIamTraits(
  source: AwsRdsIamSourceConfiguration,
  signer: readonly unknown[] | undefined,
): SourceTraits {
  const { provider, host, port, user, region, access, timeoutMs } = source;
  const place = `${host}:${String(port)}`;
  return {
    recipe: [provider, host, port, user, region, accessIngredients(access, signer)],
    // Nobody is called: a token is signed here.
    upstream: [provider, accessIdentity(access)],
    credential: accessIngredients(access, signer),
    besides: [timeoutMs],
    secrets: accessSecrets(access),
    summary: { grant: 'rds-db:connect', endpoint: place, clientId: user },
  };
}
