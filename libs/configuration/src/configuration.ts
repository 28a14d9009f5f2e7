import type { Redacted } from '@token-broker/foundation';
import type { SourceConfiguration } from './source-configuration.js';

export type * from './source-basics.js';
export type * from './platform-source-configuration.js';
export type * from './source-configuration.js';

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
