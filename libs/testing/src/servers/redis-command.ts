import { connect } from 'node:net';

/** How long a command may take. */
const LIMIT_MS = 5_000;

/**
 * Sends one command over a connection of its own, and resolves with the text of its reply: a status, a number or a string.
 *
 * @throws {Error} where Redis refuses the command, is not there, or says nothing for 5 s
 */
export function redisCommand(
  server: { readonly host: string; readonly port: number },
  ...words: readonly string[]
): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(server.port, server.host);
    let received = '';
    socket.setTimeout(LIMIT_MS, () => socket.destroy(new Error(`${words.join(' ')}: no reply`)));
    socket.setEncoding('latin1');
    socket.on('error', reject);
    socket.on('close', () => {
      reject(new Error(`${words.join(' ')}: the connection ended without a reply`));
    });
    socket.on('data', (text: string) => {
      received += text;
      const reply = parseReply(received);
      if (reply === undefined) return;
      if ('refusal' in reply) reject(new Error(`${words.join(' ')}: ${reply.refusal}`));
      else resolve(reply.text);
      socket.destroy();
    });
    const parts = words.map((word) => `$${String(Buffer.byteLength(word))}\r\n${word}\r\n`);
    socket.write(`*${String(words.length)}\r\n${parts.join('')}`);
  });
}

/** `undefined`: there is more to come. */
function parseReply(received: string): { readonly text: string } | { readonly refusal: string } | undefined {
  const end = received.indexOf('\r\n');
  if (end === -1) return undefined;
  const head = received.slice(1, end);
  if (received.startsWith('-')) return { refusal: head };
  if (!received.startsWith('$')) return { text: head };
  const body = received.slice(end + 2);
  const length = Number(head);
  if (length < 0) return { text: '' };
  return body.length < length + 2 ? undefined : { text: body.slice(0, length) };
}
