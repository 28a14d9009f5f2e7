import { serveMethods } from '../harness/serve-methods.js';
import { BARE_RESPONDER } from '../stack/settings.js';
import { openRawSocket } from './raw-connection.js';

/**
 * Answers requests by bare socket, with bytes that lie ready for the last token of their subject: where clients are measured,
 * whoever answers must not be what bounds them.
 */

const END_OF_LINE = '\r\n';

/** What was received, answered as far as it is whole. The rest of it. */
function answerAll(text: string, answers: ReadonlyMap<string, Buffer>, parts: Buffer[]): string {
  let at = 0;
  for (;;) {
    const end = text.indexOf(END_OF_LINE, at);
    if (end === -1) return text.slice(at);
    let next = end + END_OF_LINE.length;
    if (text.startsWith('MSG ', at)) {
      const [, subject = '', , reply = '', bytes] = text.slice(at, end).split(' ');
      next += Number(bytes) + END_OF_LINE.length;
      if (next > text.length) return text.slice(at);
      const answer = answers.get(subject.slice(subject.lastIndexOf('.') + 1));
      if (answer === undefined) throw new Error(`no answer for ${subject}`);
      parts.push(Buffer.from(`PUB ${reply} `), answer);
    } else if (text.startsWith('PING', at)) parts.push(Buffer.from(`PONG${END_OF_LINE}`));
    else if (text.startsWith('-ERR', at)) throw new Error(text.slice(at, end));
    at = next;
  }
}

const methods = {
  async serve({ url, subject, replies }: { url: string; subject: string; replies: Map<string, Uint8Array> }) {
    const answers = new Map(
      [...replies].map(([name, data]) => [
        name,
        Buffer.concat([Buffer.from(`${String(data.length)}${END_OF_LINE}`), data, Buffer.from(END_OF_LINE)]),
      ]),
    );
    const socket = await openRawSocket(url, BARE_RESPONDER, subject);
    let rest = '';
    socket.on('data', (chunk: Buffer) => {
      const parts: Buffer[] = [];
      rest = answerAll(rest + chunk.toString('latin1'), answers, parts);
      if (parts.length > 0) socket.write(Buffer.concat(parts));
    });
  },
};
export type RawResponderMethods = typeof methods;
serveMethods(methods);
