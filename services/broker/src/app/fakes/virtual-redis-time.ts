/** What of a client of a real Redis is needed here. */
interface ScriptedClient {
  defineCommand(name: string, definition: { lua: string; numberOfKeys?: number }): void;
  set(key: string, value: string): Promise<unknown>;
}

const TIME = "redis.call('TIME')";
const KEY = 'virtual-time-us';
/** Whole seconds and the microseconds of the rest, as `TIME` gives them. */
const VIRTUAL = `(function()
  local us = tonumber(redis.call('GET', '${KEY}'))
  return { tostring(math.floor(us / 1000000)), tostring(us % 1000000) }
end)()`;

/**
 * Lets the scripts that are defined on this client from now on take their time from a test instead of from the clock of the
 * real Redis that they run on. Lives of keys still run on that clock. Resolves to what sets the time, in ms since 1970.
 */
export function virtualTimeOf(client: ScriptedClient): (ms: number) => Promise<void> {
  const define = client.defineCommand.bind(client);
  client.defineCommand = (name, definition) => {
    if (!definition.lua.includes(TIME)) throw new Error(`${name} does not ask for the time`);
    define(name, { ...definition, lua: definition.lua.replaceAll(TIME, VIRTUAL) });
  };
  return async (ms) => {
    await client.set(KEY, (ms * 1_000).toFixed(0));
  };
}
