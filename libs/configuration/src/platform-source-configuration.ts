import type { Redacted } from '@token-broker/foundation';
import type { CommonSourceConfiguration } from './source-basics.js';

/** With what requests to AWS are signed. */
export type AwsAccess =
  | {
      readonly kind: 'keys';
      readonly accessKeyId: string;
      readonly secretAccessKey: Redacted;
      readonly sessionToken?: Redacted;
    }
  /** The credential of another source, which is one of AWS. */
  | { readonly kind: 'source'; readonly source: string };

interface AwsRoleSession {
  readonly roleArn: string;
  readonly sessionName: string;
  /** JSON text. */
  readonly policy?: string;
  readonly policyArns: readonly string[];
}

export type AwsStsOperation =
  | (AwsRoleSession & {
      readonly kind: 'assume-role';
      readonly access: AwsAccess;
      readonly externalId?: string;
      readonly tags: ReadonlyMap<string, string>;
      readonly transitiveTagKeys: readonly string[];
    })
  | (AwsRoleSession & {
      readonly kind: 'assume-role-with-web-identity';
      /** An absolute path. Read for each call: it is replaced before it ends. */
      readonly tokenFile: string;
    })
  | { readonly kind: 'get-session-token'; readonly access: AwsAccess };

/** Temporary credentials of AWS. */
export interface AwsStsSourceConfiguration extends CommonSourceConfiguration {
  readonly provider: 'aws-sts';
  readonly operation: AwsStsOperation;
  readonly region: string;
  /** Absent: the region's own. */
  readonly endpoint?: string;
  readonly ca?: string;
  /** How long the credentials are asked for. Default 1 h. */
  readonly sessionDurationMs: number;
}

/** Passwords for databases of Amazon RDS and Aurora, signed by the broker. */
export interface AwsRdsIamSourceConfiguration extends CommonSourceConfiguration {
  readonly provider: 'aws-rds-iam';
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly region: string;
  readonly access: AwsAccess;
}

/** Tokens of an installation of a GitHub App. */
export interface GitHubAppSourceConfiguration extends CommonSourceConfiguration {
  readonly provider: 'github-app';
  /** Of GitHub's REST API, without a slash at its end. Default `https://api.github.com`. */
  readonly apiUrl: string;
  /** The app's client id, or its number: whom its assertions name as their issuer. */
  readonly appId: string;
  /** An RSA key in PEM, PKCS #1 as GitHub gives it or PKCS #8; parsed at load. */
  readonly privateKey: Redacted;
  readonly installationId: number;
  /** What the token may reach, sorted: names without their owner, or numbers. Absent: all that the installation may. */
  readonly repositories?:
    { readonly by: 'name'; readonly names: readonly string[] } | { readonly by: 'id'; readonly ids: readonly number[] };
  /** What it may do there, by name. Empty: all that the app may. */
  readonly permissions: ReadonlyMap<string, 'read' | 'write' | 'admin'>;
  readonly ca?: string;
  /** An HTTP proxy (`CONNECT`) on the way; it may hold a password. */
  readonly proxy?: Redacted;
}

/** How the broker logs in to Vault: anew for each credential. */
export type VaultAuth =
  | {
      readonly kind: 'approle';
      /** Where the method is mounted, below `auth/`. */
      readonly mount: string;
      readonly roleId: string;
      /** Absent: the role binds none. */
      readonly secretId?: Redacted;
    }
  | {
      readonly kind: 'kubernetes';
      readonly mount: string;
      readonly role: string;
      /** An absolute path. Read for each login: it is replaced before it ends. */
      readonly tokenFile: string;
    };

/** Which of what Vault answers is the credential. */
export type VaultCredential =
  /** Fields of `data`. */
  | {
      readonly kind: 'password' | 'bearer';
      readonly secretField: string;
      /** Absent: `username` where there is one, for a password; none for a bearer token. */
      readonly usernameField?: string;
    }
  /** The fields of the secrets engine `aws`. */
  | { readonly kind: 'aws-credentials' }
  /** A token of Vault itself. */
  | { readonly kind: 'vault-token' };

/** Dynamic secrets and tokens of HashiCorp Vault or OpenBao, with their leases. */
export interface VaultSourceConfiguration extends CommonSourceConfiguration {
  readonly provider: 'vault';
  /** Scheme, host and port, without a slash at its end. */
  readonly address: string;
  /** `X-Vault-Namespace`. */
  readonly namespace?: string;
  readonly auth: VaultAuth;
  /** What is asked for, below `/v1/`. */
  readonly path: string;
  /** JSON values that are written there. Absent: it is read, unless a token is asked for. */
  readonly body?: Readonly<Record<string, unknown>>;
  readonly credential: VaultCredential;
  readonly ca?: string;
  /** An HTTP proxy (`CONNECT`) on the way; it may hold a password. */
  readonly proxy?: Redacted;
  /** Lifetimes above this are cut. Default 365 days. */
  readonly maxLifetimeMs: number;
}

/** Tokens of Microsoft Entra ID for a workload that it knows by a token of another identity provider. */
export interface AzureWorkloadIdentitySourceConfiguration extends CommonSourceConfiguration {
  readonly provider: 'azure-workload-identity';
  readonly tenantId: string;
  readonly clientId: string;
  /** An absolute path. Read for each call: it is replaced before it ends. */
  readonly tokenFile: string;
  /** Without a slash at its end. */
  readonly authority: string;
  readonly ca?: string;
  readonly proxy?: Redacted;
}

/** Where the token is that a pool of Google Cloud knows the workload by. */
export type GoogleSubject =
  /** An absolute path, read for each call. `field`: it is a JSON object, and this one of its fields. */
  | { readonly kind: 'file'; readonly file: string; readonly field?: string }
  /** The bearer token of another source. */
  | { readonly kind: 'source'; readonly source: string };

/** Tokens of Google Cloud for a workload that it knows by a token of another identity provider. */
export interface GoogleWorkloadIdentitySourceConfiguration extends CommonSourceConfiguration {
  readonly provider: 'google-workload-identity';
  /** With the service that it belongs to: `//iam.googleapis.com/projects/…`. */
  readonly workloadIdentityProvider: string;
  readonly subject: GoogleSubject;
  readonly subjectTokenType: string;
  /** Absent: tokens are those of the pool. */
  readonly impersonation?: {
    readonly serviceAccount: string;
    /** In the order in which each impersonates the next. */
    readonly delegates: readonly string[];
    /** How long the tokens are asked for. Default 1 h. */
    readonly lifetimeMs: number;
  };
  readonly stsEndpoint: string;
  /** Without a slash at its end. */
  readonly iamCredentialsEndpoint: string;
  readonly ca?: string;
  readonly proxy?: Redacted;
}
