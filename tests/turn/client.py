#!/usr/bin/env python3
"""A TURN client (RFC 8656) that asks for what an attacker would ask for. Standard library only.

One JSON object a line on standard input, one on standard output: a success, or {"error": CODE, "reason": TEXT}, or
{"error": "silence"} when nothing comes.

  {"do": "allocate", "server": [HOST, PORT], "transport": "udp"|"tcp"|"tls", "username": U, "password": P,
   "family": 4|6, "relay": "udp"|"tcp", "ca": FILE, "name": HOST}    → {"allocation": N, "relayed": [IP, PORT], "lifetime": S}
  {"do": "permit", "allocation": N, "peer": IP}                      → {}
  {"do": "bind", "allocation": N, "peer": [IP, PORT]}                → {"channel": C}
  {"do": "send", "allocation": N, "peer": [IP, PORT], "text": T}     → {"text": ANSWER, "from": [IP, PORT]}
  {"do": "refresh", "allocation": N, "lifetime": S}                  → {"lifetime": S}
  {"do": "binding", "server": [HOST, PORT]}                          → {"mapped": [IP, PORT], "bytes": LENGTH}
"""
import hashlib
import hmac
import ipaddress
import json
import os
import socket
import ssl
import struct
import sys

COOKIE = 0x2112A442
BINDING, ALLOCATE, REFRESH, SEND, DATA, PERMIT, BIND = 1, 3, 4, 6, 7, 8, 9
USERNAME, INTEGRITY, ERROR, CHANNEL, LIFETIME = 0x0006, 0x0008, 0x0009, 0x000C, 0x000D
PEER, PAYLOAD, REALM, NONCE, RELAYED = 0x0012, 0x0013, 0x0014, 0x0015, 0x0016
FAMILY, RELAY, MAPPED = 0x0017, 0x0019, 0x0020
PATIENCE = 2.0


class Refused(Exception):
    def __init__(self, code, reason):
        super().__init__(reason)
        self.code, self.reason = code, reason


def kind(method, klass):
    """RFC 8489 §5: the two bits of the class stand between those of the method."""
    return (method & 0xF) | (klass & 1) << 4 | (method & 0x70) << 1 | (klass & 2) << 7 | (method & 0xF80) << 2


def attribute(number, value):
    return struct.pack("!HH", number, len(value)) + value + b"\0" * (-len(value) % 4)


def address(ip, port, transaction):
    ip = ipaddress.ip_address(ip)
    mask = struct.pack("!I", COOKIE) + transaction
    hidden = bytes(a ^ b for a, b in zip(ip.packed, mask))
    return struct.pack("!BBH", 0, 1 if ip.version == 4 else 2, port ^ (COOKIE >> 16)) + hidden


def read_address(value, transaction):
    port = struct.unpack("!H", value[2:4])[0] ^ (COOKIE >> 16)
    mask = struct.pack("!I", COOKIE) + transaction
    return [str(ipaddress.ip_address(bytes(a ^ b for a, b in zip(value[4:], mask)))), port]


class Connection:
    """One 5-tuple to the server, and the credentials that go with it."""

    def __init__(self, request):
        host, port = request["server"]
        self.transport = request.get("transport", "udp")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.username, self.password = request.get("username", ""), request.get("password", "")
        self.realm = self.nonce = b""
        self.next_channel = 0x4000
        self.rest = b""
        if self.transport == "udp":
            self.socket = socket.socket(family, socket.SOCK_DGRAM)
            self.socket.connect((host, port))
        else:
            self.socket = socket.create_connection((host, port), PATIENCE)
        if self.transport == "tls":
            context = ssl.create_default_context(cafile=request.get("ca"))
            self.socket = context.wrap_socket(self.socket, server_hostname=request.get("name", host))
        self.socket.settimeout(PATIENCE)

    def receive(self):
        """One message or channel datum."""
        if self.transport == "udp":
            return self.socket.recv(65536)
        while True:
            if len(self.rest) >= 4:
                first, length = struct.unpack("!HH", self.rest[:4])
                # Over a stream channel data is padded (RFC 8656 §12.5).
                whole = 20 + length if first < 0x4000 else 4 + length + -length % 4
                if len(self.rest) >= whole:
                    message, self.rest = self.rest[:whole], self.rest[whole:]
                    return message
            more = self.socket.recv(65536)
            if not more:
                raise TimeoutError
            self.rest += more

    def message(self, method, klass, attributes, transaction, signed):
        body = b"".join(attributes)
        if signed:
            key = hashlib.md5(f"{self.username}:{self.realm.decode()}:{self.password}".encode()).digest()
            body += attribute(USERNAME, self.username.encode()) + attribute(REALM, self.realm) + attribute(NONCE, self.nonce)
            head = struct.pack("!HHI", kind(method, klass), len(body) + 24, COOKIE) + transaction
            body += attribute(INTEGRITY, hmac.new(key, head + body, hashlib.sha1).digest())
        return struct.pack("!HHI", kind(method, klass), len(body), COOKIE) + transaction + body

    def ask(self, method, build=lambda transaction: [], repeated=False):
        """One request, signed as soon as the server has said with what; returns its attributes and length."""
        transaction = os.urandom(12)
        self.socket.sendall(self.message(method, 0, build(transaction), transaction, bool(self.nonce)))
        while True:
            answer = self.receive()
            if len(answer) >= 20 and answer[8:20] == transaction:
                break
        found, at = {}, 20
        while at + 4 <= len(answer):
            number, length = struct.unpack("!HH", answer[at:at + 4])
            found.setdefault(number, answer[at + 4:at + 4 + length])
            at += 4 + length + -length % 4
        if ERROR in found:
            code = found[ERROR][2] * 100 + found[ERROR][3]
            # 401 asks for credentials, 438 for the new nonce.
            is_question = code == 438 or (code == 401 and not self.nonce)
            if is_question and not repeated:
                self.realm, self.nonce = found.get(REALM, self.realm), found.get(NONCE, b"")
                return self.ask(method, build, repeated=code == 438)
            raise Refused(code, found[ERROR][4:].decode(errors="replace"))
        return found, transaction, len(answer)

    def send(self, peer, data):
        transaction = os.urandom(12)
        attributes = [attribute(PEER, address(*peer, transaction)), attribute(PAYLOAD, data)]
        self.socket.sendall(self.message(SEND, 1, attributes, transaction, False))
        while True:
            answer = self.receive()
            if answer[:2] == struct.pack("!H", kind(DATA, 1)):
                break
        found, at = {}, 20
        while at + 4 <= len(answer):
            number, length = struct.unpack("!HH", answer[at:at + 4])
            found[number] = answer[at + 4:at + 4 + length]
            at += 4 + length + -length % 4
        return found[PAYLOAD], read_address(found[PEER], answer[8:20])


def serve(request, connections):
    what = request["do"]
    if what == "binding":
        found, transaction, length = Connection(request).ask(BINDING)
        return {"mapped": read_address(found[MAPPED], transaction), "bytes": length}
    if what == "allocate":
        protocol = 17 if request.get("relay", "udp") == "udp" else 6
        wanted = [attribute(RELAY, bytes([protocol, 0, 0, 0]))]
        if "family" in request:
            wanted.append(attribute(FAMILY, bytes([1 if request["family"] == 4 else 2, 0, 0, 0])))
        while True:
            connection = Connection(request)
            try:
                found, transaction, _ = connection.ask(ALLOCATE, lambda _: wanted)
                break
            except Refused as refused:
                # The port was somebody else's a moment ago; RFC 8656 §7.4 says to take another.
                if refused.code != 437:
                    raise
        connections.append(connection)
        return {
            "allocation": len(connections) - 1,
            "relayed": read_address(found[RELAYED], transaction),
            "lifetime": struct.unpack("!I", found[LIFETIME])[0],
        }
    connection = connections[request["allocation"]]
    if what == "permit":
        connection.ask(PERMIT, lambda transaction: [attribute(PEER, address(request["peer"], 0, transaction))])
        return {}
    if what == "bind":
        channel = connection.next_channel
        connection.next_channel += 1
        number = attribute(CHANNEL, struct.pack("!HH", channel, 0))
        connection.ask(BIND, lambda transaction: [number, attribute(PEER, address(*request["peer"], transaction))])
        return {"channel": channel}
    if what == "send":
        data, sender = connection.send(request["peer"], request["text"].encode())
        return {"text": data.decode(errors="replace"), "from": sender}
    if what == "refresh":
        lifetime = attribute(LIFETIME, struct.pack("!I", request["lifetime"]))
        found, _, _ = connection.ask(REFRESH, lambda _: [lifetime])
        return {"lifetime": struct.unpack("!I", found[LIFETIME])[0]}
    raise ValueError(what)


def main():
    connections = []
    for line in sys.stdin:
        try:
            answer = serve(json.loads(line), connections)
        except Refused as refused:
            answer = {"error": refused.code, "reason": refused.reason}
        except (TimeoutError, ConnectionError) as error:
            answer = {"error": "silence", "reason": str(error)}
        except ssl.SSLError as error:
            answer = {"error": "tls", "reason": str(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
