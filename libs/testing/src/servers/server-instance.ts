/** Where a server listens, and the directory in which it keeps its data. */
export interface ServerSite {
  readonly host: string;
  readonly port: number;
  readonly directory: string;
}

/** What a kind of server needs to be started, whether as a process or in a container. */
export interface ServerRecipe {
  /** The port that the server listens on inside a container. */
  readonly containerPort: number;
  /** The text of the configuration file. */
  configuration(site: ServerSite): string;
  /** The arguments of the server. Some are told here where to listen, and not in their configuration. */
  args(configurationPath: string, site: ServerSite): readonly string[];
  /** A line of the server's log that says that it takes connections. */
  readonly readyLine: RegExp;
  /** A line of the log whose first group is the port, where the server chooses a free one when it is told -1. */
  readonly portLine: RegExp | undefined;
}

/** One run of a server: from its start to its end. */
export interface ServerInstance {
  readonly pid: number;
  readonly port: number;
  /** Resolves when this run has ended. */
  readonly exited: Promise<void>;
  /** Resolves when the signal is delivered. */
  kill(signal: NodeJS.Signals): Promise<void>;
  log(): Promise<string>;
}

/** Starts the runs of one server, all on the same data. */
export interface ServerHost {
  /** @param port the port to listen on, or undefined for a free one */
  start(port: number | undefined): Promise<ServerInstance>;
  /** Rewrites the configuration of the running server; it is read at the next start, or when the server is told to. */
  writeConfiguration(port: number): Promise<void>;
  /** Forgets the data. Only while the server is not running. */
  clear(): Promise<void>;
  /** Frees all that the host holds. Only while the server is not running. */
  dispose(): Promise<void>;
}

/** A server ended before it took connections, or did not take any in time; the message ends with its log. */
export class ServerStartError extends Error {
  override name = 'ServerStartError';
}
