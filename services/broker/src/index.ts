export { startBroker, type RunningBroker } from './compose.js';
