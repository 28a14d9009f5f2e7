import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { machineNs } from '../harness/machine.js';
import { serveMethods } from '../harness/serve-methods.js';

/** An identity provider that does nothing but answer: a bare HTTP server, whose every token is another one. */

/** Of a JWT with a few claims: replies of brokers come to about 1.5 KB. */
const TOKEN_CHARACTERS = 1_100;

let delayMs = 0;
let expiresInSeconds = 3_600;
let requests = 0;
let repliedAtNs = 0;

const server = createServer((request, response) => {
  request.resume();
  request.on('end', () => {
    const token = `${String(++requests)}-`.padEnd(TOKEN_CHARACTERS, 'x');
    const body = JSON.stringify({ access_token: token, token_type: 'Bearer', expires_in: expiresInSeconds });
    const reply = (): void => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': String(body.length) });
      repliedAtNs = machineNs();
      response.end(body);
    };
    if (delayMs === 0) reply();
    else setTimeout(reply, delayMs);
  });
});
// Whoever keeps a connection open for later must not find it closed.
server.keepAliveTimeout = 600_000;

const methods = {
  /** Listens on a free port; the URL to ask for tokens at. */
  async listen() {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/token`;
  },
  setDelay(ms: number) {
    delayMs = ms;
  },
  setLife(seconds: number) {
    expiresInSeconds = seconds;
  },
  /** Token requests so far, and when the last one was answered. */
  seen: () => ({ requests, repliedAtNs }),
};
export type IdentityProviderMethods = typeof methods;
serveMethods(methods);
