"""The app `my-app`."""

import json

import wit_world
from componentize_py_types import Err
from wit_world.imports import inventory, job, secrets, stacks
from wit_world.imports.types import Failure

COMPOSE = {
    "version": "3.8",
    "services": {
        "web": {
            "image": "nginx:1.28.0-alpine",
            "environment": {"PASSWORD": "${PASSWORD}"},
            "deploy": {"resources": {"limits": {"cpus": "0.5", "memory": "128M"}}},
        },
    },
}


class WitWorld(wit_world.WitWorld):
    def deploy(self, params: str) -> str:
        wanted = json.loads(params)
        server, app = wanted["server"], wanted["app"]
        job.plan(["Deploy stack", "Wait until healthy"])
        job.step("Deploy stack")
        if inventory.get_server(server) is None:
            message = f"there is no server `{server}`: create it first"
            raise Err(Failure(code="not_found", message=message, retry_safe=True))
        # A reference to it. Python's own `random` and `secrets` are of no use here: see README.md.
        password = secrets.ensure(f"{app}/password", secrets.Policy(32, "alphanumeric", []))
        stacks.deploy(server, app, json.dumps(COMPOSE), [("PASSWORD", password)])
        job.step("Wait until healthy")
        stacks.wait_healthy(server, app, 300_000)
        inventory.put_app(server, app, json.dumps({"urls": [], "notes": []}))
        return json.dumps({"app": app, "server": server, "changed": True})

    def undeploy(self, params: str) -> str:
        wanted = json.loads(params)
        server, app = wanted["server"], wanted["app"]
        job.plan(["Remove stack"])
        job.step("Remove stack")
        changed = stacks.inspect(server, app).status != "absent"
        stacks.remove(server, app, wanted.get("delete_data", False))
        inventory.delete_app(server, app)
        return json.dumps({"app": app, "server": server, "changed": changed})
