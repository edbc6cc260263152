"""Somebody who wants one server and waits for it, by Python's SDK of today over standard input and
output: the arguments are the program and its flags. What fails is asked for anew. Prints what
happened as one line of JSON."""

import asyncio
import json
import os
import sys

from mcp import Client
from mcp.client.stdio import StdioServerParameters

WANTED = {"name": "web-1", "server_type": "cx23", "region": "nbg1"}


async def main(program, *flags):
    failed = 0
    server = StdioServerParameters(command=program, args=list(flags), env=dict(os.environ))
    async with Client(server, read_timeout_seconds=60) as client:

        async def call(tool, arguments):
            nonlocal failed
            for _ in range(60):
                try:
                    result = await client.call_tool(tool, arguments)
                    if not result.is_error:
                        return result.structured_content
                    reason = result.content
                except Exception as error:
                    reason = error
                failed += 1
                await asyncio.sleep(0.5)
            raise AssertionError(reason)

        started = await call("criar-servidor", WANTED)
        while True:
            job = await call("aguardar-job-completo", {"job_id": started["job_id"]})
            if job["done"]:
                break
    print(
        json.dumps(
            {
                "job": started["job_id"],
                "before": started["deduplicated"],
                "status": job["status"],
                "failed": failed,
            }
        )
    )


asyncio.run(main(*sys.argv[1:]))
