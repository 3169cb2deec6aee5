#!/usr/bin/env python3
"""A link in user space: two TUN devices, and between them whatever a network can do to packets.

    shim.py NAME [--seed N] [--delay MS] [--jitter MS] [--loss PERCENT] [--duplicate PERCENT] [--reorder PERCENT]
            [--rate KBIT] [--queue MS]

Makes the devices pbNAMEa and pbNAMEb, prints a line of JSON when they are there, and carries IP packets until its input
ends. Settings hold for both directions; a line of JSON on the input changes them, such as {"loss": 5} or
{"a": {"delay": 200}} for what a side sends. Each line is answered by one with the counters of both directions.
With the same seed, the same packets in the same order meet the same fate. Delay is one-way.
"""
import argparse
import fcntl
import heapq
import json
import os
import random
import select
import struct
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
PARAMETERS = ("delay", "jitter", "loss", "duplicate", "reorder", "rate", "queue")


def open_tun(name):
    """Makes a TUN device; whoever moves it to a namespace later leaves it attached here."""
    handle = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(handle, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    return handle


class Direction:
    """What one side sends, on its way to the other."""

    def __init__(self, source, target, seed, settings):
        self.source, self.target = source, target
        self.random = random.Random(seed)
        self.settings = dict(settings)
        self.on_the_way = []
        self.number = 0
        self.last_release = 0.0
        self.free_at = 0.0
        self.counters = dict.fromkeys(("packets", "bytes", "lost", "overflowed", "duplicated", "reordered"), 0)

    def take(self, packet, now):
        """Decides about a packet that was sent now."""
        chance = lambda name: self.random.random() * 100 < self.settings[name]  # noqa: E731
        # Every packet draws the same numbers, whatever the settings are, so that fates stay comparable.
        lost, doubled, early = chance("loss"), chance("duplicate"), chance("reorder")
        jitter = self.random.uniform(-1, 1) * self.settings["jitter"] / 1000
        self.counters["packets"] += 1
        self.counters["bytes"] += len(packet)
        if lost:
            self.counters["lost"] += 1
            return
        leaves = now
        if self.settings["rate"] > 0:
            if self.free_at - now > self.settings["queue"] / 1000:
                self.counters["overflowed"] += 1
                return
            self.free_at = max(self.free_at, now) + len(packet) * 8 / (self.settings["rate"] * 1000)
            leaves = self.free_at
        release = leaves + max(0.0, self.settings["delay"] / 1000 + jitter)
        if early:
            # It overtakes what is on the way.
            self.counters["reordered"] += 1
            release = leaves
        else:
            release = self.last_release = max(release, self.last_release)
        self.add(release, packet)
        if doubled:
            self.counters["duplicated"] += 1
            self.add(release, packet)

    def add(self, release, packet):
        heapq.heappush(self.on_the_way, (release, self.number, packet))
        self.number += 1

    def deliver(self, now):
        """Hands over what is due."""
        while self.on_the_way and self.on_the_way[0][0] <= now:
            packet = heapq.heappop(self.on_the_way)[2]
            try:
                os.write(self.target, packet)
            except OSError:
                self.counters["overflowed"] += 1


def drain(direction):
    while True:
        try:
            packet = os.read(direction.source, 65535)
        except BlockingIOError:
            return
        except OSError:
            # The device is down, or about to come up.
            return
        direction.take(packet, time.monotonic())


def change(directions, line):
    wanted = json.loads(line)
    for side, direction in directions.items():
        own = {**wanted, **wanted.get(side, {})}
        direction.settings.update({name: float(own[name]) for name in PARAMETERS if name in own})


def tell(directions):
    print(json.dumps({side: direction.counters for side, direction in directions.items()}), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name")
    parser.add_argument("--seed", type=int, default=1)
    for parameter in PARAMETERS:
        parser.add_argument(f"--{parameter}", type=float, default=200.0 if parameter == "queue" else 0.0)
    arguments = parser.parse_args()
    settings = {parameter: getattr(arguments, parameter) for parameter in PARAMETERS}
    a, b = open_tun(f"pb{arguments.name}a"), open_tun(f"pb{arguments.name}b")
    directions = {"a": Direction(a, b, arguments.seed, settings), "b": Direction(b, a, arguments.seed + 1, settings)}
    tell(directions)

    poll = select.poll()
    for handle in (a, b, 0):
        poll.register(handle, select.POLLIN)
    rest = b""
    while True:
        now = time.monotonic()
        for direction in directions.values():
            direction.deliver(now)
        due = min((direction.on_the_way[0][0] for direction in directions.values() if direction.on_the_way), default=None)
        timeout = None if due is None else max(0.0, (due - time.monotonic()) * 1000)
        for handle, _ in poll.poll(timeout):
            if handle != 0:
                drain(directions["a"] if handle == a else directions["b"])
                continue
            chunk = os.read(0, 65536)
            if not chunk:
                return
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                change(directions, line)
                tell(directions)


if __name__ == "__main__":
    sys.exit(main())
