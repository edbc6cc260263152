"""Stands in for Portainer CE 2.39 on a lab machine: the calls that a host makes, answered as its API
description says, and stacks that are really deployed, through the agent beside it.

Files in /data steer it: `password` takes the place of the administrator's; while `hold` is there, a
stack that is being made waits right before the engine is told. /data/calls has each call as a line.
"""
import json
import os
import re
import secrets
import ssl
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

DATA = "/data"
ENGINE = ["docker", "-H", "tcp://tasks.agent:9001"]
LOCK = threading.RLock()


def keep(state):
    with open(f"{DATA}/state.new", "w") as file:
        json.dump(state, file)
    os.rename(f"{DATA}/state.new", f"{DATA}/state")


def kept():
    try:
        with open(f"{DATA}/state") as file:
            return json.load(file)
    except FileNotFoundError:
        return {"next": 1, "tokens": [], "stacks": {}}


def password():
    for path in (f"{DATA}/password", sys.argv[1]):
        if os.path.exists(path):
            with open(path) as file:
                return file.read()


def note(line):
    with LOCK, open(f"{DATA}/calls", "a") as file:
        file.write(line + "\n")


def engine(arguments, **options):
    done = subprocess.run(ENGINE + arguments, capture_output=True, text=True, **options)
    if done.returncode:
        raise Refused(500, "Unable to talk to the engine", done.stderr.strip())
    return done.stdout.strip()


class Refused(Exception):
    def __init__(self, status, message, details=None):
        self.status, self.message, self.details = status, message, details or message


class Portainer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.serve("GET")

    def do_POST(self):
        self.serve("POST")

    def do_PUT(self):
        self.serve("PUT")

    def do_DELETE(self):
        self.serve("DELETE")

    def serve(self, method):
        url = urlsplit(self.path)
        self.query = {name: values[0] for name, values in parse_qs(url.query).items()}
        size = int(self.headers.get("Content-Length") or 0)
        self.text = self.rfile.read(size)
        note(f"{method} {url.path} began")
        try:
            status, body = self.answer(method, url.path)
        except Refused as it:
            status, body = it.status, {"message": it.message, "details": it.details}
        note(f"{method} {url.path} {status}")
        gap = status == 404 and body is None
        content = b"404 page not found\n" if gap else json.dumps(body).encode()
        content = b"" if status == 204 else content
        self.send_response(status)
        self.send_header("Content-Type", "text/plain" if gap else "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def answer(self, method, path):
        if path == "/api/system/status":
            return 200, {"Version": "2.39.6", "InstanceID": "299ab403-70a8-4c05-92f7-bf7a994d50df"}
        if (method, path) == ("GET", "/api/users/admin/check"):
            return 204, None
        if (method, path) == ("POST", "/api/auth"):
            return self.sign_in()
        for route, call in ROUTES:
            found = re.fullmatch(route, f"{method} {path}")
            if found:
                self.check_token()
                return call(self, *map(int, found.groups()))
        return 404, None

    def body(self, **required):
        try:
            body = json.loads(self.text)
        except ValueError:
            raise Refused(400, "Invalid request payload")
        for name, kind in required.items():
            if not isinstance(body.get(name), kind) or not body[name]:
                raise Refused(400, "Invalid request payload", f"Invalid {name}")
        for pair in body.get("Env") or []:
            if set(pair) != {"name", "value"}:
                raise Refused(400, "Invalid request payload", "Invalid Env")
        return body

    def sign_in(self):
        body = self.body(Username=str, Password=str)
        if body["Username"] != "admin" or body["Password"] != password():
            raise Refused(422, "Invalid credentials", "Unauthorized")
        token = secrets.token_hex(24)
        with LOCK:
            state = kept()
            state["tokens"].append(token)
            keep(state)
        return 200, {"jwt": token}

    def check_token(self):
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if token not in kept()["tokens"]:
            raise Refused(401, "A valid authorization token is missing", "Unauthorized")

    def endpoints(self):
        return 200, [{"Id": 1, "Name": "primary", "Type": 2, "URL": "tcp://tasks.agent:9001"}]

    def swarm(self):
        return 200, {"ID": swarm_id()}

    def stacks(self):
        wanted = json.loads(self.query.get("filters", "{}")).get("SwarmID")
        stacks = kept()["stacks"].values()
        return 200, [it for it in stacks if wanted in (None, it["SwarmId"])]

    def create(self):
        if self.query.get("endpointId") != "1":
            raise Refused(400, "Invalid query parameter: endpointId")
        body = self.body(Name=str, SwarmID=str, StackFileContent=str)
        name = re.sub(r"[^-_a-z0-9]", "", body["Name"].lower())
        label = f"label=com.docker.stack.namespace={name}"
        known = any(it["Name"] == name for it in kept()["stacks"].values())
        if known or engine(["service", "ls", "-q", "--filter", label]):
            raise Refused(409, f"A stack with the normalized name '{name}' already exists")
        with LOCK:
            state = kept()
            number, state["next"] = state["next"], state["next"] + 1
            keep(state)
        while os.path.exists(f"{DATA}/hold"):
            time.sleep(0.1)
        stack = {
            "Id": number, "Name": name, "Type": 1, "EndpointId": 1, "SwarmId": body["SwarmID"],
            "EntryPoint": "docker-compose.yml", "Env": body.get("Env") or [], "Status": 1,
            "ProjectPath": f"{DATA}/compose/{number}", "CreatedBy": "admin",
        }
        self.deploy(stack, body["StackFileContent"])
        return 200, stack

    def update(self, number):
        stack = self.known(number)
        body = self.body(StackFileContent=str)
        stack["Env"] = body.get("Env") or []
        self.deploy(stack, body["StackFileContent"], body.get("Prune"), body.get("PullImage"))
        return 200, stack

    def deploy(self, stack, content, prune=False, pull=True):
        os.makedirs(stack["ProjectPath"], exist_ok=True)
        path = f"{stack['ProjectPath']}/docker-compose.yml"
        with open(path, "w") as file:
            file.write(content)
        command = ["stack", "deploy", "-c", path] + ["--prune"] * bool(prune)
        command += [] if pull else ["--resolve-image=never"]
        variables = os.environ | {pair["name"]: pair["value"] for pair in stack["Env"]}
        engine(command + [stack["Name"]], env=variables)
        with LOCK:
            state = kept()
            state["stacks"][str(stack["Id"])] = stack
            keep(state)

    def delete(self, number):
        stack = self.known(number)
        engine(["stack", "rm", stack["Name"]])
        with LOCK:
            state = kept()
            del state["stacks"][str(number)]
            keep(state)
        return 204, None

    def known(self, number):
        if self.query.get("endpointId") != "1":
            raise Refused(400, "Invalid query parameter: endpointId")
        stack = kept()["stacks"].get(str(number))
        if not stack:
            words = "Unable to find a stack with the specified identifier inside the database"
            raise Refused(404, words, "Object not found inside the database")
        return stack


ROUTES = [
    (r"GET /api/endpoints", Portainer.endpoints),
    (r"GET /api/endpoints/1/docker/swarm", Portainer.swarm),
    (r"GET /api/stacks", Portainer.stacks),
    (r"POST /api/stacks/create/swarm/string", Portainer.create),
    (r"PUT /api/stacks/(\d+)", Portainer.update),
    (r"DELETE /api/stacks/(\d+)", Portainer.delete),
]


def swarm_id():
    try:
        with urlopen("http://tasks.agent:9001/swarm", timeout=10) as answer:
            return json.load(answer)["ID"]
    except OSError as it:
        raise Refused(502, "Unable to reach the agent", str(it))


def main():
    folder = f"{DATA}/certs"
    if not os.path.exists(f"{folder}/cert.pem"):
        os.makedirs(folder, exist_ok=True)
        for name in ("key.pem", "cert.pem"):
            subprocess.run(["cp", f"/{name}", f"{folder}/{name}"], check=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(f"{folder}/cert.pem", f"{folder}/key.pem")
    secure = ThreadingHTTPServer(("", 9443), Portainer)
    secure.socket = tls.wrap_socket(secure.socket, server_side=True)
    threading.Thread(target=ThreadingHTTPServer(("", 9000), Portainer).serve_forever).start()
    secure.serve_forever()


main()
