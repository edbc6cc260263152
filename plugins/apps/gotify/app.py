"""Gotify, as an app in Python: the same contract as in any other language."""

import json

import wit_world
from componentize_py_types import Err
from wit_world.imports import dns, inventory, job, secrets, stacks
from wit_world.imports.types import Failure

IMAGE = "gotify/server:2.6.3"
PREFIX = "gotify"
STEPS = ["Check server", "Prepare secrets", "Deploy stack", "Configure DNS", "Wait until healthy"]


def compose(name, network):
    router = "traefik.http.routers.gotify"
    labels = {
        "traefik.enable": "true",
        "traefik.swarm.network": network,
        f"{router}.rule": f"Host(`{name}`)",
        f"{router}.entryPoints": "websecure",
        f"{router}.tls.certResolver": "letsencrypt",
        f"{router}.service": "gotify",
        "traefik.http.services.gotify.loadbalancer.server.port": "80",
    }
    service = {
        "image": IMAGE,
        "networks": ["public"],
        "volumes": ["data:/app/data"],
        "environment": {
            "GOTIFY_DEFAULTUSER_NAME": "admin",
            # The value never comes in here: Docker puts it in after it read the file.
            "GOTIFY_DEFAULTUSER_PASS": "${ADMIN_PASSWORD}",
        },
        "deploy": {
            "placement": {"constraints": ["node.role == manager"]},
            "resources": {"limits": {"cpus": "0.5", "memory": "128M"}},
            "labels": labels,
        },
    }
    return json.dumps({
        "version": "3.8",
        "services": {"gotify": service},
        "networks": {"public": {"external": True, "name": network}},
        "volumes": {"data": {}},
    })


def name_of(record, config):
    zone = (record.get("dns") or {}).get("zone_name")
    subdomain = (record.get("dns") or {}).get("subdomain")
    own = f"{subdomain}.{zone}" if zone and subdomain else zone
    domain = config.get("domain") or own
    return f"{PREFIX}.{domain}" if domain else None


def records(record, name):
    """The zone that the host keeps for the server, and its records of the app's name there."""
    zone = (record.get("dns") or {}).get("zone_name")
    if not zone or not name or not name.endswith(f".{zone}"):
        return None, []
    return zone, [it for it in dns.lookup(zone, name) if it.ours]


def publish(record, name):
    zone, there = records(record, name)
    if not zone:
        job.log(job.Level.WARN, f"{name} is in no zone of this host: point it at the server")
    elif not there:
        options = [("proxied", "false"), ("comment", f"app {PREFIX} on {record['name']}")]
        dns.upsert(dns.NewRecord(zone, name, "A", record["ipv4"], options))
        job.log(job.Level.INFO, f"A {name} is {record['ipv4']}")


def digest(server, app):
    return dict(stacks.inspect(server, app).properties).get("compose-sha256")


def begin(percent, step):
    job.progress(percent)
    job.step(step)


class WitWorld(wit_world.WitWorld):
    def deploy(self, params: str) -> str:
        wanted = json.loads(params)
        server, app = wanted["server"], wanted["app"]
        job.plan(STEPS)
        begin(2, "Check server")
        record = json.loads(inventory.get_server(server) or "{}")
        name = name_of(record, wanted.get("config") or {})
        if not name:
            message = f"`{server}` has no zone: give the app a domain"
            raise Err(Failure(code="no_domain", message=message, retry_safe=True))
        begin(8, "Prepare secrets")
        password = secrets.ensure(f"{app}/admin-password", secrets.Policy(32, "alphanumeric", []))
        begin(30, "Deploy stack")
        before = digest(server, app)
        network = (record.get("setup") or {}).get("network") or "livchat_network"
        stacks.deploy(server, app, compose(name, network), [("ADMIN_PASSWORD", password)])
        begin(45, "Configure DNS")
        publish(record, name)
        begin(50, "Wait until healthy")
        for service in stacks.wait_healthy(server, app, 300_000).services:
            said = f"{service.name} ({service.image}): {service.running} of {service.wanted} run"
            job.log(job.Level.INFO, said)
        changed = before != digest(server, app)
        urls = [f"https://{name}"]
        notes = [f"Log in at {urls[0]} as `admin` with the secret `{app}/admin-password`."]
        inventory.put_app(server, app, json.dumps({"urls": urls, "notes": notes}))
        return json.dumps({"app": app, "server": server, "changed": changed, "urls": urls})

    def undeploy(self, params: str) -> str:
        wanted = json.loads(params)
        server, app = wanted["server"], wanted["app"]
        job.plan(["Remove stack", "Remove DNS", "Forget app"])
        begin(5, "Remove stack")
        changed = stacks.inspect(server, app).status != "absent"
        stacks.remove(server, app, wanted.get("delete_data", False))
        begin(60, "Remove DNS")
        record = json.loads(inventory.get_server(server) or "{}")
        zone, there = records(record, name_of(record, wanted.get("config") or {}))
        for entry in there:
            dns.delete(zone, entry.id)
            job.log(job.Level.INFO, f"{entry.kind} {entry.name} is gone")
        begin(90, "Forget app")
        inventory.delete_app(server, app)
        return json.dumps({"app": app, "server": server, "changed": changed or bool(there)})
