export function value(variable: string): string;
export function signedHeaders(
  variable: string,
  body: string | Uint8Array,
): { "Content-Type": string; "X-Signature": string };
export function validNonce(nonce: unknown): nonce is string;
export function proof(key: string, nonce: string): string;
export function worker(): string;
