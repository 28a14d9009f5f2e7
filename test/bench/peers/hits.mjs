import { answerCalls } from './answer-calls.mjs';
import { makers } from './hit-peers.mjs';

/** One library that holds a token, and is asked for it again and again. */

let ask = async () => '';

answerCalls({
  /** Makes the library of this name hold its token. */
  async open(name) {
    ask = await makers[name]();
    if ((await ask()).length === 0) throw new Error(`${name} gives no token`);
  },
  /** Nanoseconds of one `await` of a token that is held. */
  async hits(rounds) {
    const startedAtMs = performance.now();
    let hits = 0;
    for (let i = 0; i < rounds; i++) if ((await ask()).length > 0) hits++;
    if (hits !== rounds) throw new Error('not every round was a hit');
    return ((performance.now() - startedAtMs) * 1e6) / rounds;
  },
});
