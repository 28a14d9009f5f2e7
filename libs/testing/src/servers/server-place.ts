/** The servers that the local system needs, and Prometheus, which the tests need beside them. */
export type ServerName = 'nats-server' | 'redis-server' | 'prometheus';

/** Takes one line of progress, for a person; called only when something is really done. */
export type Report = (line: string) => void;

/** A server that can be run here: an executable, with the environment that it needs beside our own. */
export interface Executable {
  readonly kind: 'executable';
  readonly path: string;
  readonly environment: Readonly<Record<string, string>>;
}

/** A server that can be run as a container of this image, by a Docker engine that answered. */
export interface ContainerImage {
  readonly kind: 'container';
  readonly image: string;
}

/** Where a server comes from. */
export type ServerPlace = Executable | ContainerImage;
