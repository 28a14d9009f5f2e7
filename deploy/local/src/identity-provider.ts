/**
 * The OpenID provider of the local system: a process of its own, whose token endpoint counts. For development only.
 *
 * Environment: IDP_CLIENTS_FILE, a file with client ids and secrets as JSON. IDP_LISTEN (`0.0.0.0:9000`): opens the
 * provider, which listens on the loopback interface only, to others; for containers.
 */
import { readFile } from 'node:fs/promises';
import { createServer, connect } from 'node:net';
import { serveIdentityProvider } from '@token-broker/testing';
import { CLIENT_OF_SOURCE, EXPORT_SCOPE, LEDGER, PAYMENTS } from './participants.js';

/** Short, so that a renewal can be watched. */
const PAYMENTS_LIFE_SECONDS = 20;
const LEDGER_LIFE_SECONDS = 300;
/** What a provider on the internet may take; long enough for cold callers to pile up. */
const TOKEN_DELAY_MS = 150;

const SCOPES: Readonly<Record<string, readonly string[]>> = {
  [CLIENT_OF_SOURCE[PAYMENTS]]: ['payments:read', 'payments:write'],
  [CLIENT_OF_SOURCE[LEDGER]]: ['ledger:read', EXPORT_SCOPE],
};

const path = process.env['IDP_CLIENTS_FILE'];
if (path === undefined) {
  process.stderr.write('the environment variable IDP_CLIENTS_FILE is not set\n');
  process.exit(2);
}
// Written by secrets.ts of this package.
const clientSecrets = JSON.parse(await readFile(path, 'utf8')) as Record<string, string>;

const listen = /^(.+):(\d+)$/.exec(process.env['IDP_LISTEN'] ?? '');
const loopbackPort = listen === null ? undefined : Number(listen[2]) + 1;
if (listen !== null && loopbackPort !== undefined) openTo(listen[1] ?? '', Number(listen[2]), loopbackPort);

await serveIdentityProvider({
  ...(loopbackPort === undefined ? {} : { port: loopbackPort }),
  clients: Object.entries(clientSecrets).map(([clientId, clientSecret]) => ({
    clientId,
    clientSecret,
    scopes: SCOPES[clientId] ?? [],
  })),
  tokenLifeSeconds: (clientId) =>
    clientId === CLIENT_OF_SOURCE[PAYMENTS] ? PAYMENTS_LIFE_SECONDS : LEDGER_LIFE_SECONDS,
  delayTokenMs: TOKEN_DELAY_MS,
});
process.exit(0);

function openTo(host: string, port: number, toPort: number): void {
  createServer((outside) => {
    const inside = connect(toPort, '127.0.0.1');
    outside.pipe(inside).pipe(outside);
    outside.on('error', () => inside.destroy());
    inside.on('error', () => outside.destroy());
  }).listen(port, host);
}
