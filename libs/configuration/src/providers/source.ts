import { z } from 'zod';
import type { SourceConfiguration } from '../configuration.js';
import { encodeRefusal, wrongKind } from '../settings.js';
import { suggestion } from '../suggestion.js';
import { awsRdsIamSchema, toAwsRdsIamSource } from './aws-rds-iam/aws-rds-iam-source.js';
import { awsStsSchema, toAwsStsSource } from './aws-sts/aws-sts-source.js';
import {
  azureWorkloadIdentitySchema,
  toAzureWorkloadIdentitySource,
} from './azure-workload-identity/azure-workload-identity-source.js';
import { execSchema, toExecSource } from './exec/exec-source.js';
import { gitHubAppSchema, toGitHubAppSource } from './github-app/github-app-source.js';
import {
  googleWorkloadIdentitySchema,
  toGoogleWorkloadIdentitySource,
} from './google-workload-identity/google-workload-identity-source.js';
import { moduleSchema, toModuleSource } from './module/module-source.js';
import { oauth2Schema, toOAuth2Source } from './oauth2/oauth2-source.js';
import { staticSchema, toStaticSource } from './static/static-source.js';
import { toVaultSource, vaultSchema } from './vault/vault-source.js';

/** Each provider brings the schema of its sources: a new one is a new file and a line here. */
const PROVIDER_SCHEMAS = [
  oauth2Schema,
  staticSchema,
  execSchema,
  moduleSchema,
  awsStsSchema,
  awsRdsIamSchema,
  gitHubAppSchema,
  vaultSchema,
  azureWorkloadIdentitySchema,
  googleWorkloadIdentitySchema,
] as const;

const PROVIDERS: readonly string[] = PROVIDER_SCHEMAS.map((schema) => schema.shape.provider.value);

export const sourceSchema = z
  .discriminatedUnion('provider', PROVIDER_SCHEMAS, {
    error: (issue) => {
      const code: string = issue.code;
      if (code !== 'invalid_union') return wrongKind('a mapping', issue.input);
      const written = (issue.input as { readonly provider?: unknown }).provider;
      const known = `one of: ${PROVIDERS.join(', ')}`;
      if (written === undefined) return encodeRefusal({ message: 'is required', hint: known });
      const near = typeof written === 'string' ? suggestion(written, PROVIDERS) : undefined;
      return encodeRefusal({ message: `no such provider; ${known}`, ...(near === undefined ? {} : { hint: near }) });
    },
  })
  .meta({ description: 'A named recipe for getting a token.' });

export function toSource(name: string, written: z.output<typeof sourceSchema>): SourceConfiguration {
  switch (written.provider) {
    case 'oauth2':
      return toOAuth2Source(name, written);
    case 'static':
      return toStaticSource(name, written);
    case 'exec':
      return toExecSource(name, written);
    case 'module':
      return toModuleSource(name, written);
    case 'aws-sts':
      return toAwsStsSource(name, written);
    case 'aws-rds-iam':
      return toAwsRdsIamSource(name, written);
    case 'github-app':
      return toGitHubAppSource(name, written);
    case 'vault':
      return toVaultSource(name, written);
    case 'azure-workload-identity':
      return toAzureWorkloadIdentitySource(name, written);
    case 'google-workload-identity':
      return toGoogleWorkloadIdentitySource(name, written);
  }
}
