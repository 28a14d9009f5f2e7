import type { AwsAccess, GoogleSubject, SourceConfiguration } from '../configuration.js';
import { awsRdsIamTraits } from './aws-rds-iam/traits.js';
import { awsStsTraits } from './aws-sts/traits.js';
import { azureWorkloadIdentityTraits } from './azure-workload-identity/traits.js';
import { execTraits } from './exec/traits.js';
import { gitHubAppTraits } from './github-app/traits.js';
import { googleWorkloadIdentityTraits } from './google-workload-identity/traits.js';
import { moduleTraits } from './module/traits.js';
import { oauth2Traits } from './oauth2/traits.js';
import type { SourceTraits } from './source-traits.js';
import { staticTraits } from './static/traits.js';
import { vaultTraits } from './vault/traits.js';

/** All sources by name, among which a source finds the one that lends it a credential. */
type Sources = ReadonlyMap<string, SourceConfiguration>;

/**
 * The traits of a source. Each provider brings its own: a new one is a new file and a line here.
 *
 * @param sources of its configuration: where a source signs with the credential of another, that one's recipe is a part of
 *   its own
 */
export function traitsOf(source: SourceConfiguration, sources: Sources = new Map()): SourceTraits {
  switch (source.provider) {
    case 'oauth2':
      return oauth2Traits(source);
    case 'static':
      return staticTraits(source);
    case 'exec':
      return execTraits(source);
    case 'module':
      return moduleTraits(source);
    case 'aws-sts':
      return awsStsTraits(source, recipeOfLender(source, sources));
    case 'aws-rds-iam':
      return awsRdsIamTraits(source, recipeOfLender(source, sources));
    case 'github-app':
      return gitHubAppTraits(source);
    case 'vault':
      return vaultTraits(source);
    case 'azure-workload-identity':
      return azureWorkloadIdentityTraits(source);
    case 'google-workload-identity':
      return googleWorkloadIdentityTraits(source, recipeOfLender(source, sources));
  }
}

/** A file in which sources lend to each other in a circle is refused: this ends. */
function recipeOfLender(source: SourceConfiguration, sources: Sources): readonly unknown[] | undefined {
  const name = lenderOf(source);
  const lender = name === undefined ? undefined : sources.get(name);
  return lender === undefined ? undefined : traitsOf(lender, sources).recipe;
}

/** The source whose credential this one signs or asks with, if it does. */
function lenderOf(source: SourceConfiguration): string | undefined {
  switch (source.provider) {
    case 'aws-rds-iam':
      return sourceIn(source.access);
    case 'aws-sts':
      return 'access' in source.operation ? sourceIn(source.operation.access) : undefined;
    case 'google-workload-identity':
      return sourceIn(source.subject);
    default:
      return undefined;
  }
}

function sourceIn(access: AwsAccess | GoogleSubject): string | undefined {
  return access.kind === 'source' ? access.source : undefined;
}
