export { startBroker, CannotStart, type RunningBroker } from './compose.js';
