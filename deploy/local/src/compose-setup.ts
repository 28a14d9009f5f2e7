/**
 * The one-shot set-up of docker-compose.yml: makes secrets and configuration files, each in the folder that is mounted
 * for its reader only. Does nothing where they are there already.
 *
 * Argument: the folder that holds one folder (a volume) for each reader.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { renderNatsAuthorization } from '@token-broker/configuration';
import { brokerFiles, permissionsOf } from './broker-configuration.js';
import { CALLERS } from './participants.js';
import { generateSecrets, writePrivately } from './secrets.js';

/** The user `node` of our images; NATS runs as the same number. */
const NODE_USER_ID = 1000;
/** The user `redis` of the official image. */
const REDIS_USER_ID = 999;

const [, , directory] = process.argv;
if (directory === undefined) {
  process.stderr.write('give the folder to write to\n');
  process.exit(2);
}
// Written last, so that a set-up that was interrupted is done again from the start.
const last = join(directory, 'broker', 'broker.yaml');
if (existsSync(last)) process.stdout.write('the files are there already\n');
else {
  await write(directory);
  process.stdout.write('made new secrets and configuration files\n');
}

async function write(root: string): Promise<void> {
  const secrets = generateSecrets();
  const { 'broker.yaml': yaml = '', ...brokerSecrets } = brokerFiles(
    {
      natsUrl: 'nats://nats:4222',
      redisUrl: 'redis://redis:6379/0',
      identityProvider: { tokenEndpoint: 'http://identity-provider:9000/token' },
      httpListen: '0.0.0.0:9464',
    },
    secrets,
  );
  const permissions = await permissionsOf({ ...brokerSecrets, 'broker.yaml': yaml });
  const clients = Object.fromEntries([...secrets.clientSecrets].map(([id, secret]) => [id, secret.reveal()]));

  const nats = ['port: 4222', 'http: "127.0.0.1:8222"', renderNatsAuthorization(permissions, secrets.natsPasswords)];
  await writePrivately(root, { 'nats/nats-server.conf': nats.join('\n') }, NODE_USER_ID);
  const redis = [
    'port 6379',
    'dir /data',
    'save ""',
    'appendonly yes',
    'appendfsync always',
    'maxmemory-policy noeviction',
    `requirepass ${secrets.redisPassword.reveal()}`,
    '',
  ];
  await writePrivately(root, { 'redis/redis.conf': redis.join('\n') }, REDIS_USER_ID);
  await writePrivately(root, { 'identity-provider/clients.json': JSON.stringify(clients) }, NODE_USER_ID);
  for (const caller of CALLERS) {
    const password = secrets.natsPasswords.get(caller)?.reveal() ?? '';
    await writePrivately(join(root, caller), { 'nats-password': password }, NODE_USER_ID);
  }
  await writePrivately(join(root, 'broker'), brokerSecrets, NODE_USER_ID);
  await writePrivately(join(root, 'broker'), { 'broker.yaml': yaml }, NODE_USER_ID);
}
