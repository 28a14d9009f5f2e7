import { register } from 'node:module';

// `node --import …/run-typescript.mjs --conditions=token-broker:source program.ts` runs a program of this repository from its
// source, without a build: what is run is what is there, and a test needs no second step.
register('./typescript-hooks.mjs', import.meta.url);
