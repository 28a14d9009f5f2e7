import type { Redacted } from '@token-broker/foundation';

/**
 * A configuration that was read, resolved and found valid: every duration in milliseconds, every secret redacted, every
 * default filled in. What cannot be valid cannot be expressed here.
 */
export interface Configuration {
  /** Prefix of every Redis key, so that several brokers can share a server. Default `token-broker`. */
  readonly namespace: string;
  readonly nats: NatsConfiguration;
  readonly redis: RedisConfiguration;
  readonly encryption: EncryptionConfiguration;
  readonly http: HttpConfiguration;
  readonly log: { readonly level: 'debug' | 'info' | 'warn' | 'error' };
  readonly audit: AuditConfiguration;
  readonly cluster: ClusterConfiguration;
  readonly memory: { readonly maxEntries: number; readonly maxBytes: number };
  readonly sources: ReadonlyMap<string, SourceConfiguration>;
  readonly callers: ReadonlyMap<string, CallerConfiguration>;
}

/** Client-side TLS of a connection. Certificates are PEM text, read and parsed at load. */
export interface TlsConfiguration {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: Redacted;
  /** The name to verify the server's certificate against, where it is not the host's. */
  readonly serverName?: string;
}

export type NatsCredentials =
  | { readonly kind: 'none' }
  | { readonly kind: 'user'; readonly user: string; readonly password: Redacted }
  | { readonly kind: 'nkey'; readonly seed: Redacted }
  | { readonly kind: 'creds'; readonly creds: Redacted }
  | { readonly kind: 'token'; readonly token: Redacted };

export interface NatsConfiguration {
  readonly servers: readonly string[];
  /** First token of every subject. Default `token-broker`. */
  readonly subjectPrefix: string;
  /** Credentials of the connection that serves requests. */
  readonly credentials: NatsCredentials;
  /** Credentials of the connection that publishes events; the same as `credentials` unless given. */
  readonly eventCredentials: NatsCredentials;
  readonly tls?: TlsConfiguration;
}

export interface HostAndPort {
  readonly host: string;
  readonly port: number;
}

export type RedisTopology =
  | { readonly kind: 'standalone'; readonly host: string; readonly port: number; readonly database: number }
  | {
      readonly kind: 'sentinel';
      readonly sentinels: readonly HostAndPort[];
      readonly name: string;
      readonly database: number;
      readonly sentinelPassword?: Redacted;
    }
  | { readonly kind: 'cluster'; readonly nodes: readonly HostAndPort[] };

export interface RedisConfiguration {
  readonly topology: RedisTopology;
  readonly username?: string;
  readonly password?: Redacted;
  readonly tls?: TlsConfiguration;
  /** A command that has no reply by then fails. Default 1 s. */
  readonly commandTimeoutMs: number;
  /** Independent masters for the lock; empty: the server of `topology` alone. An odd number otherwise. */
  readonly lockMasters: readonly (HostAndPort & { readonly tls: boolean })[];
  /** Replicas that must confirm a revocation before it counts as durable (`WAIT`). Default 0. */
  readonly durableReplicas: number;
}

export interface EncryptionConfiguration {
  /** The first key seals, every key opens. Secrets are 32 bytes. Never empty. */
  readonly keys: readonly [EncryptionKey, ...EncryptionKey[]];
}

export interface EncryptionKey {
  readonly id: string;
  readonly secret: Redacted<Uint8Array>;
}

export interface HttpConfiguration {
  readonly listen: HostAndPort;
  /** The operators' verbs over HTTP. Absent: there is no such door. */
  readonly admin?: AdminDoorConfiguration;
}

/** Who may come in by HTTP. Each caller is an operator: `admin: true`. */
export interface AdminDoorConfiguration {
  readonly listen: HostAndPort;
  /** Absent: the door listens on loopback. */
  readonly tls?: {
    readonly cert: string;
    readonly key: Redacted;
    /** Who signs the client certificates that are believed. */
    readonly clientCa?: string;
  };
  /** `sha256` in lower-case hex; `token` where the configuration holds it. */
  readonly tokens: readonly { readonly caller: string; readonly sha256: string; readonly token?: Redacted }[];
  /** By an exact DNS name among the subject alternative names. */
  readonly certificates: readonly { readonly caller: string; readonly name: string }[];
}

/** Where the audit trail is written. */
export interface AuditConfiguration {
  /** `stdout`: among the lines of the log. `none`: to the stream alone. */
  readonly to: 'stdout' | 'file' | 'none';
  /** With `file`: an absolute path. */
  readonly file?: string;
  /** A JetStream stream that exists, and takes records by this subject. */
  readonly stream?: { readonly name: string; readonly subject: string };
}

/** Timing that brokers and near caches agree on. */
export interface ClusterConfiguration {
  /** Slices of the slots; the same on every replica, never changed on a live data set. Default 16. */
  readonly partitions: number;
  /** How often brokers read the partitions' sequences and publish the heartbeat. Default 1 s. */
  readonly tickMs: number;
  /** The least remaining life with which a token is still handed out. Default 5 s. */
  readonly minLifetimeMs: number;
  /** How long a suspect near cache may still serve. Default 60 s; at least 3 ticks. */
  readonly maxStalenessMs: number;
  /** How long a slot stays in demand after the last request or report. Default 10 min. */
  readonly demandMs: number;
}

/** A source of any kind; `provider` tells which. */
export type SourceConfiguration =
  | OAuth2SourceConfiguration
  | StaticSourceConfiguration
  | ExecSourceConfiguration
  | ModuleSourceConfiguration
  | AwsStsSourceConfiguration
  | AwsRdsIamSourceConfiguration;

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

/** What one caller may do. */
export interface CallerConfiguration {
  readonly name: string;
  /** By source name; `*` stands for every source. */
  readonly grants: ReadonlyMap<string, SourceGrant>;
  /** May revoke, list, read the status and reload. Default false. */
  readonly admin: boolean;
  /** Client ids at identity providers that are this caller: tokens that were issued to one of them belong to it. Default: its name. */
  readonly clientIds: readonly string[];
}

/** What a caller may ask of one source, beyond the source's own scopes, audience and resource (always allowed). */
export interface SourceGrant {
  /** `any`: every scope. Otherwise these, beside the source's own. */
  readonly scopes: 'any' | readonly string[];
  readonly audiences: 'any' | readonly string[];
}
