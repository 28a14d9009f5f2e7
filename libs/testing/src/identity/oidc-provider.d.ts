/** The part of `oidc-provider` 8 that is used here; the package brings no types of its own. */
declare module 'oidc-provider' {
  import type { IncomingMessage, RequestListener } from 'node:http';

  export interface Client {
    readonly clientId: string;
    readonly scope?: string;
  }

  export interface TokenContext {
    readonly oidc?: {
      readonly route?: string;
      readonly client?: Client;
      readonly params?: Readonly<Record<string, unknown>>;
    };
    readonly req: IncomingMessage;
    body?: unknown;
    status: number;
  }

  interface Grant {
    addOIDCScope(scope: string): void;
    addResourceScope(resource: string, scope: string): void;
    save(): Promise<string>;
  }

  interface Token {
    save(): Promise<string>;
    readonly accountId?: string;
    readonly clientId: string;
    readonly isValid: boolean;
    readonly expiration: number;
    resourceServer?: object;
  }

  interface TokenModel {
    new (properties: Readonly<Record<string, unknown>>): Token;
    find(value: string): Promise<Token | undefined>;
  }

  export interface ResourceServerInfo {
    readonly audience: string;
    readonly scope: string;
    readonly accessTokenFormat: 'opaque' | 'jwt';
    readonly jwt?: object;
  }

  type Middleware = (context: TokenContext, next: () => Promise<void>) => Promise<void>;
  type ErrorType = new (detail?: string) => Error;

  export const errors: {
    readonly InvalidTarget: ErrorType;
    readonly InvalidGrant: ErrorType;
    readonly InvalidRequest: ErrorType;
  };

  export default class Provider {
    constructor(issuer: string, configuration: Readonly<Record<string, unknown>>);
    readonly Client: { find(clientId: string): Promise<Client | undefined> };
    readonly Grant: new (properties: { readonly accountId: string; readonly clientId: string }) => Grant;
    readonly RefreshToken: TokenModel;
    readonly AccessToken: TokenModel;
    readonly ClientCredentials: TokenModel;
    readonly ResourceServer: new (identifier: string, info: ResourceServerInfo) => object;
    registerGrantType(name: string, handler: Middleware, parameters: readonly string[]): void;
    use(middleware: Middleware): void;
    callback(): RequestListener;
    on(
      event: string,
      listener: (context: TokenContext, error: { readonly error_detail?: string } | undefined) => void,
    ): void;
    emit(event: string, ...values: readonly unknown[]): void;
  }
}
