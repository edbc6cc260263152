// Somebody who wants one server and waits for it, by the TypeScript SDK of today over HTTP:
// arguments are the address and the token. Prints what happened as one line of JSON.
import assert from "node:assert";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

const [url, token] = process.argv.slice(2);
const headers = { Authorization: `Bearer ${token}` };
const client = new Client(
  { name: "waiter", version: "1" },
  { versionNegotiation: { mode: "auto" } },
);
await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));

async function call(name, args) {
  const result = await client.callTool({ name, arguments: args });
  assert(!result.isError, `${name}: ${JSON.stringify(result.content)}`);
  return result.structuredContent;
}

const wanted = { name: "web-1", server_type: "cx23", region: "nbg1" };
const started = await call("criar-servidor", wanted);
let job = started;
while (!job.done) {
  job = await call("aguardar-job-completo", { job_id: started.job_id });
}
const { job_id, deduplicated } = started;
console.log(JSON.stringify({ job: job_id, before: deduplicated, status: job.status }));
await client.close();
