// The story of a server, told by the TypeScript SDK of today over HTTP; its user types names into
// forms. Arguments are the address and the token. Prints what happened as one line of JSON.
import assert from "node:assert";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

const [url, token] = process.argv.slice(2);
const headers = { Authorization: `Bearer ${token}` };
const forms = [];
const client = new Client(
  { name: "story", version: "1" },
  { capabilities: { elicitation: { form: {} } }, versionNegotiation: { mode: "auto" } },
);
client.setRequestHandler("elicitation/create", async (request) => {
  forms.push(request.params.message);
  return { action: "accept", content: { name: "web-1" } };
});
await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));

async function call(name, args) {
  const result = await client.callTool({ name, arguments: args });
  assert(!result.isError, `${name}: ${JSON.stringify(result.content)}`);
  return result.structuredContent;
}
async function finish(started) {
  for (;;) {
    const job = await call("aguardar-job-completo", { job_id: started.job_id });
    if (job.done) {
      assert.equal(job.status, "completed");
      return;
    }
  }
}

const { tools } = await client.listTools();
await finish(await call("criar-servidor", { name: "web-1", server_type: "cx23", region: "nbg1" }));
await finish(await call("destruir-servidor", { name: "web-1" }));
const { servers } = await call("listar-servidores", {});
console.log(JSON.stringify({ tools: tools.length, forms, left: servers }));
await client.close();
