import { fileURLToPath } from 'node:url';

// Programs are started as processes, as they are shipped: never from source, wherever this module runs.

export function brokerProgram(): string {
  return fileURLToPath(new URL('../bin/token-broker.js', import.meta.resolve('@token-broker/broker')));
}

export function tokenctlProgram(): string {
  return fileURLToPath(new URL('../bin/tokenctl.js', import.meta.resolve('@token-broker/tokenctl')));
}
