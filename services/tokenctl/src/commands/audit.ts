import { isIdentifier, type AuditRecord } from '@token-broker/protocol';
import { Command } from 'commander';
import { recordsOfFile } from '../audit/audit-file.js';
import { isWanted, requireEvent, type AuditFilter } from '../audit/audit-filter.js';
import { AuditLines } from '../audit/audit-lines.js';
import { usageFailure } from '../command-failure.js';
import { examples, type Invocation } from '../invocation.js';
import { duration, once, requireSource } from '../option-parsers.js';
import { renderRecord } from '../output/audit-page.js';

interface AuditOptions {
  readonly file?: string;
  readonly stream?: string;
  readonly follow?: true;
  /** Milliseconds. */
  readonly since?: number;
  readonly event?: string;
  readonly by?: string;
  readonly source?: string;
}

/** `audit`: who did what, and why, from a file or a stream. */
export function auditCommand(invocation: Invocation): Command {
  return new Command('audit')
    .summary('read the audit trail: who revoked what, and why')
    .description(
      'Reads the audit trail from the file or the JetStream stream that the brokers write it to, and with --follow goes on. A file may be a log of a broker with records among its lines.',
    )
    .option('--file <path>', 'the file; "-" for standard input', once)
    .option('--stream <name>', 'the stream, as under `audit.stream`', once)
    .option('-f, --follow', 'go on with the records that come')
    .option('--since <duration>', 'those of the last 15m, 12h, 7d', duration)
    .option('--event <name>', 'an event, or all of a kind: revocation.ended, revocation', once)
    .option('--by <name>', 'of this caller or operator', once)
    .option('--source <name>', 'of this source', once)
    .addHelpText(
      'after',
      examples(
        'tokenctl audit --file /var/log/token-broker/audit.jsonl --since 24h --event revocation',
        'tokenctl audit --stream TOKEN_BROKER_AUDIT --follow',
        'journalctl -u token-broker -o cat | tokenctl audit --file - --by ops --json',
      ),
    )
    .action(async (options: AuditOptions, command: Command) => {
      const filter = filterOf(options, invocation.surroundings.clock.wallMs());
      const printer = invocation.printer(command);
      let shown = 0;
      for await (const record of await recordsOf(invocation, command, options, filter)) {
        if (!isWanted(record, filter)) continue;
        printer.result(record, (style) => renderRecord(record, style));
        shown++;
      }
      if (shown === 0) printer.note('No record matches.');
    });
}

function filterOf({ since, event, by, source }: AuditOptions, nowMs: number): AuditFilter {
  return {
    ...(since === undefined ? {} : { sinceMs: nowMs - since }),
    ...(event === undefined ? {} : { event: requireEvent(event) }),
    ...(by === undefined ? {} : { by }),
    ...(source === undefined ? {} : { source: requireSource(source) }),
  };
}

async function recordsOf(
  invocation: Invocation,
  command: Command,
  { file, stream, follow }: AuditOptions,
  { sinceMs }: AuditFilter,
): Promise<AsyncIterable<AuditRecord> | Iterable<AuditRecord>> {
  const { surroundings } = invocation;
  if ((file === undefined) === (stream === undefined))
    throw usageFailure(
      file === undefined ? 'it is not said where the audit trail is' : '--file and --stream exclude each other',
      'Give --file with the path of `audit.file` ("-" for standard input), or --stream with the name of `audit.stream`.',
    );
  if (file === '-') {
    if (follow === true)
      throw usageFailure('standard input cannot be followed', 'Leave out --follow: it is read to its end.');
    return everyRecordIn(await surroundings.readFile('-'));
  }
  if (file !== undefined) return recordsOfFile(file, follow === true, surroundings.clock);
  if (stream === undefined || !isIdentifier(stream))
    throw usageFailure(
      '--stream is not the name of a stream',
      'A name has 1 to 64 of the characters A-Z a-z 0-9 _ and -.',
    );
  const reading = { stream, follow: follow === true, ...(sinceMs === undefined ? {} : { sinceMs }) };
  return surroundings.readAuditStream(await invocation.settings(command), reading);
}

function* everyRecordIn(text: string): Generator<AuditRecord> {
  const lines = new AuditLines();
  yield* lines.take(text);
  yield* lines.end();
}
