import { fileURLToPath } from 'node:url';

// Programs are started as processes, as they were built: never from source, wherever this module runs.

export function brokerProgram(): string {
  return builtProgram(import.meta.resolve('@token-broker/broker'));
}

export function tokenctlProgram(): string {
  return builtProgram(import.meta.resolve('@token-broker/tokenctl'));
}

function builtProgram(entrance: string): string {
  return fileURLToPath(new URL('../dist/main.js', entrance));
}
