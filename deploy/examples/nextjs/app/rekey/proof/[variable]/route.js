// Answers rekey's challenge. Let only rekey's addresses reach it.
import { proof, validNonce, value, worker } from "../../../../lib/rekey.js";

export const runtime = "nodejs"; // createHmac; and the edge has no worker to name
export const dynamic = "force-dynamic"; // a proof that was cached proves nothing

const PROVABLE = new Set(["REVALIDATE_SECRET", "ANALYTICS_SECRET"]);
const HEADERS = { "Cache-Control": "no-store" };

export async function GET(request, { params }) {
  const { variable } = await params;
  const nonce = new URL(request.url).searchParams.get("nonce");
  if (!PROVABLE.has(variable)) return Response.json({}, { status: 404, headers: HEADERS });
  if (!validNonce(nonce)) return Response.json({}, { status: 400, headers: HEADERS });
  const key = value(variable);
  if (!key) return Response.json({}, { status: 503, headers: HEADERS });
  return Response.json({ proof: proof(key, nonce), worker: worker() }, { headers: HEADERS });
}
