import { spawn, type ChildProcess } from 'node:child_process';

/**
 * Reads `add PID` and `drop PID`, one a line. Its standard input ends when the process at the other end is gone, however
 * it went: then it kills what was added and not dropped, and removes the folder `$1`.
 */
const GUARD_SCRIPT = `trap '' INT TERM HUP
pids=' '
while read -r word pid; do
  case "$word" in
    add) pids="$pids$pid " ;;
    drop) pids="\${pids%% $pid *} \${pids#* $pid }" ;;
  esac
done
for pid in $pids; do kill -9 "$pid" 2>/dev/null; done
rm -rf -- "$1"`;

/** Makes sure that no process and no secret outlives this process, even when this process is killed by SIGKILL. */
export interface ProcessGuard {
  watch(child: ChildProcess): void;
  /** Ends the guard, which removes the folder. */
  close(): Promise<void>;
}

/** @param directory the folder to remove at the end */
export function startProcessGuard(directory: string): ProcessGuard {
  const guard = spawn('/bin/sh', ['-c', GUARD_SCRIPT, 'token-broker-guard', directory], {
    // In a process group of its own, so that a Ctrl-C in the terminal does not end the guard before its time.
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const exited = new Promise<void>((resolve) => {
    guard.once('exit', () => {
      resolve();
    });
    guard.once('error', () => {
      resolve();
    });
  });
  guard.stdin.on('error', () => undefined);
  return {
    watch(child) {
      const pid = String(child.pid);
      guard.stdin.write(`add ${pid}\n`);
      // The number may be given to another process once the child is gone.
      child.once('exit', () => guard.stdin.write(`drop ${pid}\n`));
    },
    async close() {
      guard.stdin.end();
      await exited;
    },
  };
}
