import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { startProgram } from '../processes.js';

it('runs as a process of its own until SIGTERM, and says where it is', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'token-broker-identity-test-'));
  const path = join(directory, 'provider.mjs');
  // A child process runs what is built, not the source.
  const built = new URL('../../dist/index.js', import.meta.url).href;
  await writeFile(
    path,
    `import { serveIdentityProvider } from ${JSON.stringify(built)};
     await serveIdentityProvider({ clients: [{ clientId: 'a', clientSecret: 'one' }] });`,
  );
  const program = startProgram(path);
  try {
    const { issuer } = JSON.parse(await program.waitForLine(/^\{/)) as { issuer: string };
    const control = await fetch(`${issuer}/control`, { method: 'POST', body: '{"delayTokenMs": 1}' });
    expect(control.status).toBe(200);
    expect(await (await fetch(`${issuer}/counts`)).json()).toMatchObject({ tokenRequests: 0 });
    expect(await program.stop()).toEqual({ code: 0, signal: null });
    expect([...program.stdout.slice(1), ...program.stderr]).toEqual([]);
  } finally {
    await program.stop();
    await rm(directory, { recursive: true });
  }
});
