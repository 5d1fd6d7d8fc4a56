// rekey's side of a Next.js service: signing, and the proof of which value signs.
// docs/protocol.md is the specification. Nothing is imported but Node's own.
import { createHmac } from "node:crypto";
import { hostname } from "node:os";

const NONCE = /^[A-Za-z0-9_-]{16,128}$/;

/** @param {string} variable @returns {string} the value this process runs on, "" for none */
export function value(variable) {
  // Read by a computed name: Next.js replaces process.env.NAME by its value when it
  // builds, and what was built in is changed by no reload.
  return process.env[variable] ?? "";
}

/**
 * The headers of a signed request.
 * @param {string} variable the environment variable that holds the secret
 * @param {string | Uint8Array} body exactly what will be sent
 */
export function signedHeaders(variable, body) {
  const key = value(variable);
  if (!key) throw new Error(`${variable} is not set`);
  return {
    "Content-Type": "application/json",
    "X-Signature": createHmac("sha256", key).update(body).digest("hex"),
  };
}

/** @param {unknown} nonce @returns {nonce is string} */
export function validNonce(nonce) {
  return typeof nonce === "string" && NONCE.test(nonce);
}

/**
 * The answer to rekey's challenge.
 * @param {string} key @param {string} nonce
 */
export function proof(key, nonce) {
  return createHmac("sha256", key).update(`rekey-proof-v1\n${nonce}`).digest("hex");
}

/** @returns {string} names this process */
export function worker() {
  return `${hostname()}-${process.pid}`;
}
