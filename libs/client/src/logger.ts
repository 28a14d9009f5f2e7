/** Where the client writes what an operator may want to know. No line ever holds a token. Any usual logger fits. */
export interface ClientLogger {
  debug(message: string): void;
  warn(message: string): void;
}

export const silentLogger: ClientLogger = { debug: () => undefined, warn: () => undefined };
