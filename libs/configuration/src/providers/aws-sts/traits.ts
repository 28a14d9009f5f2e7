import type { AwsStsOperation, AwsStsSourceConfiguration } from '../../configuration.js';
import { accessIdentity, accessIngredients, accessSecrets } from '../aws-access.js';
import type { SourceTraits } from '../source-traits.js';

/** `signer` is the recipe of the source whose credential it is asked with. */
export function awsStsTraits(source: AwsStsSourceConfiguration, signer: readonly unknown[] | undefined): SourceTraits {
  const { provider, operation, region, endpoint, ca, sessionDurationMs, timeoutMs } = source;
  const place = [region, endpoint ?? null];
  const credential =
    operation.kind === 'assume-role-with-web-identity'
      ? ['file', operation.tokenFile]
      : accessIngredients(operation.access, signer);
  return {
    recipe: [provider, operation.kind, place, ca ?? null, credential, sessionIngredients(operation), sessionDurationMs],
    upstream: [provider, place, identityOf(operation)],
    credential,
    besides: [timeoutMs],
    secrets: operation.kind === 'assume-role-with-web-identity' ? [] : accessSecrets(operation.access),
    summary: {
      grant: operation.kind,
      endpoint: endpoint ?? `https://sts.${region}.amazonaws.com`,
      clientId: operation.kind === 'get-session-token' ? '' : operation.roleArn,
    },
  };
}

function sessionIngredients(operation: AwsStsOperation): unknown {
  if (operation.kind === 'get-session-token') return null;
  const { roleArn, sessionName, policy, policyArns } = operation;
  const session = [roleArn, sessionName, policy ?? null, policyArns];
  if (operation.kind === 'assume-role-with-web-identity') return session;
  const { externalId, tags, transitiveTagKeys } = operation;
  return [...session, externalId ?? null, [...tags].sort(([a], [b]) => (a < b ? -1 : 1)), transitiveTagKeys];
}

/** Whose calls are counted. */
function identityOf(operation: AwsStsOperation): readonly unknown[] {
  return operation.kind === 'assume-role-with-web-identity'
    ? ['file', operation.tokenFile, operation.roleArn]
    : accessIdentity(operation.access);
}
