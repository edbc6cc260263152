"""The story of a server, told by Python's SDK of today over standard input and output: the
arguments are the program and its flags; what is wanted may be said in STORY. Its user types names
into forms. Prints what happened as one line of JSON."""

import asyncio
import json
import os
import re
import sys

from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.types import ElicitResult

WANTED = {
    "server": {"name": "web-1", "server_type": "cx23", "region": "nbg1"},
    "setup": {"ssl_email": "ops@example.com", "zone_name": "example.com"},
} | json.loads(os.environ.get("STORY", "{}"))


async def main(program, *flags):
    forms = []
    told = []

    async def form(context, params):
        forms.append(params.message)
        # The first thing in it that stands between backticks is what is to be destroyed.
        name = re.search("`([^`]+)`", params.message).group(1)
        return ElicitResult(action="accept", content={"name": name})

    async def progress(value, total, message):
        told.append(value)

    server = StdioServerParameters(command=program, args=list(flags), env=dict(os.environ))
    async with Client(server, elicitation_callback=form, read_timeout_seconds=60) as client:

        async def call(tool, **arguments):
            result = await client.call_tool(tool, arguments, progress_callback=progress)
            assert not result.is_error, (tool, result.content)
            return result.structured_content

        async def finish(started):
            while True:
                job = await call("aguardar-job-completo", job_id=started["job_id"])
                if job["done"]:
                    assert job["status"] == "completed", job
                    return job

        tools = await client.list_tools()
        name = WANTED["server"]["name"]
        created = await call("criar-servidor", **WANTED["server"])
        await finish(created)
        log = await client.read_resource(created["log_uri"])
        await finish(await call("configurar-servidor-completo", name=name, **WANTED["setup"]))
        plan = await call("instalar-app", name=name, app_name="n8n", plan=True)
        await finish(
            await call("instalar-app", name=name, app_name="n8n", if_plan=plan["plan_hash"])
        )
        apps = (await call("listar-apps-instaladas", name=name))["apps"]
        for app in ["n8n", "postgres", "redis"]:
            await finish(
                await call("desinstalar-app", name=name, app_name=app, delete_data=True)
            )
        await finish(await call("destruir-servidor", name=name))
        servers = await call("listar-servidores")
        version = str(client.protocol_version)
    print(
        json.dumps(
            {
                "version": version,
                "tools": len(tools.tools),
                "forms": forms,
                "progress": len(told),
                "log": log.contents[0].text,
                "apps": [[app["app_name"], app["status"]] for app in apps],
                "planned": len(plan["effects"]),
                "left": servers["servers"],
            }
        )
    )


asyncio.run(main(*sys.argv[1:]))
