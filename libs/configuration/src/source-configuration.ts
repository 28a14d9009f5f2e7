import type { Redacted } from '@token-broker/foundation';

/** A source of any kind; `provider` tells which. */
export type SourceConfiguration =
  | OAuth2SourceConfiguration
  | StaticSourceConfiguration
  | ExecSourceConfiguration
  | ModuleSourceConfiguration
  | AwsStsSourceConfiguration
  | AwsRdsIamSourceConfiguration
  | AzureWorkloadIdentitySourceConfiguration
  | GoogleWorkloadIdentitySourceConfiguration;

/** What every source has, whatever its provider: all that the broker knows of one but for what makes its tokens. */
export interface CommonSourceConfiguration {
  readonly name: string;
  /** Sorted, without duplicates: what is asked for where a caller does not say. Empty where the provider knows none. */
  readonly scopes: readonly string[];
  readonly audience?: string;
  readonly resource?: string;
  /** How tokens that callers give are checked. Present exactly where the source takes them. */
  readonly subjectToken?: SubjectTokenConfiguration;
  /** The time that one fetch may take. Default 10 s. */
  readonly timeoutMs: number;
  /** The life of the cluster's lock for one fetch; above `timeoutMs`. Default `timeoutMs` + 2 s. */
  readonly lockTimeMs: number;
  readonly refresh: RefreshConfiguration;
  /**
   * `fetch`: while Redis is away, each replica fetches for itself, within its share of the quota, tokens that no revocation
   * reaches. Absent: callers wait for Redis.
   */
  readonly withoutRedis?: 'fetch';
  /** Limits of the upstream identity; all of them hold. Empty: none is known. */
  readonly quota: readonly QuotaLimit[];
}

/** A value from the file, a secret file or a variable. Nobody is called for it, and it has no life of its own. */
export interface StaticSourceConfiguration extends CommonSourceConfiguration {
  readonly provider: 'static';
  readonly value: Redacted;
  readonly tokenType: string;
  readonly username?: string;
  /** How long it counts without being looked at again; so long a revoked one is remembered. Default 365 days. */
  readonly lifetimeMs: number;
}

/** What a program prints that is run for each credential. */
export interface ExecSourceConfiguration extends CommonSourceConfiguration {
  readonly provider: 'exec';
  /** An absolute path. No shell is between. */
  readonly command: string;
  readonly args: readonly string[];
  /** All of the program's environment, beside `PATH` and what its format prescribes. */
  readonly env: ReadonlyMap<string, Redacted>;
  /** An `ExecCredential` of Kubernetes, or what AWS's `credential_process` prints. */
  readonly output: 'exec-credential' | 'credential-process';
  /** Of a credential that states no end. Default 5 min. */
  readonly defaultLifetimeMs: number;
  /** Lifetimes above this are cut. Default 365 days. */
  readonly maxLifetimeMs: number;
}

/** What a module of one's own gets. */
export interface ModuleSourceConfiguration extends CommonSourceConfiguration {
  readonly provider: 'module';
  /** An absolute path, or the name of a package that is installed beside the broker. */
  readonly module: string;
  /** JSON values, as the module wants them. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly secrets: ReadonlyMap<string, Redacted>;
  /** Whether callers may ask for scopes, an audience, a resource. Default false. */
  readonly takesParameters: boolean;
  /** Lifetimes above this are cut. Default 365 days. */
  readonly maxLifetimeMs: number;
}

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

export interface OAuth2SourceConfiguration extends CommonSourceConfiguration {
  readonly provider: 'oauth2';
  readonly grant: OAuth2Grant;
  /** Discovery from the issuer's metadata (RFC 8414, OpenID Discovery), or explicit endpoints. */
  readonly endpoint: OAuth2Endpoint;
  /** `http://` issuers and endpoints are refused unless this is true. For development only. */
  readonly allowInsecureHttp: boolean;
  readonly clientId: string;
  readonly clientAuthentication: ClientAuthentication;
  /** Further form parameters of the token request, such as `organization`. */
  readonly parameters: ReadonlyMap<string, string>;
  readonly ca?: string;
  /** An HTTP proxy (`CONNECT`) on the way to the identity provider; it may hold a password. */
  readonly proxy?: Redacted;
  /** Lifetime when the reply has no `expires_in`. Default 5 min. */
  readonly defaultLifetimeMs: number;
  /** Lifetimes above this are clamped. Default 365 days. */
  readonly maxLifetimeMs: number;
  /** Narrower scope than asked is an error unless this is true. Default false. */
  readonly acceptNarrowerScope: boolean;
}

export type OAuth2Endpoint =
  | { readonly kind: 'issuer'; readonly issuer: string }
  | {
      readonly kind: 'token-endpoint';
      readonly tokenEndpoint: string;
      /** RFC 7009. Absent: tokens cannot be revoked at the provider. */
      readonly revocationEndpoint?: string;
      /** RFC 7662. */
      readonly introspectionEndpoint?: string;
    };

export type OAuth2Grant =
  /** RFC 6749 §4.4. */
  | { readonly kind: 'client_credentials' }
  /** RFC 6749 §6: the refresh token is in the journal, where an operator put the first one. */
  | { readonly kind: 'refresh_token' }
  /** RFC 7523 §2.1. */
  | { readonly kind: 'jwt_bearer'; readonly assertion: JwtAssertion }
  /** RFC 8693. */
  | { readonly kind: 'token_exchange'; readonly requestedTokenType?: string };

export type JwtAssertion =
  | {
      /** Made and signed by the broker for each request. */
      readonly from: 'key';
      readonly key: SigningKey;
      /** Default: the client id. */
      readonly issuer: string;
      /** Default: the client id. */
      readonly subject: string;
      /** Default: the issuer that was configured or discovered, else the token endpoint. */
      readonly audience?: string;
      /** How long the assertion is good. Default 60 s. */
      readonly lifetimeMs: number;
      /** Further claims, JSON values. */
      readonly claims: ReadonlyMap<string, unknown>;
    }
  /** The caller's subject token is the assertion ("on behalf of"). */
  | { readonly from: 'caller' };

/** How the client proves who it is (RFC 6749 §2.3, RFC 7523 §2.2, RFC 8705 §2.1). */
export type ClientAuthentication =
  | { readonly kind: 'client_secret_basic' | 'client_secret_post'; readonly clientSecret: Redacted }
  | { readonly kind: 'private_key_jwt'; readonly key: SigningKey }
  | {
      readonly kind: 'tls_client_auth';
      /** PEM. */
      readonly certificate: string;
      readonly key: Redacted;
    }
  | { readonly kind: 'none' };

export interface SigningKey {
  /** PKCS #8 in PEM, or a JWK as JSON text; parsed and found to fit `algorithm` at load. */
  readonly privateKey: Redacted;
  /** JWS algorithm (RFC 7518 §3.1, RFC 8037). */
  readonly algorithm: SigningAlgorithm;
  /** `kid` of the JWS header. */
  readonly keyId?: string;
}

export type SigningAlgorithm =
  'RS256' | 'RS384' | 'RS512' | 'PS256' | 'PS384' | 'PS512' | 'ES256' | 'ES384' | 'ES512' | 'EdDSA';

/** How tokens that callers give are checked before anything is made of them: each must belong to the caller. */
export interface SubjectTokenConfiguration {
  /** Token type URI (RFC 8693 §3). Default: an access token. */
  readonly type: string;
  readonly actorType: string;
  readonly check:
    /** By its signature, against the keys of the issuer that it must name (RFC 9068). */
    | { readonly kind: 'jwt'; readonly issuer: string; readonly jwksUri?: string; readonly audience?: string }
    /** By the identity provider's introspection endpoint (RFC 7662). */
    | { readonly kind: 'introspection' };
  /** The claim that names the client which the token was issued to; text, or a list. Default `client_id`. */
  readonly ownerClaim: string;
}

/** At most `limit` calls of the upstream identity in any window. */
export interface QuotaLimit {
  readonly limit: number;
  readonly window:
    | { readonly kind: 'sliding'; readonly ms: number }
    /** In UTC. */
    | { readonly kind: 'calendar'; readonly period: 'day' | 'month' };
  /** The part of `limit` that is kept for refetching after a revocation, in calls. Default 10 %. */
  readonly reserve: number;
}

export interface RefreshConfiguration {
  /** When to renew: with this much of the life left, as a fraction of it or in milliseconds. `off`: never ahead of demand. */
  readonly ahead:
    | { readonly kind: 'fraction'; readonly fraction: number }
    | { readonly kind: 'ms'; readonly ms: number }
    | { readonly kind: 'off' };
  /** Refreshed whether or not anybody asks, and fetched at start. Default false. */
  readonly keepWarm: boolean;
}
