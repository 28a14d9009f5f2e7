/** The part of `oidc-provider` 8 that is used here; the package brings no types of its own. */
declare module 'oidc-provider' {
  import type { RequestListener } from 'node:http';

  interface Client {
    readonly clientId: string;
    readonly scope?: string;
  }

  interface TokenContext {
    readonly oidc?: { readonly route?: string; readonly client?: Client };
    body?: unknown;
    status: number;
  }

  interface Grant {
    addOIDCScope(scope: string): void;
    save(): Promise<string>;
  }

  interface RefreshToken {
    save(): Promise<string>;
  }

  export const errors: { readonly InvalidTarget: new () => Error };

  export default class Provider {
    constructor(issuer: string, configuration: Readonly<Record<string, unknown>>);
    readonly Client: { find(clientId: string): Promise<Client | undefined> };
    readonly Grant: new (properties: { readonly accountId: string; readonly clientId: string }) => Grant;
    readonly RefreshToken: new (properties: Readonly<Record<string, unknown>>) => RefreshToken;
    use(middleware: (context: TokenContext, next: () => Promise<void>) => Promise<void>): void;
    callback(): RequestListener;
    on(event: string, listener: (...args: unknown[]) => void): void;
  }
}
