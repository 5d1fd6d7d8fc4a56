// Runs the route handlers of app/ under plain Node.js, in several workers, as pm2's
// cluster mode runs Next.js: on SIGHUP each worker is replaced after its successor
// listens, so that none is missed. It is what rekey's own tests run; a service of yours
// has Next.js for it.
//
// HOST and PORT say where to listen (PORT 0: anywhere), WORKERS how many, ENV_FILE what
// to read at each worker's start, PID_FILE where to write the process id and ADDR_FILE
// the address once all listen.
import cluster from "node:cluster";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";

const { HOST = "127.0.0.1", PORT = "3000", WORKERS = "2", ENV_FILE, PID_FILE, ADDR_FILE } = process.env;

if (cluster.isPrimary) primary();
else await serve();

function primary() {
  let port = Number(PORT);
  let current = [];
  let turn = Promise.resolve();
  const announce = (file, text) => {
    if (!file) return;
    writeFileSync(`${file}.new`, text, { mode: 0o600 });
    renameSync(`${file}.new`, file);
  };
  const start = () =>
    new Promise((resolve, reject) => {
      const worker = cluster.fork({ PORT: String(port) });
      worker.once("listening", (address) => {
        port = address.port;
        resolve(worker);
      });
      worker.once("exit", () => reject(new Error("a worker ended before it listened")));
    });
  const replace = async () => {
    for (const [i, old] of current.entries()) {
      try {
        current[i] = await start();
      } catch (error) {
        console.error(String(error)); // the old one goes on
        continue;
      }
      old.disconnect(); // ends what it has begun, takes nothing new
    }
  };
  process.on("SIGHUP", () => {
    turn = turn.then(replace);
  });
  process.on("SIGTERM", () => {
    cluster.disconnect(() => process.exit(0));
  });
  // Whoever started this holds the other end; it ends when that does.
  if (process.env.LIFELINE) {
    process.stdin.resume();
    process.stdin.on("end", () => process.exit(0));
  }
  turn = (async () => {
    for (let i = 0; i < Number(WORKERS); i++) current.push(await start());
    announce(PID_FILE, String(process.pid));
    announce(ADDR_FILE, `${HOST}:${port}`);
  })();
  turn.catch((error) => {
    console.error(String(error));
    process.exit(1);
  });
}

// As Next.js: what the process inherited wins over the file.
function loadEnv(file) {
  for (const line of readFileSync(file, "utf8").split(/\r?\n/)) {
    const found = /^\s*(?:export\s+)?([\w.]+)\s*=\s*(?:'([^']*)'|"([^"]*)"|([^#]*))/.exec(line);
    if (!found) continue;
    const [, name, single, double, bare] = found;
    process.env[name] ??= single ?? double ?? bare.trim();
  }
}

async function serve() {
  if (ENV_FILE) loadEnv(ENV_FILE);
  const [proof, publish, view] = await Promise.all(
    ["./app/rekey/proof/[variable]/route.js", "./app/publish/route.js", "./app/view/route.js"].map((path) => import(path)),
  );
  const handle = async (request) => {
    const { pathname } = new URL(request.url);
    const variable = /^\/rekey\/proof\/([A-Za-z0-9_]+)$/.exec(pathname)?.[1];
    if (request.method === "GET" && pathname === "/api/healthcheck/") return Response.json({ status: "ok" });
    if (request.method === "GET" && variable) return proof.GET(request, { params: Promise.resolve({ variable }) });
    if (request.method === "POST" && pathname === "/publish") return publish.POST(request);
    if (request.method === "POST" && pathname === "/view") return view.POST(request);
    return Response.json({}, { status: 404 });
  };
  const server = createServer(async (incoming, outgoing) => {
    // A connection a request: none is kept open by a worker that is about to end.
    outgoing.setHeader("Connection", "close");
    try {
      const chunks = [];
      for await (const chunk of incoming) chunks.push(chunk);
      const response = await handle(
        new Request(`http://${incoming.headers.host ?? "localhost"}${incoming.url}`, {
          method: incoming.method,
          headers: Object.entries(incoming.headers).map(([name, v]) => [name, String(v)]),
          body: chunks.length && incoming.method !== "GET" ? Buffer.concat(chunks) : undefined,
        }),
      );
      outgoing.writeHead(response.status, Object.fromEntries(response.headers));
      outgoing.end(Buffer.from(await response.arrayBuffer()));
    } catch (error) {
      console.error(error);
      outgoing.writeHead(500).end();
    }
  });
  server.listen(Number(PORT), HOST);
  // The primary's pipe to us breaks when it ends: do not live on.
  process.on("disconnect", () => server.close(() => process.exit(0)));
}
