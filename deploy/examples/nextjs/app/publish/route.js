// An editor's click: makes pages again.
import { call } from "../../lib/api.js";

export const runtime = "nodejs";

export async function POST(request) {
  const { slugs } = await request.json();
  return call(request, "REVALIDATE_SECRET", "/api/revalidate/", { slugs });
}
