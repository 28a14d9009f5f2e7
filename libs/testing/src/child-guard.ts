import { spawn, type ChildProcess } from 'node:child_process';
import { Socket } from 'node:net';

/**
 * Waits for the end of its standard input, which comes when the process at the other end is gone, however it went;
 * then kills the process `$1` and removes the directory `$2`.
 */
const GUARD_SCRIPT = `trap '' INT TERM HUP
while read -r _; do :; done
kill -9 "$1" 2>/dev/null
if [ -n "$2" ]; then rm -rf -- "$2"; fi`;

/**
 * Makes sure that `child` does not outlive this process, even when this process is killed by SIGKILL: a small shell
 * holds the other end of a pipe and kills the child when the pipe closes.
 *
 * @param directory a temporary directory of the child, removed in the same case
 */
export function killWithThisProcess(child: ChildProcess, directory = ''): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const guard = spawn('/bin/sh', ['-c', GUARD_SCRIPT, 'token-broker-guard', String(child.pid), directory], {
    // In a process group of its own, so that a Ctrl-C in the terminal does not end the guard before its time.
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  guard.on('error', () => undefined);
  guard.stdin.on('error', () => undefined);
  guard.unref();
  if (guard.stdin instanceof Socket) guard.stdin.unref();
  // The process id may be given to another process once the child is gone, so the guard must go with the child.
  child.once('exit', () => {
    guard.kill('SIGKILL');
  });
}
