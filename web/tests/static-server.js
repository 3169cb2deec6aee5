/**
 * Serves the page's files for looking at it without the real server: `node tests/static-server.js [port]`.
 * Headers are those of the real server, so that a breach of the policy shows here too.
 */
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const types = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };

export function serve(port = 0) {
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://localhost");
    const path = pathname === "/" || /^\/r\/[^/]+$/.test(pathname) ? "/index.html" : normalize(pathname);
    try {
      const body = await readFile(join(root, path));
      response.writeHead(200, {
        "content-type": `${types[extname(path)] ?? "application/octet-stream"}; charset=utf-8`,
        "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
      });
      response.end(body);
    } catch {
      response.writeHead(404).end("not found\n");
    }
  });
  return new Promise((resolve) => server.listen(port, "127.0.0.1", () => resolve(server)));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const server = await serve(Number(process.argv[2] ?? 8100));
  console.log(`http://127.0.0.1:${server.address().port}/`);
}
