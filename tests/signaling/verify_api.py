#!/usr/bin/env python3
"""The server's API against a real server with a real node: what it says in a room reaches a participant without media, and
what happens is told. Nothing but Python's own library.

    tests/signaling/verify_api.py PATH_OF_PATCHBAY
"""
import base64
import json
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

PATCHBAY = sys.argv[1]
KEYS = "main:0123456789abcdef0123456789abcdef"
PATIENCE = 20

with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
URL = f"http://127.0.0.1:{port}"


def mint(*options):
    command = [PATCHBAY, "token", "--keys", KEYS, *options]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def request(method, path, bearer, body=None, headers=None):
    data = None if body is None else json.dumps(body).encode()
    sent = {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json", **(headers or {})}
    with urllib.request.urlopen(urllib.request.Request(URL + path, data, sent, method=method), timeout=PATIENCE) as answer:
        text = answer.read().decode()
        return json.loads(text) if text.startswith(("{", "[")) else text


def check(condition, words):
    if not condition:
        raise SystemExit(f"FAILED: {words}")
    print(f"ok: {words}")


class Participant:
    """A session over long polling."""

    def __init__(self, room, identity):
        token = mint("--room", room, "--identity", identity)
        welcome = request("POST", "/v1/hello", token, {"id": 1, "type": "hello", "version": 1})[0]["result"]
        self.bearer = f"{welcome['session']}.{welcome['secret']}"
        self.last, self.id, self.waiting = 1, 1, []
        self.ask({"type": "join", "room": room})

    def send(self, message):
        self.id += 1
        request("POST", "/v1/send", self.bearer, {"id": self.id, **message})
        return self.id

    def ask(self, message):
        number = self.send(message)
        reply = self.until(lambda it: it.get("id") == number)
        assert reply["type"] == "ok", reply
        return reply["result"]

    def event(self, kind):
        return self.until(lambda it: it["type"] == kind)

    def until(self, is_meant):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            for message in self.waiting:
                if is_meant(message):
                    self.waiting.remove(message)
                    return message
            came = request("GET", "/v1/poll?wait_ms=1000", self.bearer, headers={"Last-Event-ID": str(self.last)})
            new = [message for message in came or [] if message["seq"] > self.last]
            self.waiting += new
            self.last = max([self.last] + [message["seq"] for message in new])
        raise SystemExit(f"FAILED: a message that did not come; there were {self.waiting}")


server = subprocess.Popen(
    [PATCHBAY, "serve", "--listen", f"127.0.0.1:{port}", "--media-port", "0", "--keys", KEYS, "--log", "warn"]
)
try:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            urllib.request.urlopen(f"{URL}/readyz", timeout=1)
            break
        except OSError:
            if time.monotonic() > end or server.poll() is not None:
                raise SystemExit("FAILED: the server does not listen")
            time.sleep(0.02)
    api = mint("--api", "*")
    stream = urllib.request.urlopen(
        urllib.request.Request(f"{URL}/v1/events?room=demo", headers={"Authorization": f"Bearer {api}"}), timeout=PATIENCE
    )
    while not stream.readline().startswith(b"event: ready"):
        pass

    request("POST", "/v1/rooms", api, {"room": "demo", "attributes": {"game": "chess"}})
    ada = Participant("demo", "ada")
    channel = ada.ask({"type": "topic_open", "label": "moves", "protocol": "patchbay"})["channel"]
    for to in [[], ["ada"]]:
        request("POST", "/v1/rooms/demo/data", api, {"topic": "moves", "text": f"e4 to {to}", "to": to})
        wanted = f"e4 to {to}".encode()
        has = lambda it: it["type"] == "topic" and any(wanted in base64.b64decode(one) for one in it["messages"])
        check(ada.until(has)["channel"] == channel, f"a message of the server on a topic, to {to or 'everybody'}")

    state = {"topic": "state", "text": "kept", "key": "board", "settings": "mode=latest"}
    request("POST", "/v1/rooms/demo/data", api, state)
    grace = Participant("demo", "grace")
    grace.ask({"type": "topic_open", "label": "state", "protocol": "patchbay"})
    kept = lambda it: it["type"] == "topic" and any(b"kept" in base64.b64decode(one) for one in it["messages"])
    check(grace.until(kept), "a value of the server is there for whoever comes later")

    answer = {}
    call = threading.Thread(
        target=lambda: answer.update(request("POST", "/v1/rooms/demo/participants/ada/rpc", api, {"method": "ask"}))
    )
    call.start()
    ada.ask({"type": "rpc_reply", "call": ada.event("rpc_request")["call"], "payload": "yes"})
    call.join(PATIENCE)
    check(answer == {"payload": "yes"}, "a participant answers a call of the server")

    status = request("GET", "/v1/status", api)
    check(status["participants"] == 2 and status["nodes"][0]["attached"], "the status counts")
    request("DELETE", "/v1/rooms/demo/participants/grace?ban=true", api)
    check(grace.event("left")["reason"] == "banned", "who is banned is told")

    names = []
    while "participant_left" not in names:
        line = stream.readline().decode().strip()
        if line.startswith("event: "):
            names.append(line.removeprefix("event: "))
    expected = ["room_created", "room_updated", "participant_joined", "participant_joined", "participant_left"]
    check(names == expected, "events in order")
finally:
    server.kill()
