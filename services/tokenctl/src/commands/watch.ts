import { Command } from 'commander';
import { examples, type Invocation } from '../invocation.js';
import { duration, once, requireSource } from '../option-parsers.js';
import { renderEvent } from '../output/event-line.js';
import { untilEnd } from '../until-end.js';
import { heard, type BrokerEvent } from '../watch/broker-event.js';
import { HeartbeatWatch } from '../watch/heartbeat-watch.js';

interface WatchOptions {
  readonly source?: string;
  readonly for?: number;
}

/** `watch`: what brokers publish, as it happens. */
export function watchCommand(invocation: Invocation): Command {
  return new Command('watch')
    .summary('show refreshes, revocations and missing heartbeats as they happen')
    .description(
      'Shows what brokers publish, as it happens: tokens that were renewed, invalidations, heartbeats that are missing, new epochs. Ends with Ctrl-C, or after --for. With --json one object a line.',
    )
    .option('--source <name>', 'of this source only', once)
    .option('--for <duration>', 'end after so long', duration)
    .addHelpText('after', examples('tokenctl watch', 'tokenctl watch --source payments-api --for 10m --json'))
    .action(async (options: WatchOptions, command: Command) => {
      const { clock, stdout } = invocation.surroundings;
      const source = options.source === undefined ? undefined : requireSource(options.source);
      const printer = invocation.printer(command);
      const tell = (event: BrokerEvent): void => {
        if (source !== undefined && !concerns(event, source)) return;
        const at = new Date(clock.wallMs()).toISOString();
        stdout.write(
          printer.isJson ? `${JSON.stringify({ at, ...event })}\n` : `${renderEvent(at, event, printer.style)}\n`,
        );
      };
      await invocation.throughDoor(command, async (door) => {
        const heartbeats = new HeartbeatWatch(clock, tell);
        // Its policy names sources: then these are what it may hear.
        const hearEachSource = (wildcard: string): void => {
          const asked = door.operator.status().then(({ sources }) => {
            for (const { name } of sources) hearing.addSource(name);
          });
          asked.catch(() => tell({ event: 'denied', subject: wildcard }));
        };
        const hearing = door.hear({
          message: (subject, data) => {
            const what = heard(subject, data);
            if (what.kind === 'heartbeat') heartbeats.heard(what.heartbeat);
            else tell(what.event);
          },
          denied: (subject) => {
            if (subject.includes('.event.*.')) hearEachSource(subject);
            else tell({ event: 'denied', subject });
          },
          connected: (isConnected) => tell({ event: isConnected ? 'nats-back' : 'nats-away' }),
        });
        printer.note('Watching. Ctrl-C ends it.');
        try {
          await Promise.race([untilEnd(invocation.surroundings, options.for), hearing.lost]);
        } finally {
          heartbeats.stop();
          hearing.close();
        }
      });
    });
}

/** What names no source concerns each. */
function concerns(event: BrokerEvent, source: string): boolean {
  if (event.event === 'refreshed') return event.source === source;
  if (event.event !== 'invalidated') return true;
  return event.everything || event.slots.length > 0 || event.sources.includes(source);
}
