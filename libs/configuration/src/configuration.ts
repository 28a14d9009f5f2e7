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

export type SourceConfiguration = OAuth2SourceConfiguration;

export interface OAuth2SourceConfiguration {
  readonly name: string;
  readonly provider: 'oauth2';
  readonly grant: 'client_credentials';
  /** Discovery from the issuer's metadata (RFC 8414, OpenID Discovery), or an explicit token endpoint. */
  readonly endpoint:
    | { readonly kind: 'issuer'; readonly issuer: string }
    | { readonly kind: 'token-endpoint'; readonly tokenEndpoint: string };
  /** `http://` issuers and endpoints are refused unless this is true. For development only. */
  readonly allowInsecureHttp: boolean;
  readonly clientId: string;
  readonly clientSecret: Redacted;
  readonly clientAuthentication: 'client_secret_basic' | 'client_secret_post';
  /** Sorted, without duplicates. */
  readonly scopes: readonly string[];
  readonly audience?: string;
  readonly resource?: string;
  /** Further form parameters of the token request, such as `organization`. */
  readonly parameters: ReadonlyMap<string, string>;
  readonly ca?: string;
  /** The time that one token request may take. Default 10 s. */
  readonly timeoutMs: number;
  /** The life of the cluster's lock for one fetch; above `timeoutMs`. Default `timeoutMs` + 2 s. */
  readonly lockTimeMs: number;
  /** Lifetime when the reply has no `expires_in`. Default 5 min. */
  readonly defaultLifetimeMs: number;
  /** Lifetimes above this are clamped. Default 365 days. */
  readonly maxLifetimeMs: number;
  /** Narrower scope than asked is an error unless this is true. Default false. */
  readonly acceptNarrowerScope: boolean;
  readonly refresh: RefreshConfiguration;
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
}

/** What a caller may ask of one source, beyond the source's own scopes, audience and resource (always allowed). */
export interface SourceGrant {
  /** `any`: every scope. Otherwise these, beside the source's own. */
  readonly scopes: 'any' | readonly string[];
  readonly audiences: 'any' | readonly string[];
}
