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
  // The first thing in it that stands between backticks is what is to be destroyed.
  return { action: "accept", content: { name: /`([^`]+)`/.exec(request.params.message)[1] } };
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
const setup = { name: "web-1", ssl_email: "ops@example.com", zone_name: "example.com" };
await finish(await call("configurar-servidor-completo", setup));
const n8n = { name: "web-1", app_name: "n8n" };
const plan = await call("instalar-app", { ...n8n, plan: true });
await finish(await call("instalar-app", { ...n8n, if_plan: plan.plan_hash }));
const { apps } = await call("listar-apps-instaladas", { name: "web-1" });
for (const app_name of ["n8n", "postgres", "redis"]) {
  await finish(await call("desinstalar-app", { name: "web-1", app_name, delete_data: true }));
}
await finish(await call("destruir-servidor", { name: "web-1" }));
const { servers } = await call("listar-servidores", {});
console.log(JSON.stringify({ tools: tools.length, forms, planned: plan.effects.length, apps: apps.map((it) => [it.app_name, it.status]), left: servers }));
await client.close();
