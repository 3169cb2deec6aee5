#!/usr/bin/python3
"""Makes the clips in this directory anew: short VP8 loops as IVF, and a second of Opus as Ogg.

Needs GStreamer with the vpx and opus plugins and its Python binding (tests/provision strangers installs them).
"""
import struct
import sys

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # noqa: E402

Gst.init(None)
WIDTH, HEIGHT, RATE = 320, 180, 30
# Name, videotestsrc properties, frames, frames between keyframes, bits per second.
CLIPS = [
    ("ball", "pattern=ball", 60, 15, 250_000),
    ("bars", "pattern=smpte", 15, 15, 100_000),
    ("red", "pattern=solid-color foreground-color=0xffc03030", 15, 15, 50_000),
    ("green", "pattern=solid-color foreground-color=0xff30a040", 15, 15, 50_000),
    ("blue", "pattern=solid-color foreground-color=0xff3050c0", 15, 15, 50_000),
    ("amber", "pattern=solid-color foreground-color=0xffd09020", 15, 15, 50_000),
    ("violet", "pattern=solid-color foreground-color=0xff8040b0", 15, 15, 50_000),
    ("teal", "pattern=solid-color foreground-color=0xff208890", 15, 15, 50_000),
]


def samples(description):
    """Runs a pipeline that ends in `appsink name=out` and yields the bytes of each buffer."""
    pipeline = Gst.parse_launch(description)
    out = pipeline.get_by_name("out")
    pipeline.set_state(Gst.State.PLAYING)
    while (sample := out.emit("pull-sample")) is not None:
        buffer = sample.get_buffer()
        yield buffer.extract_dup(0, buffer.get_size())
    pipeline.set_state(Gst.State.NULL)


for name, pattern, count, gop, bitrate in CLIPS:
    frames = list(samples(
        f"videotestsrc {pattern} num-buffers={count} ! video/x-raw,format=I420,width={WIDTH},height={HEIGHT},framerate={RATE}/1"
        f" ! vp8enc deadline=1 cpu-used=4 keyframe-max-dist={gop} keyframe-mode=auto target-bitrate={bitrate}"
        " error-resilient=default ! appsink name=out sync=false"
    ))
    with open(f"{name}.ivf", "wb") as file:
        file.write(struct.pack("<4sHH4sHHIIII", b"DKIF", 0, 32, b"VP80", WIDTH, HEIGHT, RATE, 1, len(frames), 0))
        for number, frame in enumerate(frames):
            file.write(struct.pack("<IQ", len(frame), number) + frame)
    keyframes = sum(1 for frame in frames if not frame[0] & 1)
    print(name, len(frames), "frames", keyframes, "keyframes", sum(map(len, frames)), "bytes", file=sys.stderr)

pipeline = Gst.parse_launch(
    "audiotestsrc wave=sine freq=440 volume=0.3 num-buffers=50 samplesperbuffer=960"
    " ! audio/x-raw,rate=48000,channels=1 ! opusenc bitrate=32000 frame-size=20 ! oggmux ! filesink location=tone.ogg"
)
pipeline.set_state(Gst.State.PLAYING)
pipeline.get_bus().timed_pop_filtered(Gst.CLOCK_TIME_NONE, Gst.MessageType.EOS | Gst.MessageType.ERROR)
pipeline.set_state(Gst.State.NULL)
