"""Stands in for n8n in its queue mode: an editor, webhooks and workers, which meet in a database and
a queue. A webhook puts an execution into Redis, a worker takes it out and writes it into PostgreSQL,
and the editor shows what is there.
"""
import json
import os
import signal
import socket
import sys
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg2
import redis

ROLE = sys.argv[1]
TOLD = os.environ


def place(name):
    """Where a service is. A service's own address needs IPVS, which a test machine's kernel may not
    have; its tasks are reached without. The name that the recipe tells has to be there, though."""
    socket.gethostbyname(name)
    return f"tasks.{name}"


def database():
    return psycopg2.connect(
        host=place(TOLD["DB_POSTGRESDB_HOST"]), port=TOLD["DB_POSTGRESDB_PORT"],
        dbname=TOLD["DB_POSTGRESDB_DATABASE"], user=TOLD["DB_POSTGRESDB_USER"],
        password=TOLD["DB_POSTGRESDB_PASSWORD"], connect_timeout=5,
    )


def queue():
    return redis.Redis(
        host=place(TOLD["QUEUE_BULL_REDIS_HOST"]), port=int(TOLD["QUEUE_BULL_REDIS_PORT"]),
        db=int(TOLD["QUEUE_BULL_REDIS_DB"]), password=TOLD["QUEUE_BULL_REDIS_PASSWORD"],
        socket_timeout=5,
    )


def query(statement, values=()):
    with closing(database()) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall() if cursor.description else []


def health():
    [(name, user, version)] = query(
        "SELECT current_database(), current_user, current_setting('server_version')")
    return {
        "status": "ok", "role": ROLE, "database": name, "user": user, "postgres": version,
        "redis": queue().info("server")["redis_version"],
    }


class N8n(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        if self.path == "/healthz":
            return self.answer(health)
        if self.path == "/rest/executions" and ROLE == "start":
            return self.answer(lambda: [it for (it,) in query("SELECT words FROM executions ORDER BY 1")])
        self.send_error(404)

    def do_POST(self):
        size = int(self.headers.get("Content-Length") or 0)
        words = self.rfile.read(size).decode()
        if self.path == "/webhook/test" and ROLE == "webhook":
            return self.answer(lambda: {"waiting": queue().rpush("executions", words)})
        self.send_error(404)

    def answer(self, ask):
        try:
            status, body = 200, ask()
        except Exception as it:
            status, body = 503, {"status": "error", "why": str(it)}
            print(f"{self.path}: {it}")
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def work():
    while True:
        try:
            taken = queue().blpop("executions", timeout=2)
            if taken:
                query("INSERT INTO executions VALUES (%s)", (taken[1].decode(),))
        except Exception as it:
            print(f"the worker: {it}")
            threading.Event().wait(1)


def main():
    assert len(bytes.fromhex(TOLD["N8N_ENCRYPTION_KEY"])) == 16, "this is no key"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    query("CREATE TABLE IF NOT EXISTS executions (words text)")
    if ROLE == "worker":
        threading.Thread(target=work, daemon=True).start()
    print(f"n8n as {ROLE}")
    ThreadingHTTPServer(("", 5678), N8n).serve_forever()


main()
