/**
 * Shows the call view with made-up people, without a server: `/tests/harness.html?n=12&screen=1&panel=chat`.
 * Pictures come from canvases. `state=reconnecting|connecting|sharing`, `end=replaced|left` show those states,
 * `rtl=1` and `hostile=1` fill in such names.
 */
import { CallView } from "../app/view/call-view.js";
import { after } from "../app/after.js";
import { PatchbayError } from "../sdk/errors.js";

const query = new URLSearchParams(location.search);
const count = Number(query.get("n") ?? 2);
const names = query.has("rtl")
  ? ["ליאור בן־דוד", "محمد عبد الرحمن", "Ada Lovelace", "سارة", "יעל"]
  : query.has("hostile")
    ? ["<img src=x onerror=alert(1)>", "A very long name that goes on and on until nobody remembers how it began, 3rd", "🦊🦊", "&amp;<b>bold</b>", "\u202Ereversed"]
    : ["Ada Lovelace", "Grace Hopper", "Jun Itō", "Radia Perlman", "Noor Al-Amin", "Tomás Ribeiro", "Mei-Ling Chen", "Olu", "Ingrid Sørensen", "Pavel Novák", "Zoë", "Katherine Johnson", "李明", "Sam", "Priya Natarajan"];

function picture(index) {
  const canvas = document.createElement("canvas");
  canvas.width = 640;
  canvas.height = 360;
  const context = canvas.getContext("2d");
  const draw = () => {
    const hue = (index * 67) % 360;
    const wall = context.createLinearGradient(0, 0, 640, 360);
    wall.addColorStop(0, `hsl(${hue} 18% 62%)`);
    wall.addColorStop(1, `hsl(${hue + 30} 22% 38%)`);
    context.fillStyle = wall;
    context.fillRect(0, 0, 640, 360);
    context.fillStyle = `hsl(${hue + 180} 25% 30%)`;
    context.beginPath();
    context.ellipse(320, 380, 150, 130, 0, 0, 7);
    context.fill();
    context.fillStyle = `hsl(${20 + (index % 4) * 6} 45% ${45 + (index % 5) * 7}%)`;
    context.beginPath();
    context.ellipse(320, 175, 68, 86, 0, 0, 7);
    context.fill();
  };
  draw();
  setInterval(draw, 500);
  return canvas.captureStream(2);
}

function slide() {
  const canvas = document.createElement("canvas");
  canvas.width = 1600;
  canvas.height = 1000;
  const context = canvas.getContext("2d");
  const draw = () => {
    context.fillStyle = "#fff";
    context.fillRect(0, 0, 1600, 1000);
    context.fillStyle = "#17201c";
    context.font = "600 72px sans-serif";
    context.fillText("Quarterly figures", 120, 180);
    for (let bar = 0; bar < 6; bar += 1) {
      context.fillStyle = bar === 4 ? "#0b6b5c" : "#b9c6c0";
      context.fillRect(140 + bar * 220, 860 - (bar + 2) * 80, 140, (bar + 2) * 80);
    }
  };
  draw();
  setInterval(draw, 500);
  return canvas.captureStream(2);
}

const nothing = () => {};
const view = new CallView({
  microphone: nothing, camera: nothing, share: nothing, hand: nothing, leave: nothing, stateAction: nothing,
  visible: () => queueMicrotask(pictures), panel: nothing,
});
if (query.has("rtl")) document.documentElement.dir = "rtl";

const tiles = Array.from({ length: count }, (_, index) => {
  const isSelf = index === count - 1;
  const name = count > names.length && index >= names.length ? `${names[index % names.length]} ${Math.floor(index / names.length) + 1}` : names[index % names.length];
  return {
    key: isSelf ? "self/camera" : `camera/${index}`, identity: `person-${index}`, name, isSelf, isScreen: false,
    hasPicture: index % 4 !== 1, isMuted: index % 3 === 1, isSpeaking: index === 2 % Math.max(1, count - 1) && count > 1,
    hasHand: index === 3, quality: [3, 3, 2, 3, 1][index % 5], words: "",
  };
});
if (query.has("screen")) tiles.unshift({ ...tiles[0], key: "screen/0", isScreen: true, hasPicture: true, words: "" });

const streams = new Map();
function pictures() {
  tiles.forEach((tile, index) => {
    if (!tile.hasPicture || !view.stage.video(tile.key)) return;
    if (!streams.has(tile.key)) streams.set(tile.key, tile.isScreen ? slide() : picture(index));
    view.stage.setPicture(tile.key, streams.get(tile.key), true);
  });
}

const states = {
  reconnecting: { text: "Reconnecting (2 s)…", action: "Try now" },
  connecting: { text: "Connecting…" },
  sharing: { text: "You are sharing your screen", action: "Stop" },
};

if (query.has("end")) {
  const error = query.get("end") === "left" ? undefined : new PatchbayError(query.get("end"), "");
  document.getElementById("app").append(after({ room: "calm-otter-417", error, onRejoin: nothing }).element);
} else {
  document.getElementById("app").append(view.element);
  view.update({
    room: "calm-otter-417", link: `${location.origin}/r/calm-otter-417`, tiles, speakers: [], lastSpoke: () => 0, people: count,
    isAlone: count === 1, state: states[query.get("state")] ?? null,
    bar: { microphone: !query.has("muted"), camera: !query.has("muted"), sharing: query.get("state") === "sharing", hand: query.has("hand"), canShare: true, microphoneFault: false, cameraFault: false },
  });
  pictures();
  if (query.get("panel") === "chat") {
    const at = (minutes) => new Date(Date.UTC(2026, 0, 5, 10, minutes));
    const lines = [
      ["Ada Lovelace", "Can everybody see the slide?", 1], ["Grace Hopper", "Yes, very clear", 2],
      ["Grace Hopper", "https://example.org/notes/with-a-rather-long-address-that-has-to-wrap-somewhere", 2],
      ["<script>alert(1)</script>", "<img src=x onerror=alert(1)> & \"quotes\"", 5], ["محمد", "مرحبا بالجميع", 6],
    ].map(([name, text, minutes], index) => ({ number: 51 + index, name, text, sentAt: at(minutes) }));
    const older = Array.from({ length: 50 }, (_, index) => ({ number: 1 + index, name: names[index % 3], text: `Older line ${1 + index}`, sentAt: at(0) }));
    view.chat.follow({
      lines, typing: nothing,
      send: async (text) => view.chat.add({ number: 100, name: "You", text, sentAt: new Date() }),
      older: async () => ({ lines: older, more: false }),
    });
    view.chat.setTyping(["Ada Lovelace", "Grace Hopper"]);
    view.togglePanel("chat");
  }
  if (query.get("panel") === "people") {
    view.people.update({
      canModerate: query.has("moderate"), isLocked: query.has("locked"), hasWaitingRoom: true,
      waiting: [{ number: 91, name: "Katherine Johnson, who has a long name and waits" }, { number: 92, name: "李明" }],
      people: tiles.filter(({ isScreen }) => !isScreen).map((tile, index) => ({
        number: index + 1, identity: tile.identity, name: tile.name, isSelf: tile.isSelf, hasHand: tile.hasHand, isAway: index === 4,
        isMuted: tile.isMuted, hasSound: !tile.isMuted, hasPicture: tile.hasPicture,
      })),
    });
    view.togglePanel("people");
  }
  if (query.get("panel") === "more") {
    view.more.setDevices({ camera: [{ id: "a", label: "FaceTime HD Camera" }], microphone: [{ id: "b", label: "Built-in microphone with a long name" }], speaker: [] }, {}, nothing);
    for (let step = 0; step < 40; step += 1) {
      view.more.setFigures([
        { title: "To the server", rows: [["Round trip", "24 ms"], ["Signaling", "25 ms"], ["Path", "UDP, direct"], ["Encryption", "AEAD-AES-128-GCM"]], value: 24 + 6 * Math.sin(step / 3) },
        { title: "Your camera", rows: [["Bitrate", "1.2 Mbit/s"], ["Picture", "1280 × 720, 30 fps"], ["Loss", "0.0 %"], ["Codec", "VP8"]], value: 1.2e6 + 2e5 * Math.sin(step / 2) },
        { title: "Ada Lovelace, picture", rows: [["Bitrate", "840 kbit/s"], ["Picture", "640 × 360, 24 fps"], ["Loss", "0.2 %"], ["Jitter", "8 ms"], ["Codec", "VP8"]], value: 8.4e5 + 2e5 * Math.cos(step / 4) },
      ]);
    }
    view.togglePanel("more");
  }
  if (query.has("toast")) view.toast({ title: "Your camera is used by another program", text: "Close the other program, then try again. You can join without.", action: "Try again" });
}
