#!/usr/bin/python3
"""GStreamer's webrtcbin as a WHIP publisher or a WHEP player. The arguments are those of aiortc_client.py."""
import json
import sys
import threading
import time

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402

import exchange  # noqa: E402

Gst.init(None)
VIDEO_CAPS = "application/x-rtp,media=video,encoding-name=VP8,payload=96,clock-rate=90000"
AUDIO_CAPS = "application/x-rtp,media=audio,encoding-name=OPUS,payload=111,clock-rate=48000,encoding-params=(string)2"


def tell(**values):
    print(json.dumps(values), flush=True)


def pending(webrtc, signal, *arguments):
    """Emits a signal that takes a promise, waits, and returns the reply."""
    promise = Gst.Promise.new()
    webrtc.emit(signal, *arguments, promise)
    promise.wait()
    return promise.get_reply()


def negotiate(webrtc, url):
    reply = pending(webrtc, "create-offer", None)
    offer = reply.get_value("offer")
    pending(webrtc, "set-local-description", offer)
    sdp, resource = exchange.offer(url, offer.sdp.as_text())
    _, message = GstSdp.SDPMessage.new_from_text(sdp)
    answer = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, message)
    pending(webrtc, "set-remote-description", answer)
    return resource


def connected(webrtc):
    for _ in range(1500):
        state = webrtc.get_property("connection-state")
        if state == GstWebRTC.WebRTCPeerConnectionState.CONNECTED:
            tell(state="connected")
            return
        if state == GstWebRTC.WebRTCPeerConnectionState.FAILED:
            break
        time.sleep(0.02)
    raise RuntimeError(f"not connected: {webrtc.get_property('connection-state')}")


def publish(url, seconds, colour):
    pipeline = Gst.parse_launch(
        "webrtcbin name=webrtc bundle-policy=max-bundle"
        f" videotestsrc is-live=true pattern=solid-color foreground-color=0xff{colour}"
        " ! video/x-raw,width=320,height=180,framerate=20/1 ! videoconvert"
        " ! vp8enc deadline=1 cpu-used=8 keyframe-max-dist=200 target-bitrate=300000"
        f" ! rtpvp8pay picture-id-mode=15-bit ! {VIDEO_CAPS} ! webrtc."
        " audiotestsrc is-live=true volume=0.3 ! audioconvert ! audioresample ! opusenc"
        f" ! rtpopuspay ! {AUDIO_CAPS} ! webrtc."
    )
    webrtc = pipeline.get_by_name("webrtc")
    pipeline.set_state(Gst.State.PLAYING)
    resource = negotiate(webrtc, url)
    connected(webrtc)
    time.sleep(seconds)
    exchange.end(resource)
    pipeline.set_state(Gst.State.NULL)
    tell(state="done")


def play(url, wanted):
    pipeline = Gst.Pipeline.new()
    webrtc = Gst.ElementFactory.make("webrtcbin")
    webrtc.set_property("bundle-policy", GstWebRTC.WebRTCBundlePolicy.MAX_BUNDLE)
    pipeline.add(webrtc)
    seen = {"frames": 0, "samples": 0, "colour": None}

    def on_video(sink):
        buffer = sink.emit("pull-sample").get_buffer()
        data = buffer.extract_dup(0, buffer.get_size())
        middle = 3 * (90 * 320 + 160)
        seen["frames"] += 1
        seen["colour"] = list(data[middle:middle + 3])
        return Gst.FlowReturn.OK

    def on_audio(sink):
        seen["samples"] += sink.emit("pull-sample").get_buffer().get_size() // 2
        return Gst.FlowReturn.OK

    def on_pad(_, pad):
        if pad.direction != Gst.PadDirection.SRC:
            return
        caps = pad.get_current_caps() or pad.query_caps()
        video = caps.get_structure(0).get_string("media") == "video"
        if video:
            text = (
                "rtpvp8depay ! vp8dec ! videoconvert ! videoscale"
                " ! video/x-raw,format=RGB,width=320,height=180 ! appsink name=out emit-signals=true sync=false"
            )
        else:
            text = (
                "rtpopusdepay ! opusdec ! audioconvert ! audioresample"
                " ! audio/x-raw,format=S16LE,rate=48000,channels=1 ! appsink name=out emit-signals=true sync=false"
            )
        branch = Gst.parse_bin_from_description(text, True)
        branch.get_by_name("out").connect("new-sample", on_video if video else on_audio)
        pipeline.add(branch)
        branch.sync_state_with_parent()
        pad.link(branch.get_static_pad("sink"))

    webrtc.connect("pad-added", on_pad)
    direction = GstWebRTC.WebRTCRTPTransceiverDirection.RECVONLY
    webrtc.emit("add-transceiver", direction, Gst.Caps.from_string(AUDIO_CAPS))
    webrtc.emit("add-transceiver", direction, Gst.Caps.from_string(VIDEO_CAPS))
    pipeline.set_state(Gst.State.PLAYING)
    resource = negotiate(webrtc, url)
    connected(webrtc)
    end = time.time() + 30
    while (seen["frames"] < wanted or seen["samples"] < wanted * 4800) and time.time() < end:
        time.sleep(0.05)
    exchange.end(resource)
    pipeline.set_state(Gst.State.NULL)
    enough = seen["frames"] >= wanted and seen["samples"] >= wanted * 4800
    tell(state="done" if enough else "starved", **seen)
    return enough


def main():
    loop = GLib.MainLoop()
    threading.Thread(target=loop.run, daemon=True).start()
    if sys.argv[1] == "publish":
        publish(sys.argv[2], float(sys.argv[3]), sys.argv[4])
        return 0
    return 0 if play(sys.argv[2], int(sys.argv[3])) else 1


if __name__ == "__main__":
    sys.exit(main())
