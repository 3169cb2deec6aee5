"""A WebSocket for signaling, with the standard library alone: text messages, pings answered, nothing else."""
import asyncio
import base64
import json
import os
import struct
import urllib.parse


class Signaling:
    """A session with a server: numbered requests and what comes between."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.last_id = 0
        self.waiting = {}
        self.events = asyncio.Queue()
        self.task = asyncio.ensure_future(self.read())

    @classmethod
    async def open(cls, server):
        url = urllib.parse.urlsplit(server)
        reader, writer = await asyncio.open_connection(url.hostname, url.port)
        key = base64.b64encode(os.urandom(16)).decode()
        writer.write((f"GET /v1/ws HTTP/1.1\r\nHost: {url.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
                      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: patchbay.v1\r\n\r\n").encode())
        head = await reader.readuntil(b"\r\n\r\n")
        if b" 101 " not in head.split(b"\r\n")[0]:
            raise RuntimeError(head.decode(errors="replace"))
        return cls(reader, writer)

    def frame(self, opcode, data):
        size = len(data)
        length = bytes([0x80 | size]) if size < 126 else b"\xfe" + struct.pack(">H", size) if size < 65_536 else b"\xff" + struct.pack(">Q", size)
        mask = os.urandom(4)
        self.writer.write(bytes([0x80 | opcode]) + length + mask + bytes(byte ^ mask[at & 3] for at, byte in enumerate(data)))

    async def read(self):
        whole = b""
        while True:
            first, second = await self.reader.readexactly(2)
            size = second & 0x7F
            if size >= 126:
                size = int.from_bytes(await self.reader.readexactly(2 if size == 126 else 8), "big")
            data = await self.reader.readexactly(size)
            opcode = first & 0x0F
            if opcode == 9:
                self.frame(10, data)
            elif opcode == 8:
                return
            elif opcode in (0, 1):
                whole += data
                if first & 0x80:
                    self.take(json.loads(whole))
                    whole = b""

    def take(self, message):
        waiting = self.waiting.pop(message.get("id"), None)
        if waiting is None:
            self.events.put_nowait(message)
        elif message["type"] == "ok":
            waiting.set_result(message["result"])
        else:
            waiting.set_exception(RuntimeError(json.dumps(message)))

    async def request(self, **fields):
        self.last_id += 1
        reply = self.waiting[self.last_id] = asyncio.get_running_loop().create_future()
        self.frame(1, json.dumps({"id": self.last_id, **fields}).encode())
        return await asyncio.wait_for(reply, 20)

    async def beat(self):
        while True:
            await asyncio.sleep(5)
            await self.request(type="ping")
