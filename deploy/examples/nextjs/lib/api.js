// Calls leather-api, signed. Node's own http does it: half the work of fetch, and a
// connection a request, so that none is cut by the API's reload.
import { request as send } from "node:http";

import { signedHeaders } from "./rekey.js";

/**
 * Sends what as JSON to path, signed with the value of variable, on behalf of whoever
 * sent request: the API's logs then name the reader and not this service. Answers what
 * the API answered, or 502 when it did not.
 */
export async function call(request, variable, path, what) {
  const body = Buffer.from(JSON.stringify(what));
  const from = request.headers.get("x-forwarded-for");
  const headers = {
    ...signedHeaders(variable, body),
    "Content-Length": body.length,
    ...(from ? { "X-Forwarded-For": from } : {}),
  };
  try {
    const { status, text } = await post(new URL(path, process.env.API_URL), headers, body);
    return new Response(text, { status, headers: { "Content-Type": "application/json" } });
  } catch (error) {
    console.error(String(error));
    return Response.json({ error: "the API cannot be reached" }, { status: 502 });
  }
}

function post(url, headers, body) {
  return new Promise((resolve, reject) => {
    const outgoing = send(url, { method: "POST", agent: false, headers, timeout: 30_000 }, async (incoming) => {
      try {
        let text = "";
        for await (const chunk of incoming.setEncoding("utf8")) text += chunk;
        resolve({ status: incoming.statusCode, text });
      } catch (error) {
        reject(error);
      }
    });
    outgoing.on("timeout", () => outgoing.destroy(new Error("the API does not answer")));
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}
