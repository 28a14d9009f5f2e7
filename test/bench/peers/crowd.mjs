import { answerCalls } from './answer-calls.mjs';
import { makers } from './crowd-peers.mjs';

/** One of several processes in which many callers need the same token at the same moment, through a library and Redis. */

/** @type {(key: string) => Promise<string>} */
let ask = async () => '';

answerCalls({
  async open({ name, redisUrl, tokenEndpoint }) {
    ask = await makers[name]({ redisUrl, fetchToken: () => callDirectly(tokenEndpoint) });
  },
  /** How long the slowest of so many callers waits, in milliseconds. */
  async burst({ callers, key }) {
    const startedAtMs = performance.now();
    const waited = Array.from({ length: callers }, async () => {
      if ((await ask(key)).length === 0) throw new Error('no token');
      return performance.now() - startedAtMs;
    });
    return Math.max(...(await Promise.all(waited)));
  },
});

/** @param {string} tokenEndpoint */
async function callDirectly(tokenEndpoint) {
  const body = new URLSearchParams({ grant_type: 'client_credentials' });
  const reply = await fetch(tokenEndpoint, { method: 'POST', body });
  return (await reply.json()).access_token;
}
