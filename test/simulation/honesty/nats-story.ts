import { SeededRandom } from '@token-broker/testing';
import { attempt, join, settle, textOf, type Client } from './nats-clients.js';
import type { Connection, Message, World } from './nats-worlds.js';

const SUBJECTS = ['a', 'a.b', 'a.c', 'b.b', 'a.b.c'] as const;
const PATTERNS = ['a', 'a.*', 'a.>', '>', '*.b', 'a.b.c', 'b.b', '*'] as const;

interface Listener {
  readonly id: string;
  readonly group: string;
  readonly owner: Client;
  readonly subscription: ReturnType<Connection['subscribe']>;
}

/** Random commands of several clients; the same seed gives the same commands in both worlds. */
export async function randomStory(world: World, seed: number, length: number): Promise<string[]> {
  const random = new SeededRandom(seed);
  const pick = <T>(items: readonly T[]): T => {
    const item = items[random.integer(items.length)];
    if (item === undefined) throw new Error('there is nothing to pick from');
    return item;
  };
  const lines: string[] = [];
  const clients: Client[] = [];
  const listeners: Listener[] = [];
  /** By subscription or queue group, and publisher: what came, in order. */
  const heard = new Map<string, string[]>();
  let subscriptions = 0;
  let requests = 0;
  let isDown = false;

  const hear = (listener: string, group: string, { subject, data, headers }: Message): void => {
    const from = headers === undefined ? textOf(data) : `!${String(headers.code)}`;
    const publisher = from.split(':')[0] ?? '';
    // Who of a group gets a message is left to chance: all of them together get what one would.
    const line = `${group === '' ? listener : group} ${publisher}`;
    heard.set(line, [...(heard.get(line) ?? []), `${subject}=${from}`]);
  };
  const tell = (): void => {
    for (const [line, messages] of [...heard].sort(([a], [b]) => (a < b ? -1 : 1))) {
      // Members of a group hear in parallel, and requests are answered by whoever got them.
      const isOrdered = !/^(group|inbox)/.test(line);
      lines.push(`${line}: ${(isOrdered ? messages : messages.sort()).join(' ')}`);
    }
    heard.clear();
    for (const { name, statuses, connection } of clients)
      lines.push(`${name} ${connection.isClosed() ? 'closed' : 'open'} ${statuses.join(',')}`);
    lines.push(listeners.map(({ id, subscription }) => `${id}${subscription.isClosed() ? '' : '+'}`).join(' '));
  };
  const calm = async (): Promise<void> => {
    await settle(world, clients);
    tell();
  };
  const listen = (owner: Client): void => {
    const id = `s${String(++subscriptions)}`;
    const [pattern, group] = [pick(PATTERNS), pick(['', '', 'group1', 'group2'])];
    // All members of a group are alike.
    const responds = group === '' ? random.integer(4) === 0 : group === 'group1';
    const callback = (_: Error | null, message: Message): void => {
      // What wildcards hear of inboxes would depend on who answered.
      if (message.subject.startsWith('inbox')) return;
      hear(id, group, message);
      if (responds) message.respond(message.data);
    };
    const outcome = attempt(() => {
      const queue = group === '' ? {} : { queue: group };
      listeners.push({ id, group, owner, subscription: owner.connection.subscribe(pattern, { callback, ...queue }) });
    });
    lines.push(`${owner.name} ${id} ${pattern} ${group} ${outcome}`);
  };
  const welcome = async (): Promise<void> => {
    const client = await join(world, `c${String(clients.length + 1)}`);
    clients.push(client);
    const inbox = `inbox.${client.name}`;
    client.connection.subscribe(`${inbox}.*`, { callback: (_, message) => hear(inbox, '', message) });
    await calm();
  };
  const say = (client: Client): void => {
    // Asked for a reply to somebody else, the server itself says nothing where nobody listens.
    requests++;
    const inboxOf = ({ name }: Client): string => `inbox.${name}.${String(requests)}`;
    const reply = pick(['', '', '', ...[client, client, pick(clients)].map(inboxOf)]);
    lines.push(attempt(() => client.publish(pick([...SUBJECTS, 'nobody.at.all']), reply)));
  };

  for (let i = 0; i < 3; i++) await welcome();
  for (let i = 0; i < length; i++) {
    const client = pick(clients);
    const command = pick([
      'listen',
      'listen',
      'burst',
      'burst',
      'burst',
      'turn',
      'end',
      'reset',
      'down',
      'up',
      'close',
    ]);
    lines.push(`${String(i)} ${command} ${client.name}`);
    switch (command) {
      case 'listen':
        listen(client);
        await calm();
        break;
      case 'burst':
        for (let n = 1 + random.integer(12); n > 0; n--) say(pick(clients));
        await calm();
        break;
      case 'turn':
        // Of one connection, in one go: the server takes it in this order. No member leaves its group here, or chance would
        // decide whether a message was lost with it.
        for (let n = 1 + random.integer(8); n > 0; n--) {
          const own = listeners.filter(
            ({ owner, group, subscription }) => owner === client && group === '' && !subscription.isClosed(),
          );
          const act = random.integer(4);
          if (act === 0) listen(client);
          else if (act === 1 && own.length > 0) pick(own).subscription.unsubscribe();
          else say(client);
        }
        await calm();
        break;
      case 'end': {
        const live = listeners.filter(({ subscription, owner }) => !subscription.isClosed() && owner.isConnected);
        if (live.length === 0) break;
        const { subscription, owner, id } = pick(live);
        lines.push(id);
        if (random.integer(2) === 0) subscription.unsubscribe();
        else {
          say(owner);
          await world.over(subscription.drain());
        }
        await calm();
        break;
      }
      case 'reset': {
        if (isDown || client.connection.isClosed()) break;
        const told = client.statuses.length;
        client.link.reset();
        await world.until('the reconnect', () => client.statuses.slice(told).includes('reconnect'));
        await calm();
        break;
      }
      case 'down':
        if (isDown || random.integer(2) === 0) break;
        isDown = true;
        await world.stopServer();
        await world.until('all to notice', () => clients.every((c) => c.connection.isClosed() || !c.isConnected));
        lines.push(await world.over(client.flush()));
        break;
      case 'up':
        if (!isDown) break;
        isDown = false;
        await world.startServer();
        await world.until('all to be back', () => clients.every((c) => c.connection.isClosed() || c.isConnected));
        await calm();
        break;
      case 'close':
        if (random.integer(4) > 0) break;
        say(client);
        await world.over(client.connection.close());
        lines.push(await world.over(client.flush()));
        await calm();
        if (!isDown) await welcome();
        break;
    }
  }
  if (isDown) await world.startServer();
  return lines;
}
