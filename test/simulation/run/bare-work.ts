import { createCipheriv, createHmac } from 'node:crypto';
import { createSystemClock } from '@token-broker/foundation';

/** What a world does most, and nothing of this project: JSON, sealing, keyed hashes. Prints how long it took, in ms. */
const ROUNDS = 800_000;

const key = Buffer.alloc(32, 7);
const nonce = Buffer.alloc(12, 7);
const clock = createSystemClock();
const startedAtMs = clock.elapsedMs();
let done = 0;
for (let round = 0; round < ROUNDS; round++) {
  const message = { v: 1, broker: 'b1', atMs: 1_760_000_000_000 + round, epochs: [round], timing: { tickMs: 1_000 } };
  const text = JSON.stringify(message);
  done += Object.keys(JSON.parse(text) as object).length;
  if (round % 4 === 0) {
    const cipher = createCipheriv('aes-256-gcm', key, nonce);
    done += cipher.update(text).length + cipher.final().length;
  } else if (round % 4 === 1) done += createHmac('sha256', key).update(text).digest().length;
}
console.log(JSON.stringify({ tookMs: clock.elapsedMs() - startedAtMs, done }));
