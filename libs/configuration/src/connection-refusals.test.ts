import { generateKeyPairSync } from 'node:crypto';
import { createCertificate } from '@token-broker/testing';
import { CANARY, itRefuses } from './fakes/refused-documents.js';

const { cert: certificate } = await createCertificate();
const otherKey = generateKeyPairSync('ec', {
  namedCurve: 'P-256',
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
}).privateKey;

itRefuses({
  NATS: [
    ['NATS user without a password', { 'nats/password': undefined }, 'nats.password', 'is required beside user'],
    ['two kinds of NATS credentials', { 'nats/token': CANARY }, 'nats.token', 'cannot be combined with user'],
    ['NATS credentials in a URL', { 'nats/servers': [`nats://u:${CANARY}@a`] }, 'nats.servers[0]', 'credentials'],
    ['no NATS seed', { nats: { servers: ['a'], nkeySeed: CANARY } }, 'nats.nkeySeed', 'not the seed'],
    [
      'no NATS credentials file',
      { nats: { servers: ['a'], creds: CANARY } },
      'nats.creds',
      'not a NATS credentials file',
    ],
    ['event identity without credentials', { 'nats/events': {} }, 'nats.events', 'names no credentials'],
    ['no NATS server', { 'nats/servers': [] }, 'nats.servers', 'at least one'],
  ],
  Redis: [
    ['no Redis server', { redis: {} }, 'redis', 'exactly one of: url, sentinel, cluster'],
    ['two Redis topologies', { 'redis/cluster': { nodes: ['a:1'] } }, 'redis.cluster', 'cannot be combined with url'],
    ['no Redis URL', { 'redis/url': `http://${CANARY}` }, 'redis.url', 'not a Redis URL'],
    ['password twice', { 'redis/password': CANARY }, 'redis.password', 'is in url already'],
    [
      'Sentinel without nodes',
      { redis: { sentinel: { name: 'm', nodes: [] } } },
      'redis.sentinel.nodes',
      'at least one',
    ],
  ],
  'lock masters': [
    [
      'even number of lock masters',
      { 'redis/lock': { masters: ['redis://a', 'redis://b'] } },
      'redis.lock.masters',
      'odd number of masters, not 2',
    ],
    ['no lock masters', { 'redis/lock': { masters: [] } }, 'redis.lock.masters', 'not 0'],
    [
      'the same lock master twice',
      { 'redis/lock': { masters: ['redis://a', 'redis://b', 'redis://a:6379'] } },
      'redis.lock.masters[2]',
      'same server',
    ],
  ],
  TLS: [
    [
      'certificate that does not parse',
      { 'nats/tls': { ca: certificate.replace('MII', 'AAA') } },
      'nats.tls.ca',
      'does not parse',
    ],
    [
      'key of another certificate',
      { 'redis/url': 'rediss://a', 'redis/tls': { cert: certificate, key: otherKey } },
      'redis.tls.key',
      'is not the private key of cert',
    ],
    [
      'key that does not parse',
      { 'nats/tls': { cert: certificate, key: CANARY } },
      'nats.tls.key',
      'the private key does not parse',
    ],
    ['certificate without a key', { 'nats/tls': { cert: certificate } }, 'nats.tls.key', 'is required beside cert'],
    ['TLS settings without a TLS connection', { 'redis/tls': {} }, 'redis.tls', 'rediss://'],
  ],
  'addresses to listen at': [
    ['port out of range', { 'http/listen': '127.0.0.1:70000' }, 'http.listen', 'expected address:port'],
    ['address without a port', { 'http/listen': '127.0.0.1' }, 'http.listen', 'expected address:port'],
  ],
});
