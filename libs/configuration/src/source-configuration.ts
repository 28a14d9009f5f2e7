import type { Redacted } from '@token-broker/foundation';
import type { CommonSourceConfiguration } from './source-basics.js';
import type {
  AwsRdsIamSourceConfiguration,
  AwsStsSourceConfiguration,
  AzureWorkloadIdentitySourceConfiguration,
  GitHubAppSourceConfiguration,
  GoogleWorkloadIdentitySourceConfiguration,
  VaultSourceConfiguration,
} from './platform-source-configuration.js';

/** A source of any kind; `provider` tells which. */
export type SourceConfiguration =
  | OAuth2SourceConfiguration
  | StaticSourceConfiguration
  | ExecSourceConfiguration
  | ModuleSourceConfiguration
  | AwsStsSourceConfiguration
  | AwsRdsIamSourceConfiguration
  | GitHubAppSourceConfiguration
  | VaultSourceConfiguration
  | AzureWorkloadIdentitySourceConfiguration
  | GoogleWorkloadIdentitySourceConfiguration;

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
