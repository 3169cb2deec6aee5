/**
 * The room page: before, during and after a call.
 *
 * Links for automation: `/r/ROOM?name=Ada&join=1` joins at once; `video=0` and `audio=0` leave a device off, `video=360`
 * captures that many lines, `codec=vp9` publishes video in that codec alone. `window.patchbay.room` is the SDK's room.
 */
import { Lobby } from "./lobby.js";
import { LocalMedia } from "./local.js";
import { roomOfPath } from "./room-name.js";
import { loadSettings } from "./settings.js";

/** What only a call needs comes while one is still in front of the lobby. */
const callModule = import("./call.js");

const app = /** @type {HTMLElement} */ (document.getElementById("app"));
const query = new URLSearchParams(location.search);
const settings = loadSettings();
const lines = Number(query.get("video") ?? "");

/** @type {{room: import("../sdk/index.js").Room | null}} */
const automation = { room: null };
Object.assign(globalThis, { patchbay: automation });

const entry = {
  room: roomOfPath(location.pathname) ?? "",
  name: query.get("name") ?? settings.name,
  token: takeToken(),
};

const local = new LocalMedia({
  camera: query.get("video") === "0" ? false : query.has("join") || settings.wantsCamera,
  microphone: query.get("audio") === "0" ? false : query.has("join") || settings.wantsMicrophone,
  height: lines > 1 ? lines : undefined,
});

/** @param {unknown} [error] why the last try failed */
async function before(error) {
  document.title = entry.room ? `${entry.room} – Patchbay` : "Patchbay";
  const lobby = new Lobby({
    local, error, name: entry.name, token: entry.token, room: entry.room || null,
    onJoin: (chosen) => {
      lobby.close();
      Object.assign(entry, chosen);
      history.replaceState(null, "", `/r/${encodeURIComponent(entry.room)}`);
      during();
    },
  });
  app.replaceChildren(lobby.element);
  lobby.focus();
  if (!local.tracks.camera && !local.tracks.microphone) await local.openAll();
}

async function during() {
  document.title = `${entry.room} – Patchbay`;
  const { Call } = await callModule;
  // It may not be had when the call ends.
  const afterModule = import("./after.js");
  const call = new Call({
    entry, local, codec: query.get("codec") ?? undefined,
    onEnd: async ({ error, hasJoined }) => {
      automation.room = null;
      if (error && !hasJoined) return void before(error);
      local.closeAll();
      const { after } = await afterModule;
      const moment = after({ room: entry.room, error, onRejoin: async () => {
        await local.openAll();
        during();
      } });
      app.replaceChildren(moment.element);
      moment.focus();
    },
  });
  app.replaceChildren(call.element);
  await call.start();
  automation.room = call.room;
}

/** A token in the fragment is never sent to a server; it does not stay in the address either. */
function takeToken() {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const token = fragment.get("token") ?? "";
  if (token) history.replaceState(null, "", location.pathname + location.search);
  return token;
}

if (query.has("join") && entry.room) {
  entry.name ||= "Guest";
  await local.openAll();
  during();
} else {
  before();
}
