/** The options that a context may hold, each as it was given. None of them is a secret. */
export const CONTEXT_FIELDS = [
  'server',
  'user',
  'passwordFile',
  'creds',
  'nkeyFile',
  'tlsCa',
  'url',
  'tokenFile',
  'tlsCert',
  'tlsKey',
  'caller',
  'prefix',
] as const;

/** Connection options under a name. Paths of files are absolute. */
export type Context = { readonly name: string } & Readonly<Partial<Record<(typeof CONTEXT_FIELDS)[number], string>>>;

/** All that this user has. */
export interface Contexts {
  /** Of the context that counts where none is named. */
  readonly current: string | undefined;
  readonly all: readonly Context[];
}

/** With this context, in the place of one of the same name. */
export function withContext(contexts: Contexts, added: Context): Contexts {
  const others = withoutContext(contexts, added.name).all;
  return { ...contexts, all: [...others, added].sort((a, b) => (a.name < b.name ? -1 : 1)) };
}

export function withoutContext({ current, all }: Contexts, name: string): Contexts {
  return { current: current === name ? undefined : current, all: all.filter((context) => context.name !== name) };
}
