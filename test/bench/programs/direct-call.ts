import { Agent, request } from 'node:http';

const agent = new Agent({ keepAlive: true });

/** A token request as a careful client would make it: on a connection that is kept open. @throws {Error} without a token */
export function callDirectly(tokenEndpoint: string, audience: string): Promise<void> {
  const body = new URLSearchParams({ grant_type: 'client_credentials', audience }).toString();
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  return new Promise((resolve, reject) => {
    const call = request(tokenEndpoint, { method: 'POST', agent, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        const { access_token: token } = JSON.parse(Buffer.concat(chunks).toString()) as { access_token?: string };
        if (token === undefined) reject(new Error('no token'));
        else resolve();
      });
    });
    call.on('error', reject);
    call.end(body);
  });
}
