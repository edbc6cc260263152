"""The story of a server, told by Python's SDK of the older kind over HTTP: arguments are the
address and the token. Prints what happened as one line of JSON."""

import asyncio
import json
import sys
import time
from datetime import timedelta

from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client


async def main(url, token):
    told = []
    waits = []

    async def progress(value, total, message):
        told.append([value, total, message])

    headers = {"Authorization": f"Bearer {token}"}
    async with streamablehttp_client(url, headers=headers) as (read, write, _):
        async with ClientSession(read, write, timedelta(seconds=60)) as session:
            hello = await session.initialize()

            async def call(tool, **arguments):
                result = await session.call_tool(tool, arguments, progress_callback=progress)
                assert not result.isError, (tool, result.content)
                return result.structuredContent

            async def finish(started):
                while True:
                    began = time.monotonic()
                    job = await call(
                        "aguardar-job-completo", job_id=started["job_id"], max_wait=5
                    )
                    waits.append(time.monotonic() - began)
                    if job["done"]:
                        assert job["status"] == "completed", job
                        return job

            tools = [tool.name for tool in (await session.list_tools()).tools]
            await finish(
                await call("criar-servidor", name="web-1", server_type="cx23", region="nbg1")
            )
            await finish(
                await call(
                    "configurar-servidor-completo", name="web-1", ssl_email="ops@example.com"
                )
            )
            ran = await call("executar-comando-ssh", name="web-1", command="id -u")
            refused = await session.call_tool("destruir-servidor", {"name": "web-1"})
            await finish(await call("destruir-servidor", name="web-1", confirm="web-1"))
            servers = await call("listar-servidores")
    print(
        json.dumps(
            {
                "version": hello.protocolVersion,
                "tools": len(tools),
                "waits": len(waits),
                "longest": max(waits),
                "progress": len(told),
                "stdout": ran["stdout"],
                "refused": refused.isError,
                "left": servers["servers"],
            }
        )
    )


asyncio.run(main(*sys.argv[1:]))
