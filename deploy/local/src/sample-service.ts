/**
 * A microservice that uses the token broker. Everything that a service of yours needs is in this file; what this sample
 * is told to do by whoever started it is in sample-work.ts.
 *
 * Environment: NATS_URL, NATS_USER (also the caller's name in the brokers' configuration), NATS_PASSWORD_FILE.
 */
import { readFile } from 'node:fs/promises';
import { createTokenBroker } from '@token-broker/client';
import { connect } from 'nats';
import { startSampleWork } from './sample-work.js';

const caller = setting('NATS_USER');

// Your own NATS connection; any that your service has already will do. The inbox prefix is the one that the NATS server
// lets this caller listen to. Short pings find a dead link within seconds, and reconnecting never ends.
const connection = await connect({
  servers: setting('NATS_URL'),
  user: caller,
  pass: (await readFile(setting('NATS_PASSWORD_FILE'), 'utf8')).trim(),
  name: caller,
  inboxPrefix: `_INBOX.${caller}`,
  pingInterval: 2_000,
  maxPingOut: 2,
  maxReconnectAttempts: -1,
  ignoreAuthErrorAbort: true,
});

// One for the whole process: it holds the near cache, and listens for tokens that were refreshed or revoked.
const broker = createTokenBroker({ connection, caller });

// A handle for each source that you use, made once. Making it does no I/O.
const payments = broker.source('payments-api');

/** How a service uses it: ask for the token each time, and keep none. Nearly always it is at hand already. */
async function callPayments(): Promise<string> {
  const token = await payments.get();
  // return fetch('https://payments.example.com/charges', { headers: { authorization: `Bearer ${token.accessToken}` } });
  return token.accessToken;
}

// Optional: to be told. Without this, the next `get` simply gives the new token.
payments.on('revoked', () => {
  work.noteDropped();
});
payments.on('refreshed', (token) => {
  work.noteRenewed(token.accessToken);
});

const work = startSampleWork({ broker, payments, callPayments });

let stopping = false;
async function stop(): Promise<void> {
  if (stopping) return;
  stopping = true;
  work.stop();
  await broker.close();
  await connection.drain();
}
process.once('SIGTERM', () => void stop());
process.once('SIGINT', () => void stop());

function setting(name: string): string {
  const value = process.env[name];
  if (value !== undefined && value !== '') return value;
  process.stderr.write(`the environment variable ${name} is not set\n`);
  process.exit(2);
}
