// Somebody who wants a server that takes minutes, by the TypeScript SDK of the older kind with its
// usual timeouts over HTTP: arguments are the address, the token and the server's name. Waits again
// and again, as the host says. Prints what happened as one line of JSON.
import assert from "node:assert";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const [url, token, name] = process.argv.slice(2);
const headers = { Authorization: `Bearer ${token}` };
const client = new Client({ name: "patient", version: "1" });
await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));

async function call(tool, args) {
  const result = await client.callTool({ name: tool, arguments: args });
  assert(!result.isError, `${tool}: ${JSON.stringify(result.content)}`);
  return result.structuredContent;
}

const began = performance.now();
const wanted = { name, server_type: "cx23", region: "nbg1" };
let job = await call("criar-servidor", wanted);
const waits = [];
while (!job.done) {
  const from = performance.now();
  job = await call("aguardar-job-completo", { job_id: job.job_id });
  waits.push((performance.now() - from) / 1000);
}
const seconds = (performance.now() - began) / 1000;
const longest = Math.max(...waits);
console.log(JSON.stringify({ status: job.status, waits: waits.length, longest, seconds }));
await client.close();
