#!/usr/bin/env python3
"""Takes webhooks of a real server, and verifies them by the book alone (docs/api.md): signatures, repetition after
failures, order, breaks, and that one target disturbs no other. Nothing but Python's own library.

    tests/signaling/verify_webhook.py PATH_OF_PATCHBAY
"""
import hashlib
import hmac
import json
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PATCHBAY = sys.argv[1]
SECRET = "0123456789abcdef-webhooks"
KEYS = "main:0123456789abcdef0123456789abcdef"
PATIENCE = 30


def verify(headers, body, secret=SECRET):
    """Whether a call is the server's, and a recent one."""
    parts = dict(part.split("=", 1) for part in headers["Patchbay-Signature"].split(","))
    expected = hmac.new(secret.encode(), parts["t"].encode() + b"." + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, parts["v1"]) and abs(time.time() - int(parts["t"])) < 60


class Target:
    """A web server that keeps what it is sent, and answers as it is told."""

    def __init__(self):
        self.calls = []
        self.status = lambda number: 200
        self.gate = threading.Event()
        self.gate.set()
        self.changed = threading.Condition()
        target = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert verify(self.headers, body), "a signature does not hold"
                assert not verify(self.headers, body + b" "), "a changed body passes"
                assert not verify(self.headers, body, "another secret"), "another secret passes"
                assert self.headers["Content-Type"] == "application/json"
                target.gate.wait(PATIENCE)
                with target.changed:
                    status = target.status(len(target.calls))
                    target.calls.append((time.monotonic(), status, json.loads(body)["events"]))
                    target.changed.notify_all()
                self.send_response(status)
                self.end_headers()

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def until(self, what, condition):
        """Waits for something about the calls."""
        with self.changed:
            if not self.changed.wait_for(lambda: condition(self.calls), PATIENCE):
                raise SystemExit(f"FAILED: {what}; calls: {self.calls}")

    def taken(self):
        """Events that were taken."""
        return [event for _, status, events in list(self.calls) if status == 200 for event in events]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def check(condition, words):
    if not condition:
        raise SystemExit(f"FAILED: {words}")
    print(f"ok: {words}")


steady, flaky, dead, stuck = Target(), Target(), Target(), Target()
stuck.gate.clear()
port = free_port()
token = subprocess.run(
    [PATCHBAY, "token", "--keys", KEYS, "--api", "rooms:write,data"], check=True, capture_output=True, text=True
).stdout.strip()
options = ["--listen", f"127.0.0.1:{port}", "--media-port", "0", "--keys", KEYS, "--webhook-secret", SECRET]
for hook in [steady.url, f"{flaky.url}#types=room_created,chat", f"{dead.url}#types=room_created", stuck.url]:
    options += ["--webhook", hook]
server = subprocess.Popen([PATCHBAY, "serve", *options], stderr=subprocess.STDOUT)


def ask(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, headers, method=method)
    with urllib.request.urlopen(request, timeout=PATIENCE) as response:
        return response.read().decode()


def wait_for(what, condition):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            if condition():
                return
        except OSError:
            pass
        if server.poll() is not None:
            raise SystemExit("FAILED: the server has ended")
        time.sleep(0.02)
    raise SystemExit(f"FAILED: {what}")


try:
    wait_for("the server listens", lambda: ask("GET", "/readyz"))
    steady.until("the node is told of", lambda calls: calls and calls[0][2][0]["type"] == "node_attached")

    flaky.status = lambda number: 500 if number < 3 else 200
    dead.status = lambda number: 500
    began = time.monotonic()
    ask("POST", "/v1/rooms", {"room": "one", "metadata": {"a": 1}})
    has = lambda target, kind, room: any(e["type"] == kind and e.get("room") == room for e in target.taken())
    steady.until("a room is told of", lambda calls: has(steady, "room_created", "one"))
    print(f"FIGURE webhook_delay {1000 * (time.monotonic() - began):.1f} ms")
    flaky.until("three failures and a success", lambda calls: len(calls) >= 4)
    times, statuses, events = zip(*flaky.calls[:4])
    check(statuses == (500, 500, 500, 200), "what fails is sent again")
    check(all(it == events[0] for it in events[:3]), "and is the same each time")
    check(times[2] - times[1] >= 0.5 and times[3] - times[2] >= 1.0, "pauses grow")

    for number in range(5):
        ask("POST", "/v1/rooms/one/chat", {"text": f"line {number}"})
    ask("PATCH", "/v1/rooms/one", {"locked": True})
    steady.until("everything came", lambda calls: has(steady, "room_updated", "one"))
    flaky.until("five lines", lambda calls: sum(e["type"] == "chat" for e in flaky.taken()) == 5)
    lines = [event["line"]["text"] for event in flaky.taken() if event["type"] == "chat"]
    check(lines == [f"line {number}" for number in range(5)], "in order, each once")
    kinds = {event["type"] for event in flaky.taken()}
    check(kinds == {"room_created", "chat"}, "and nothing that was not asked for")
    check(not stuck.calls, "a target that does not answer delays no other")

    dead.until("a fifth failure", lambda calls: len(calls) >= 5)
    wait_for("a break", lambda: "patchbay_webhook_breaks 1" in ask("GET", "/metrics"))
    for room in ["two", "three"]:
        ask("POST", "/v1/rooms", {"room": room})
    dead.status = lambda number: 200
    dead.until("the target is back", lambda calls: has(dead, "room_created", "three"))
    check(dead.calls[5][0] - dead.calls[4][0] >= 9.5, "who fails again and again is left alone for a while")
    rooms = [event["room"] for event in dead.taken()]
    check(rooms == ["one", "two", "three"], "and gets what it missed, in order")
    wait_for("the end of the break", lambda: "patchbay_webhook_breaks 0" in ask("GET", "/metrics"))

    ids = [event["id"] for event in steady.taken()]
    check(len(ids) == len(set(ids)), "every event has an id of its own")
    check(ids == sorted(ids, key=lambda it: int(it.split("-")[1])), "which grow")
    stuck.gate.set()
    server.send_signal(signal.SIGTERM)
    check(server.wait(PATIENCE) == 0, "the server ends well")
finally:
    if server.poll() is None:
        server.kill()
