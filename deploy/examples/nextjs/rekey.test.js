// node --test: the helpers against the vectors of docs/protocol.md, and the route.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";

import { GET } from "./app/rekey/proof/[variable]/route.js";
import { proof, signedHeaders, validNonce, worker } from "./lib/rekey.js";

const VALUE = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

process.env.REVALIDATE_SECRET = VALUE;
process.env.SECRET_KEY = "not one of the variables served";
delete process.env.ANALYTICS_SECRET;

const ask = (variable, query) =>
  GET(new Request(`http://localhost/rekey/proof/${variable}?${query}`), { params: Promise.resolve({ variable }) });

test("the vectors of the protocol", () => {
  assert.equal(proof(VALUE, "rekey-nonce-0001"), "851ce3133a137d8b4c65de364ffb75031a3795b9e965015801cccb04e709e029");
  assert.equal(
    signedHeaders("REVALIDATE_SECRET", '{"slugs":["test"]}')["X-Signature"],
    "c71fc8e18f35a9cf272905fe23c55e28e580a543486f5f0ab14a4cea9174c520",
  );
});

test("text outside ASCII is signed as UTF-8", () => {
  const body = '{"slugs":["grün"]}';
  const want = createHmac("sha256", VALUE).update(Buffer.from(body, "utf8")).digest("hex");
  assert.equal(signedHeaders("REVALIDATE_SECRET", body)["X-Signature"], want);
});

test("nothing is signed with an unset variable", () => {
  assert.throws(() => signedHeaders("ANALYTICS_SECRET", "{}"), /ANALYTICS_SECRET is not set/);
});

test("nonces", () => {
  assert.ok(validNonce("rekey-nonce-0001"));
  for (const bad of [null, undefined, "", "short", "rekey nonce 0001", "rekey-nonce-0001\n", "n".repeat(129), ["rekey-nonce-0001"]])
    assert.ok(!validNonce(bad), JSON.stringify(bad));
});

test("the route proves the value", async () => {
  const response = await ask("REVALIDATE_SECRET", "nonce=rekey-nonce-0001");
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("cache-control"), "no-store");
  assert.deepEqual(await response.json(), {
    proof: "851ce3133a137d8b4c65de364ffb75031a3795b9e965015801cccb04e709e029",
    worker: worker(),
  });
});

test("the route refuses the rest", async () => {
  for (const [variable, query, status] of [
    ["REVALIDATE_SECRET", "", 400],
    ["REVALIDATE_SECRET", "nonce=short", 400],
    ["REVALIDATE_SECRET", "nonce=rekey-nonce-0001%0a", 400],
    ["SECRET_KEY", "nonce=rekey-nonce-0001", 404],
    ["constructor", "nonce=rekey-nonce-0001", 404],
    ["ANALYTICS_SECRET", "nonce=rekey-nonce-0001", 503],
  ]) {
    const response = await ask(variable, query);
    assert.equal(response.status, status, `${variable}?${query}`);
    assert.deepEqual(await response.json(), {});
  }
});

test("Next.js 14 hands params over as they are", async () => {
  const request = new Request("http://localhost/rekey/proof/REVALIDATE_SECRET?nonce=rekey-nonce-0001");
  const response = await GET(request, { params: { variable: "REVALIDATE_SECRET" } });
  assert.equal(response.status, 200);
});
