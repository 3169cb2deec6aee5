#!/usr/bin/env python3
"""aiortc as a WHIP publisher or a WHEP player.

    aiortc_client.py publish URL SECONDS RRGGBB
    aiortc_client.py play URL FRAMES

Prints a JSON line when connected and one at the end. `play` ends when so many frames and as many tenths of a second of
sound were decoded, or fails after 30 s.
"""
import asyncio
import fractions
import json
import sys
import time

import av
import numpy
from aiortc import AudioStreamTrack, RTCPeerConnection, RTCSessionDescription, VideoStreamTrack

import exchange


class Colour(VideoStreamTrack):
    """320×180 of one colour, with a corner that blinks."""

    def __init__(self, rgb):
        super().__init__()
        self.rgb = rgb
        self.count = 0

    async def recv(self):
        pts, time_base = await self.next_timestamp()
        picture = numpy.empty((180, 320, 3), numpy.uint8)
        picture[:] = self.rgb
        picture[:16, :16] = 255 * (self.count % 2)
        self.count += 1
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = pts, time_base
        return frame


class Tone(AudioStreamTrack):
    """440 Hz, mono, 48 kHz, in frames of 20 ms."""

    def __init__(self):
        super().__init__()
        self.at = 0
        self.began = None

    async def recv(self):
        if self.began is None:
            self.began = time.time()
        await asyncio.sleep(max(0, self.began + self.at / 48000 - time.time()))
        wave = numpy.sin(2 * numpy.pi * 440 * (self.at + numpy.arange(960)) / 48000)
        frame = av.AudioFrame.from_ndarray((wave * 8000).astype(numpy.int16).reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48000, self.at, fractions.Fraction(1, 48000)
        self.at += 960
        return frame


def tell(**values):
    print(json.dumps(values), flush=True)


async def negotiate(connection, url):
    await connection.setLocalDescription(await connection.createOffer())
    answer, resource = await asyncio.to_thread(exchange.offer, url, connection.localDescription.sdp)
    await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    return resource


async def connected(connection):
    for _ in range(1500):
        if connection.connectionState == "connected":
            tell(state="connected")
            return
        if connection.connectionState in ("failed", "closed"):
            break
        await asyncio.sleep(0.02)
    raise RuntimeError(f"not connected: {connection.connectionState}, ICE {connection.iceConnectionState}")


async def publish(url, seconds, colour):
    connection = RTCPeerConnection()
    connection.addTrack(Tone())
    connection.addTrack(Colour([int(colour[at:at + 2], 16) for at in (0, 2, 4)]))
    resource = await negotiate(connection, url)
    await connected(connection)
    await asyncio.sleep(seconds)
    await asyncio.to_thread(exchange.end, resource)
    await connection.close()
    tell(state="done")


async def play(url, wanted):
    connection = RTCPeerConnection()
    seen = {"frames": 0, "samples": 0, "colour": None}

    async def watch(track):
        while True:
            frame = await track.recv()
            if track.kind == "audio":
                seen["samples"] += frame.samples
            else:
                seen["frames"] += 1
                picture = frame.to_ndarray(format="rgb24")
                seen["colour"] = [int(value) for value in picture[picture.shape[0] // 2, picture.shape[1] // 2]]

    tasks = []
    connection.on("track", lambda track: tasks.append(asyncio.ensure_future(watch(track))))
    connection.addTransceiver("audio", direction="recvonly")
    connection.addTransceiver("video", direction="recvonly")
    resource = await negotiate(connection, url)
    await connected(connection)
    end = time.time() + 30
    while (seen["frames"] < wanted or seen["samples"] < wanted * 4800) and time.time() < end:
        await asyncio.sleep(0.05)
    await asyncio.to_thread(exchange.end, resource)
    await connection.close()
    for task in tasks:
        task.cancel()
    enough = seen["frames"] >= wanted and seen["samples"] >= wanted * 4800
    tell(state="done" if enough else "starved", **seen)
    return enough


if __name__ == "__main__":
    if sys.argv[1] == "publish":
        asyncio.run(publish(sys.argv[2], float(sys.argv[3]), sys.argv[4]))
    else:
        sys.exit(0 if asyncio.run(play(sys.argv[2], int(sys.argv[3]))) else 1)
