"""Somebody who wants a server that takes minutes, by Python's SDK of the older kind over HTTP, which
gives up on an answer after 60 s: arguments are the address, the token and the server's name. Waits
again and again, as the host says. Prints what happened as one line of JSON."""

import asyncio
import json
import sys
import time
from datetime import timedelta

from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client


async def main(url, token, name):
    waits = []
    headers = {"Authorization": f"Bearer {token}"}
    async with streamablehttp_client(url, headers=headers) as (read, write, _):
        async with ClientSession(read, write, timedelta(seconds=60)) as session:
            await session.initialize()

            async def call(tool, **arguments):
                result = await session.call_tool(tool, arguments)
                assert not result.isError, (tool, result.content)
                return result.structuredContent

            began = time.monotonic()
            job = await call("criar-servidor", name=name, server_type="cx23", region="nbg1")
            while not job.get("done"):
                start = time.monotonic()
                job = await call("aguardar-job-completo", job_id=job["job_id"])
                waits.append(time.monotonic() - start)
            seconds = time.monotonic() - began
    print(
        json.dumps(
            {
                "status": job["status"],
                "waits": len(waits),
                "longest": max(waits),
                "seconds": seconds,
            }
        )
    )


asyncio.run(main(*sys.argv[1:]))
