// A reader's view of an article.
import { call } from "../../lib/api.js";

export const runtime = "nodejs";

export async function POST(request) {
  const { slug } = await request.json();
  return call(request, "ANALYTICS_SECRET", "/api/track-view/", { slug });
}
