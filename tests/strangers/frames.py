#!/usr/bin/env python3
"""The frames of topics, written from docs/protocol.md alone, with nothing but the standard library.

    frames.py GOLDEN_DIRECTORY

reads and writes every golden file in that directory and compares.
"""
import json
import pathlib
import struct
import sys

TEXT, TOMBSTONE, KEY, CELL, TARGETS, LEFT = 1, 2, 4, 8, 16, 32
MODES = ["relay", "latest", "interest"]
ERRORS = ["", "bad_frame", "too_large", "rate_limited", "topic_mismatch", "not_allowed", "too_many_values", "too_slow", "bad_settings", "too_many_filters"]


def frame(kind, body):
    size = len(body)
    if size < 1 << 6:
        length = struct.pack(">B", size)
    elif size < 1 << 14:
        length = struct.pack(">H", size | 0x4000)
    else:
        length = struct.pack(">I", size | 0x80000000)
    return bytes([kind]) + length + body


def name(text):
    data = text.encode()
    return bytes([len(data)]) + data


def publish(payload, text=False, tombstone=False, targets=None, key=None, cell=None):
    flags = TEXT * text | TOMBSTONE * tombstone | KEY * (key is not None) | CELL * (cell is not None) | TARGETS * (targets is not None)
    body = bytes([flags])
    if targets is not None:
        body += bytes([len(targets)]) + b"".join(struct.pack(">I", number) for number in targets)
    if key is not None:
        body += name(key)
    if cell is not None:
        body += struct.pack(">hh", *cell)
    return frame(0x01, body + payload)


def filters(wanted):
    body = b""
    for one in wanted:
        if "key" in one:
            body += b"\1" + name(one["key"])
        elif "prefix" in one:
            body += b"\2" + name(one["prefix"])
        else:
            body += b"\3" + struct.pack(">hhhh", *one["area"])
    return body


def subscribe(wanted, replace=False):
    return frame(0x02, bytes([replace]) + filters(wanted))


def unsubscribe(wanted):
    return frame(0x03, filters(wanted))


def ping(token):
    return frame(0x04, struct.pack(">Q", token))


def bodies(data):
    at = 0
    while at < len(data):
        kind, first = data[at], data[at + 1]
        width = {0: 1, 1: 2, 2: 4}[first >> 6]
        size = int.from_bytes(data[at + 1:at + 1 + width], "big") & ((1 << (8 * width - 2)) - 1)
        begin = at + 1 + width
        if begin + size > len(data):
            raise ValueError("a frame ends too early")
        yield kind, data[begin:begin + size]
        at = begin + size


def read(data):
    """The frames of a message of the server."""
    for kind, body in bodies(data):
        if kind == 0x81:
            version, participant, time, mode, flags, rate, ttl = struct.unpack_from(">BIQBBII", body)
            yield {"type": "welcome", "version": version, "participant": participant, "time": time, "mode": MODES[mode], "may_publish": bool(flags & 1),
                   "may_subscribe": bool(flags & 2), "rate": rate, "ttl_ms": ttl, "slow": "wait" if flags & 4 else "cut", "leave": "keep" if flags & 8 else "drop"}
        elif kind == 0x82:
            flags, sender, sequence, time = struct.unpack_from(">BIIQ", body)
            at, found = 17, {"type": "message", "sender": sender, "sequence": sequence, "time": time}
            for flag, word in [(TEXT, "text"), (TOMBSTONE, "tombstone"), (TARGETS, "targeted"), (LEFT, "left")]:
                if flags & flag:
                    found[word] = True
            if flags & KEY:
                found["key"] = body[at + 1:at + 1 + body[at]].decode()
                at += 1 + body[at]
            if flags & CELL:
                found["cell"] = list(struct.unpack_from(">hh", body, at))
                at += 4
            yield {**found, "payload": body[at:]}
        elif kind == 0x83:
            yield {"type": "snapshot_begin", "count": struct.unpack_from(">I", body)[0]}
        elif kind == 0x84:
            yield {"type": "snapshot_end"}
        elif kind == 0x85:
            yield {"type": "error", "error": ERRORS[body[0]], "text": body[1:].decode()}
        elif kind == 0x86:
            token, time = struct.unpack_from(">QQ", body)
            yield {"type": "pong", "token": token, "time": time}


def payload_of(entry):
    """The payload that a golden file's description means."""
    if "payload_repeat" in entry:
        return bytes([entry["payload_repeat"]["byte"]]) * entry["payload_repeat"]["count"]
    if "payload_text" in entry:
        return entry["payload_text"].encode()
    return bytes.fromhex(entry["payload"])


def write(entry):
    kind = entry["type"]
    if kind == "publish":
        return publish(payload_of(entry), entry.get("text", False), entry.get("tombstone", False), entry.get("targets"), entry.get("key"), entry.get("cell"))
    if kind == "subscribe":
        return subscribe(entry["filters"], entry["replace"])
    return unsubscribe(entry["filters"]) if kind == "unsubscribe" else ping(entry["token"])


def main(directory):
    checked = 0
    for case in json.loads((directory / "frames.json").read_text()):
        data = (directory / case["file"]).read_bytes()
        if case["from"] == "client" and not case.get("only_read"):
            assert b"".join(write(entry) for entry in case["frames"]) == data, case["name"]
        elif case["from"] == "server" and "error" not in case:
            expected = [{key: value for key, value in entry.items() if not key.startswith("payload")} | ({"payload": payload_of(entry)} if entry["type"] == "message" else {}) for entry in case["frames"]]
            assert list(read(data)) == expected, case["name"]
        else:
            continue
        checked += 1
    assert checked > 30, checked
    print(f"{checked} golden files agree")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
