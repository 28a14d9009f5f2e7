/** A JSON object, whose fields nobody has looked at. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** The JSON object that a text holds, if it does. */
export function parseObject(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Which fields a reply has, without their values: one of them may be a token. */
export function shapeOf(body: JsonObject): string {
  const fields = Object.entries(body).map(([name, value]) => `${name}: ${value === null ? 'null' : typeof value}`);
  return `the reply has {${fields.join(', ')}}`;
}
