// The story of a server, told by the TypeScript SDK of the older kind with its usual timeouts over
// HTTP: arguments are the address and the token. Prints what happened as one line of JSON.
import assert from "node:assert";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const [url, token] = process.argv.slice(2);
const headers = { Authorization: `Bearer ${token}` };
const client = new Client({ name: "story", version: "1" });
await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));

let waits = 0;
async function call(name, args) {
  const result = await client.callTool({ name, arguments: args });
  assert(!result.isError, `${name}: ${JSON.stringify(result.content)}`);
  return result.structuredContent;
}
async function finish(started) {
  for (;;) {
    waits += 1;
    const job = await call("aguardar-job-completo", { job_id: started.job_id, max_wait: 5 });
    if (job.done) {
      assert.equal(job.status, "completed");
      return;
    }
  }
}

const { tools } = await client.listTools();
await finish(await call("criar-servidor", { name: "web-1", server_type: "cx23", region: "nbg1" }));
await finish(
  await call("configurar-servidor-completo", { name: "web-1", ssl_email: "ops@example.com" }),
);
const { stdout } = await call("executar-comando-ssh", { name: "web-1", command: "id -u" });
await finish(await call("destruir-servidor", { name: "web-1", confirm: "web-1" }));
const { servers } = await call("listar-servidores", {});
console.log(JSON.stringify({ tools: tools.length, waits, stdout, left: servers }));
await client.close();
