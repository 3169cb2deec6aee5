/**
 * A browser's WebRTC and a signaling server, as small as the SDK's use of them, for tests in Node. What is called in
 * which order is kept in `log`; time stands still until a test moves it.
 */

// What the SDK fetches behind a join is here at once.
import "../sdk/connection/poll.js";
import "../sdk/connection/sse.js";
import "../sdk/keeper.js";
import "../sdk/moderation.js";
import "../sdk/path-watch.js";
import "../sdk/presence.js";
import "../sdk/rejoin.js";
import "../sdk/stats.js";

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
  const world = {
    sessions: new Map(), sessionCount: 0, https: [], fetched: [], refuse: false, blocked: false, buffered: false, httpDown: false, mute: false,
    log: [], connections: [], sockets: [], now: 0, timers: [], server: () => {}, iceServers: null, stats: () => new Map(), tellNetwork: new Set(),
  };

  class FakePeerConnection {
    #transceivers = [];
    #configuration;
    connectionState = "new";
    closed = false;
    channels = [];
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
    createDataChannel(label, init) {
      const channel = { label, init, readyState: "connecting", bufferedAmount: 0, send() {}, close() {} };
      this.channels.push(channel);
      return channel;
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

  /** What the server keeps of a session: everything it said, by number, and the connection that hears it. */
  class FakeSession {
    said = [];
    sink = null;
    #seq = 0;
    constructor() {
      this.id = `session-${++world.sessionCount}`;
      world.sessions.set(this.id, this);
    }
    say(event) {
      const message = { seq: ++this.#seq, ...event };
      this.said.push(message);
      this.sink?.deliver(message);
    }
    /** Says again what came after a message, to a connection that takes the session over. */
    resume(sink, lastSeq) {
      this.sink = sink;
      for (const message of this.said) if (message.seq > lastSeq) sink.deliver(message);
    }
    /** As after a restart of the server: numbered anew. */
    restart() {
      this.said = [];
      this.#seq = 0;
    }
  }

  /** What both kinds of connections have for a server that is played by a test. */
  class FakeSink {
    sent = [];
    session = null;
    closed = false;
    take(message) {
      this.sent.push(message);
      world.log.push(message.type);
      if (message.type === "hello") this.session = message.resume ? world.sessions.get(message.resume.session) : new FakeSession();
    }
    /** For tests: the server says something. */
    say(event) {
      if (event.seq === 0) return this.deliver(event);
      this.session ??= new FakeSession();
      this.session.sink ??= this;
      this.session.say(event);
    }
    ok(id, result) {
      this.say({ type: "ok", id, result });
    }
  }

  class FakeWebSocket extends FakeSink {
    onopen = null;
    onmessage = null;
    onclose = null;
    readyState = 1;
    constructor(url, protocols) {
      super();
      this.url = url;
      this.protocols = protocols;
      world.sockets.push(this);
      queueMicrotask(() => (world.refuse || world.blocked ? this.drop(1006) : world.mute ? undefined : this.onopen?.()));
    }
    send(text) {
      const message = JSON.parse(text);
      this.take(message);
      if (message.type === "hello" && this.session) this.session.sink = this;
      queueMicrotask(() => world.server(message, this));
    }
    deliver(message) {
      if (!this.closed) this.onmessage?.({ data: JSON.stringify(message) });
    }
    close() {
      this.closed = true;
      if (this.session?.sink === this) this.session.sink = null;
    }
    /** For tests: the connection ends. */
    drop(code, reason = "") {
      if (this.session?.sink === this) this.session.sink = null;
      this.onclose?.({ code, reason });
    }
  }

  /** The HTTP connection of one session: requests come by POST, messages leave by a stream or a poll. */
  class FakeHttp extends FakeSink {
    down = null;
    waiting = [];
    deliver(message) {
      this.waiting.push(message);
      this.down?.(this);
    }
  }

  const aborted = (signal) => new Promise((_, reject) => signal?.addEventListener("abort", () => reject(new DOMException("aborted", "AbortError"))));

  async function answer(url, { method = "GET", headers = {}, body, signal, keepalive } = {}) {
    const path = new URL(url).pathname.replace(/.*\/v1\//, "");
    world.fetched.push({ method, path, headers, keepalive });
    await null;
    if (world.refuse || world.httpDown) throw new TypeError("fetch failed");
    if (path === "hello") {
      const http = new FakeHttp();
      world.https.push(http);
      const message = JSON.parse(body);
      http.take(message);
      world.server(message, http);
      if (http.session) http.session.sink = http;
      const said = http.waiting.splice(0);
      return Response.json(said.slice(0, 1));
    }
    const [id, secret] = headers.authorization.replace("Bearer ", "").split(".");
    const session = world.sessions.get(id);
    if (!session || secret !== "x") return Response.json({ code: "session_gone", message: "gone" }, { status: 401 });
    const http = world.https.findLast((one) => one.session === session);
    if (path === "send") {
      const messages = [JSON.parse(body)].flat();
      for (const message of messages) {
        http.take(message);
        world.server(message, http);
      }
      return new Response(null, { status: 202 });
    }
    http.waiting = session.said.filter(({ seq }) => seq > Number(headers["last-event-id"]));
    if (path === "sse") return new Response(stream(http, signal));
    // A poll.
    if (http.waiting.length === 0) {
      const heard = new Promise((resolve) => (http.down = resolve));
      const late = new Promise((resolve) => platform.setTimeout(resolve, 25_000));
      const cut = new Promise((_, reject) => (http.cut = () => reject(new TypeError("network error"))));
      cut.catch(() => {});
      await Promise.race([heard, late, cut, aborted(signal)]);
      http.down = null;
    }
    return http.waiting.length === 0 ? new Response(null, { status: 204 }) : Response.json(http.waiting.splice(0));
  }

  function stream(http, signal) {
    return new ReadableStream({
      start(controller) {
        const write = (text) => !signal.aborted && !world.buffered && controller.enqueue(new TextEncoder().encode(text));
        write(`: ${" ".repeat(2048)}\n\n`);
        http.down = () => {
          for (const message of http.waiting.splice(0)) write(`id: ${message.seq}\r\ndata: ${JSON.stringify(message)}\r\n\r\n`);
        };
        http.down();
        http.write = write;
        http.cut = () => {
          http.down = null;
          try {
            controller.error(new TypeError("network error"));
          } catch {
            // It has ended already.
          }
        };
        /** For tests: the stream ends, as a proxy ends it. */
        http.endStream = () => {
          http.down = null;
          controller.close();
        };
        signal.addEventListener("abort", () => {
          http.down = null;
          controller.error(new DOMException("aborted", "AbortError"));
        });
      },
    });
  }

  const platform = {
    RTCPeerConnection: FakePeerConnection,
    WebSocket: FakeWebSocket,
    fetch: (...request) => answer(...request),
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

  /** Ends whatever connection carries a session, as a network does that breaks. */
  world.cut = () => {
    for (const { sink } of world.sessions.values()) sink?.drop?.(1006) ?? sink?.cut?.();
  };
  /** Lets everything that is ready run. */
  world.settle = async () => {
    for (let round = 0; round < 4; round += 1) {
      for (let turn = 0; turn < 50; turn += 1) await null;
      await new Promise((resolve) => setImmediate(resolve));
    }
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

/**
 * A server that lets everybody in and answers everything, with the roster it is given. It resumes the sessions that
 * `world.sessions` has; with a `snapshot` it does so as after a restart.
 */
export function friendlyServer(world, { others = [], number = 1, identity = "me", iceServers = [], grants, epoch = 1, snapshot, chat } = {}) {
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
  const timing = { epoch, heartbeat_ms: 5000, resume_window_ms: 30_000 };
  return (message, socket) => {
    switch (message.type) {
      case "hello": {
        const { resume } = message;
        if (!resume) return socket.ok(message.id, { type: "welcome", version: 1, server: "fake/1", ...timing, session: socket.session.id, secret: "x" });
        const session = world.sessions.get(resume.session);
        if (!session) return socket.say({ seq: 0, type: "error", id: message.id, code: "session_gone", message: "gone" });
        if (snapshot) session.restart();
        const last = snapshot ? 0 : resume.last_seq;
        socket.say({ seq: 0, type: "ok", id: message.id, result: { type: "resumed", ...timing, next_seq: last + 1, snapshot } });
        return session.resume(socket, last);
      }
      case "join":
        return socket.ok(message.id, {
          type: "joined", session: socket.session.id, secret: "x", room: message.room,
          participant: { number, identity: message.identity ?? identity, name: message.name ?? "Me" },
          grants: grants ?? { publish: ["microphone", "camera", "screen", "screen_audio"], subscribe: true, data: true, moderate: false, hidden: false, record: false },
          participants: others, ice_servers: iceServers, chat, answer: answer(message.offer),
        });
      case "offer":
        return socket.ok(message.id, { type: "answered", ...answer(message) });
      case "chat":
        return socket.ok(message.id, { type: "chatted", line: { number: 1, participant: number, identity, name: "Me", text: message.text, sent_at_ms: 1, message_id: message.message_id } });
      case "chat_history":
        return socket.ok(message.id, { type: "history", lines: chat ?? [], more: false });
      default:
        return socket.ok(message.id, { type: "done" });
    }
  };
}
