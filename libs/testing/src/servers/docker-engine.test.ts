import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dockerEngineAnswers } from './docker-engine.js';

describe('dockerEngineAnswers', () => {
  let status = 200;
  let directory = '';
  const engine = createServer((request, response) => {
    response.writeHead(request.url === '/_ping' ? status : 404).end('OK');
  });

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'token-broker-docker-test-'));
    engine.listen(join(directory, 'docker.sock'));
    await once(engine, 'listening');
  });

  afterAll(async () => {
    engine.close();
    engine.closeAllConnections();
    await rm(directory, { recursive: true });
  });

  it('believes an engine that answers, and none that does not', async () => {
    expect(await dockerEngineAnswers({ DOCKER_HOST: `unix://${directory}/docker.sock` })).toBe(true);
    status = 500;
    expect(await dockerEngineAnswers({ DOCKER_HOST: `unix://${directory}/docker.sock` })).toBe(false);
    expect(await dockerEngineAnswers({ DOCKER_HOST: `unix://${directory}/none.sock` })).toBe(false);
    expect(await dockerEngineAnswers({ DOCKER_HOST: 'tcp://127.0.0.1:1' })).toBe(false);
  });
});
