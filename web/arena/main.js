/**
 * The arena: a small shared world over data channels alone, to be tried by hand, on a phone, and with bots by the hundred.
 *
 * Links for automation: `/arena?room=NAME&name=Ada&join=1` enters at once. `window.patchbay` has the SDK's room and the game.
 */
import { announce, h } from "../app/dom.js";
import { wordsFor } from "../app/words.js";
import { Room } from "../sdk/index.js";
import { Game } from "./game.js";
import { Hud } from "./hud.js";
import { Input } from "./input.js";
import { View } from "./view.js";

const app = /** @type {HTMLElement} */ (document.getElementById("app"));
const query = new URLSearchParams(location.search);
const roomName = /^[\w-][\w.-]{0,63}$/.test(query.get("room") ?? "") ? /** @type {string} */ (query.get("room")) : "arena";
const NAME_KEY = "patchbay.name";

/** @type {{room: Room | null, game: Game | null}} */
const automation = { room: null, game: null };
Object.assign(globalThis, { patchbay: automation });

/** @param {unknown} [error] why the last try failed */
function before(error) {
  const words = error === undefined ? null : wordsFor(error);
  const name = h("input", { class: "input", id: "name", maxLength: 40, autocomplete: "nickname", value: query.get("name") ?? localStorage.getItem(NAME_KEY) ?? "", required: true });
  const token = h("input", { class: "input", id: "token", type: "password", autocomplete: "off" });
  const form = h("form", { class: "arena-card" },
    h("h1", {}, "Arena"),
    h("p", { class: "hint" }, `A small world for everybody in “${roomName}”. Movement goes over data channels, as fast as the network is.`),
    words && h("div", { class: "notice", role: "alert" }, h("div", {}, h("strong", {}, words.title), words.text)),
    h("div", { class: "field" }, h("label", { for: "name" }, "Your name"), name),
    words ? h("div", { class: "field" }, h("label", { for: "token" }, "Token, if the server asks for one"), token) : null,
    h("button", { class: "button button-primary", type: "submit" }, "Enter the arena"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    localStorage.setItem(NAME_KEY, name.value);
    enter(name.value.trim() || "Guest", token.value || undefined);
  });
  app.replaceChildren(h("main", { class: "arena-lobby" }, form));
  name.focus();
}

/**
 * @param {string} name
 * @param {string} [token]
 */
async function enter(name, token) {
  app.replaceChildren(h("main", { class: "arena-lobby" }, h("p", { role: "status" }, "Connecting…")));
  try {
    const room = await Room.join(location.origin, { room: roomName, name, token, slots: { audio: 0, video: 0 } });
    during(room);
  } catch (error) {
    before(error);
  }
}

/** @param {Room} room */
function during(room) {
  const game = new Game(room);
  Object.assign(automation, { room, game });
  const canvas = h("canvas", { class: "arena-canvas", tabIndex: 0, "aria-label": "The arena. You are in the middle." });
  const view = new View(canvas);
  const hud = new Hud({
    room: roomName,
    onRing: () => game.ring(),
    onCopy: () => navigator.clipboard.writeText(new URL(`/arena?room=${encodeURIComponent(roomName)}`, location.href).href),
    onLeave: () => room.close(),
  });
  const input = new Input(canvas, { onRing: () => game.ring(), onStick: (stick) => hud.showStick(stick) });
  app.replaceChildren(h("main", { class: "arena" }, canvas, hud.element));

  let last = performance.now();
  let isOver = false;
  const frame = (/** @type {number} */ now) => {
    if (isOver) return;
    game.advance(input.wish, (now - last) / 1_000, view.window);
    last = now;
    view.draw(game);
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
  // A page in the background draws nothing, but is still there for others.
  const background = setInterval(() => {
    if (document.hidden) game.advance({ x: 0, y: 0 }, 0, view.window);
  }, 500);
  const seconds = setInterval(() => {
    hud.update(game, room.participants.length + 1);
    hud.say(words(room, game));
  }, 1_000);
  hud.update(game, room.participants.length + 1);
  room.addEventListener("participantjoined", (event) => announce(`${/** @type {import("../sdk/events.js").ParticipantEvent} */ (event).participant.name} came in`));
  room.addEventListener("statechange", (event) => {
    const { state, error } = /** @type {import("../sdk/events.js").StateChangeEvent} */ (event);
    if (state !== "closed") return;
    isOver = true;
    clearInterval(background);
    clearInterval(seconds);
    input.close();
    game.close();
    Object.assign(automation, { room: null, game: null });
    before(error);
  });
}

/**
 * @param {Room} room
 * @param {Game} game
 */
function words(room, game) {
  if (room.state === "reconnecting") return "Reconnecting…";
  if (game.state !== "open") return "Looking for a path to the server…";
  return game.isFallback ? "No direct path to the server: everything goes over the signaling connection, a little slower." : null;
}

if (query.has("join")) enter(query.get("name") ?? "Guest");
else before();
