import type { IdentityProvider } from '@token-broker/testing';
import { STS_REGION, STS_USER, type SecurityTokenService } from '@token-broker/testing/aws';
import { sourceSettings, type Settings } from '../../integration/stack.js';

/** Kinds of providers that load code of others, and one that loads none. */
export const KINDS = ['static', 'oauth2', 'aws-rds-iam', 'aws-sts'] as const;

export type Kind = (typeof KINDS)[number];

/** A source of this kind that works. */
export function sourceOfKind(kind: Kind, idp: IdentityProvider, sts: SecurityTokenService): Settings {
  switch (kind) {
    case 'static':
      return { provider: 'static', value: '${env:PATH}' };
    case 'oauth2':
      return sourceSettings(idp);
    case 'aws-rds-iam':
      return {
        provider: 'aws-rds-iam',
        host: 'db.example.com',
        port: 5432,
        user: 'orders',
        region: STS_REGION,
        credentials: STS_USER,
      };
    case 'aws-sts':
      return {
        provider: 'aws-sts',
        operation: 'get-session-token',
        region: STS_REGION,
        endpoint: sts.url,
        allowInsecureHttp: true,
        credentials: STS_USER,
      };
  }
}
