import type { AuditDestination } from '../../app/ports/audit.js';

/**
 * Records among the lines of the log. Safe means that the process has handed them on: what keeps them is whoever reads.
 *
 * @param write takes a line with its line break, at once
 */
export function auditToStdout(write: (line: string) => void): AuditDestination {
  return {
    name: 'stdout',
    deliver(lines) {
      for (const { text } of lines) write(`${text}\n`);
      return Promise.resolve();
    },
    close: () => Promise.resolve(),
  };
}
