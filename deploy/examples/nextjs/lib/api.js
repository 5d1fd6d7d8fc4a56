// Calls leather-api, signed.
import { signedHeaders } from "./rekey.js";

/**
 * Sends what as JSON to path, signed with the value of variable, on behalf of whoever
 * sent request: the API's logs then name the reader and not this service.
 */
export function call(request, variable, path, what) {
  const body = JSON.stringify(what);
  const from = request.headers.get("x-forwarded-for");
  return fetch(new URL(path, process.env.API_URL), {
    method: "POST",
    headers: { ...signedHeaders(variable, body), ...(from ? { "X-Forwarded-For": from } : {}) },
    body,
    cache: "no-store",
  });
}

/** Answers what the API answered, or 502 when it did not. */
export async function relay(answer) {
  try {
    const response = await answer;
    return new Response(await response.text(), {
      status: response.status,
      headers: { "Content-Type": "application/json" },
    });
  } catch {
    return Response.json({ error: "the API cannot be reached" }, { status: 502 });
  }
}
