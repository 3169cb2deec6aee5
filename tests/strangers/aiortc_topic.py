#!/usr/bin/env python3
"""aiortc on topics, over the signaling WebSocket and without an SDK.

    aiortc_topic.py SERVER ROOM IDENTITY LABEL [PROTOCOL] [NEGOTIATED_ID]

Prints a JSON line for each thing that happens, and sends what it reads from standard input: a line `text WORDS` or `bytes HEX`.
"""
import asyncio
import json
import sys

from aiortc import RTCPeerConnection, RTCSessionDescription

import frames
from websocket import Signaling


def tell(**values):
    print(json.dumps(values), flush=True)


async def main(server, room, identity, label, protocol="", negotiated=None):
    signaling = await Signaling.open(server)
    await signaling.request(type="hello", version=1, client="aiortc")
    connection = RTCPeerConnection()
    number = None if negotiated is None else int(negotiated)
    channel = connection.createDataChannel(label, protocol=protocol, negotiated=number is not None, id=number)
    is_framed = protocol.split("?")[0] == "patchbay"
    opened = asyncio.Event()

    @channel.on("open")
    def _():
        if not is_framed:
            opened.set()
            tell(state="open")

    @channel.on("message")
    def _(message):
        if not is_framed:
            if isinstance(message, str):
                tell(text=message)
            else:
                tell(bytes=message.hex())
            return
        for frame in frames.read(message):
            if frame["type"] == "message":
                payload = frame.pop("payload")
                body = {"text": payload.decode()} if frame.pop("text", False) else {"bytes": payload.hex()}
                tell(**frame, **body)
            else:
                tell(**frame)
                if frame["type"] == "welcome":
                    opened.set()
                    tell(state="open")

    offer = await connection.createOffer()
    await connection.setLocalDescription(offer)
    description = {"sdp": connection.localDescription.sdp, "publications": [], "slots": []}
    if number is not None:
        description["channels"] = [{"id": number, "label": label, "protocol": protocol, "ordered": True}]
    joined = await signaling.request(type="join", room=room, identity=identity, name=identity, offer=description)
    tell(state="joined", participant=joined["participant"]["number"])
    await connection.setRemoteDescription(RTCSessionDescription(joined["answer"]["sdp"], "answer"))
    beat = asyncio.ensure_future(signaling.beat())
    await asyncio.wait_for(opened.wait(), 20)
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := (await lines.readline()).decode().rstrip("\n"):
        kind, _, rest = line.partition(" ")
        if is_framed:
            channel.send(frames.publish(rest.encode(), text=True) if kind == "text" else frames.publish(bytes.fromhex(rest)))
        else:
            channel.send(rest if kind == "text" else bytes.fromhex(rest))
    beat.cancel()
    await connection.close()


asyncio.run(main(*sys.argv[1:]))
