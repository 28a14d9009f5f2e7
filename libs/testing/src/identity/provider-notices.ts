const NOTICE = /oidc-provider (NOTICE|WARNING):/;
let silenced = false;

/**
 * Drops the provider's remarks about its fitness for production, which it prints to the console and which cannot be
 * turned off. All else that is printed passes.
 */
export function silenceProviderNotices(): void {
  if (silenced) return;
  silenced = true;
  for (const level of ['info', 'warn'] as const) {
    const print = console[level].bind(console);
    console[level] = (...values: unknown[]): void => {
      if (!(typeof values[0] === 'string' && NOTICE.test(values[0]))) print(...values);
    };
  }
}
