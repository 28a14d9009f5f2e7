import { createHmac } from 'node:crypto';

/**
 * The fingerprint of everything in the configuration that can change a token. Keyed, since it covers secrets; cut to 128
 * bits. `ingredients` must be a JSON value in which no two configurations look the same.
 */
export function recipeOf(recipeKey: Uint8Array, ingredients: unknown): string {
  return keyedHash(recipeKey, 'token-broker.recipe.v1', JSON.stringify(ingredients));
}

/** A token's keyed hash, to know it again without keeping it. */
export function tokenHashOf(recipeKey: Uint8Array, accessToken: string): string {
  return keyedHash(recipeKey, 'token-broker.token.v1', accessToken);
}

/** The fingerprint of a whole configuration, for its version in the cluster. */
export function configurationFingerprint(recipeKey: Uint8Array, ingredients: unknown): string {
  return keyedHash(recipeKey, 'token-broker.configuration.v1', JSON.stringify(ingredients));
}

/** The upstream identity that calls count for. Without secrets: a rotated one changes no budget. */
export function upstreamOf(recipeKey: Uint8Array, ingredients: unknown): string {
  return keyedHash(recipeKey, 'token-broker.upstream.v1', JSON.stringify(ingredients));
}

/** What a client proves itself with. */
export function credentialOf(recipeKey: Uint8Array, ingredients: unknown): string {
  return keyedHash(recipeKey, 'token-broker.credential.v1', JSON.stringify(ingredients));
}

function keyedHash(key: Uint8Array, purpose: string, text: string): string {
  return createHmac('sha256', key).update(`${purpose}\n`).update(text).digest().subarray(0, 16).toString('base64url');
}
