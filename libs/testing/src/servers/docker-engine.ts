import { existsSync } from 'node:fs';
import { request, type RequestOptions } from 'node:http';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** An engine on the same machine answers within a few milliseconds. */
const ANSWER_LIMIT_MS = 2_000;

/**
 * Whether a Docker engine answers here. A `docker` on PATH says nothing: it may be a client without an engine.
 * Asks the one that `DOCKER_HOST` names, else the sockets where engines usually listen.
 */
export async function dockerEngineAnswers(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Promise<boolean> {
  for (const target of engineTargets(environment)) {
    if (await answersPing(target)) return true;
  }
  return false;
}

function engineTargets(environment: Readonly<Record<string, string | undefined>>): RequestOptions[] {
  const named = environment['DOCKER_HOST'];
  if (named !== undefined && named !== '') {
    if (named.startsWith('unix://')) return [{ socketPath: named.slice('unix://'.length) }];
    const url = URL.parse(named.replace(/^tcp:/, 'http:'));
    return url === null ? [] : [{ host: url.hostname, port: url.port === '' ? 2375 : Number(url.port) }];
  }
  const runtimeDirectory = environment['XDG_RUNTIME_DIR'];
  return [
    '/var/run/docker.sock',
    ...(runtimeDirectory === undefined ? [] : [join(runtimeDirectory, 'docker.sock')]),
    join(homedir(), '.docker/run/docker.sock'),
  ]
    .filter((path) => existsSync(path))
    .map((socketPath) => ({ socketPath }));
}

function answersPing(target: RequestOptions): Promise<boolean> {
  return new Promise((resolve) => {
    const ping = request({ ...target, path: '/_ping', timeout: ANSWER_LIMIT_MS }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    ping.on('timeout', () => ping.destroy());
    ping.on('error', () => {
      resolve(false);
    });
    ping.on('close', () => {
      resolve(false);
    });
    ping.end();
  });
}
