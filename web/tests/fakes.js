/**
 * A browser's WebRTC and a signaling server, as small as the SDK's use of them, for tests in Node. What is called in
 * which order is kept in `log`; time stands still until a test moves it.
 */

export class FakeTrack extends EventTarget {
  constructor(kind) {
    super();
    this.kind = kind;
    this.enabled = true;
    this.readyState = "live";
  }
  getSettings() {
    return { height: 720 };
  }
  stop() {
    this.readyState = "ended";
  }
}

class FakeMediaStream {
  #tracks = new Set();
  getTracks() {
    return [...this.#tracks];
  }
  addTrack(track) {
    this.#tracks.add(track);
  }
  removeTrack(track) {
    this.#tracks.delete(track);
  }
}

class FakeSender {
  constructor(track, encodings) {
    this.track = track;
    this.encodings = encodings;
  }
  async replaceTrack(track) {
    this.track = track;
  }
  getParameters() {
    return { encodings: this.encodings };
  }
  async setParameters({ encodings }) {
    this.encodings = encodings;
  }
}

export function fakePlatform({ random = () => 0.5 } = {}) {
  const world = { log: [], connections: [], sockets: [], now: 0, timers: [], server: () => {}, iceServers: null, stats: () => new Map(), tellNetwork: new Set() };

  class FakePeerConnection {
    #transceivers = [];
    #configuration;
    connectionState = "new";
    closed = false;
    restarts = 0;
    onconnectionstatechange = null;
    onicecandidate = null;
    constructor(configuration) {
      this.#configuration = configuration;
      world.connections.push(this);
    }
    addTransceiver(trackOrKind, { direction, sendEncodings = [] }) {
      const kind = typeof trackOrKind === "string" ? trackOrKind : trackOrKind.kind;
      const track = typeof trackOrKind === "string" ? null : trackOrKind;
      const transceiver = {
        mid: null, direction, kind, sources: [],
        sender: new FakeSender(track, sendEncodings),
        receiver: { track: new FakeTrack(kind), getContributingSources: () => transceiver.sources },
        setCodecPreferences() {},
        stop() { this.direction = "stopped"; },
      };
      this.#transceivers.push(transceiver);
      return transceiver;
    }
    getTransceivers() {
      return this.#transceivers;
    }
    async createOffer() {
      world.log.push("createOffer");
      const sections = this.#transceivers.map(({ kind, mid, direction }, index) => `m=${kind} 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:${mid ?? index}\r\na=${direction}\r\n`);
      return { type: "offer", sdp: `v=0\r\n${sections.join("")}` };
    }
    getConfiguration() {
      return this.#configuration;
    }
    setConfiguration(configuration) {
      world.log.push("setConfiguration");
      world.iceServers = configuration.iceServers;
      this.#configuration = configuration;
    }
    async setLocalDescription() {
      world.log.push("setLocalDescription");
      this.#transceivers.forEach((transceiver, index) => (transceiver.mid ??= String(index)));
      this.onicecandidate?.({ candidate: { candidate: "candidate:1 1 udp 1 192.0.2.1 5000 typ host", sdpMid: "0" } });
    }
    async setRemoteDescription({ sdp }) {
      world.log.push("setRemoteDescription");
      if (sdp.includes("bad")) throw new Error("bad answer");
    }
    async addIceCandidate() {}
    restartIce() {
      this.restarts += 1;
    }
    async getStats() {
      return world.stats();
    }
    close() {
      this.closed = true;
      this.connectionState = "closed";
    }
    /** For tests. */
    become(state) {
      this.connectionState = state;
      this.onconnectionstatechange?.();
    }
  }

  class FakeWebSocket {
    onopen = null;
    onmessage = null;
    onclose = null;
    sent = [];
    closed = false;
    readyState = 1;
    #seq = 0;
    constructor(url, protocols) {
      this.url = url;
      this.protocols = protocols;
      world.sockets.push(this);
      queueMicrotask(() => world.refuse ? this.drop(1006) : world.mute ? undefined : this.onopen?.());
    }
    send(text) {
      const message = JSON.parse(text);
      this.sent.push(message);
      world.log.push(message.type);
      queueMicrotask(() => world.server(message, this));
    }
    close() {
      this.closed = true;
    }
    /** For tests: the server says something. */
    say(event) {
      if (!this.closed) this.onmessage?.({ data: JSON.stringify({ seq: ++this.#seq, ...event }) });
    }
    ok(id, result) {
      this.say({ type: "ok", id, result });
    }
    /** For tests: the connection ends. */
    drop(code, reason = "") {
      this.onclose?.({ code, reason });
    }
  }

  const platform = {
    RTCPeerConnection: FakePeerConnection,
    WebSocket: FakeWebSocket,
    MediaStream: FakeMediaStream,
    codecs: () => [],
    setTimeout: (callback, ms) => {
      const timer = { callback, at: world.now + ms };
      world.timers.push(timer);
      return timer;
    },
    clearTimeout: (timer) => {
      world.timers = world.timers.filter((other) => other !== timer);
    },
    now: () => world.now,
    watchNetwork: (tell) => {
      world.tellNetwork.add(tell);
      return () => world.tellNetwork.delete(tell);
    },
    random,
  };

  /** Lets everything that is ready run. */
  world.settle = async () => {
    for (let turn = 0; turn < 50; turn += 1) await null;
    await new Promise((resolve) => setImmediate(resolve));
    for (let turn = 0; turn < 50; turn += 1) await null;
  };
  /** Moves time, running what falls due in order. */
  world.advance = async (ms) => {
    const end = world.now + ms;
    for (;;) {
      await world.settle();
      const due = world.timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (!due) break;
      world.timers = world.timers.filter((timer) => timer !== due);
      world.now = Math.max(world.now, due.at);
      due.callback();
    }
    world.now = end;
    await world.settle();
  };
  return { platform, world };
}

/** A server that lets everybody in and answers everything, with the roster it is given. */
export function friendlyServer(world, { others = [], number = 1, identity = "me", iceServers = [], grants } = {}) {
  let nextTrack = 100;
  const tracks = new Map();
  const answer = ({ sdp, publications, slots }) => ({
    sdp: sdp.replaceAll("sendonly", "recvonly"),
    publications: publications.map(({ mid, source }) => {
      if (!tracks.has(mid + source)) tracks.set(mid + source, nextTrack++);
      return { mid, source, track: tracks.get(mid + source) };
    }),
    slots: slots.map(({ mid }, index) => ({ mid, ssrc: 1000 + index })),
  });
  return (message, socket) => {
    switch (message.type) {
      case "hello":
        return socket.ok(message.id, { type: "welcome", version: 1, server: "fake/1", epoch: 1, heartbeat_ms: 5000 });
      case "join":
        return socket.ok(message.id, {
          type: "joined", session: "s", secret: "x", room: message.room,
          participant: { number, identity: message.identity ?? identity, name: message.name ?? "Me" },
          grants: grants ?? { publish: ["microphone", "camera", "screen", "screen_audio"], subscribe: true, data: true, moderate: false, hidden: false, record: false },
          participants: others, ice_servers: iceServers, answer: answer(message.offer),
        });
      case "offer":
        return socket.ok(message.id, { type: "answered", ...answer(message) });
      default:
        return socket.ok(message.id, { type: "done" });
    }
  };
}
