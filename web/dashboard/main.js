/**
 * The operators' dashboard: what goes on at this server, as it happens.
 *
 * It asks the server's API and nobody else. The room that is looked at stands in the address (`#room=NAME`), the token never.
 */
import { announce, h, setText } from "../app/dom.js";
import { Api, ApiError, tokenStore } from "./api.js";
import { confirm } from "./view/confirm.js";
import { door } from "./view/door.js";
import { FeedView } from "./view/feed.js";
import { NodesView } from "./view/nodes.js";
import { OverviewView } from "./view/overview.js";
import { RoomView } from "./view/room.js";
import { RoomsView } from "./view/rooms.js";
import { Watch } from "./watch.js";
import { refusalWords, stateWords } from "./words.js";

/** Nothing is drawn more often. */
const DRAW_EVERY_MS = 200;

const app = /** @type {HTMLElement} */ (document.getElementById("app"));
/** Below, a room's details cover the page. */
const isNarrow = matchMedia("(max-width: 1099px)");

class Dashboard {
  #watch;
  #overview = new OverviewView();
  #nodes = new NodesView();
  #rooms = new RoomsView((name) => this.#look(name));
  #room = new RoomView((action) => this.#act(action), () => this.#look(null));
  #feed = new FeedView((name) => this.#look(name));
  #words = h("span", { class: "state-words" });
  #dot = h("span", { class: "dot", "aria-hidden": "true" });
  #server = h("span", { class: "dim ellipsis" });
  #retry = h("button", { type: "button", class: "button small", hidden: true }, "Ask now");
  #forget = h("button", { type: "button", class: "button button-quiet small" }, "Forget token");
  #main = h("main", { class: "dashboard" });
  #end = new AbortController();
  #isDue = new Set(["figures", "rooms", "room", "feed"]);
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #drawnAt = 0;

  /**
   * @param {Api} api
   * @param {(error: ApiError) => void} refused
   */
  constructor(api, refused) {
    this.#watch = new Watch(api);
    for (const type of ["figures", "rooms", "room", "feed"]) {
      this.#watch.addEventListener(type, () => {
        if (type === "figures") this.#figures();
        this.#isDue.add(type);
        this.#plan();
      });
    }
    this.#watch.addEventListener("state", () => {
      const { state } = this.#watch;
      if (state.kind === "refused" && state.error) return refused(state.error);
      this.#say();
      announce(stateWords({ ...state, retryAtMs: null }, Date.now(), null).replace(", asking now…", ". The page asks again by itself."));
      this.#isDue.add("feed");
      this.#plan();
    });
    this.#retry.addEventListener("click", () => this.#watch.retry());
    this.#forget.addEventListener("click", () => {
      tokenStore.set(null);
      open(null);
    });
    this.#forget.hidden = !api.hasToken;
    addEventListener("hashchange", () => this.#follow(), { signal: this.#end.signal });
    addEventListener("keydown", (event) => this.#key(event), { signal: this.#end.signal });
    isNarrow.addEventListener("change", () => this.#cover(), { signal: this.#end.signal });
    addEventListener("online", () => this.#watch.retry(), { signal: this.#end.signal });
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.#watch.retry(), { signal: this.#end.signal });
    const ticking = setInterval(() => this.#say(), 1_000);
    this.#end.signal.addEventListener("abort", () => clearInterval(ticking));

    this.#main.append(this.#overview.element, this.#nodes.element, h("div", { class: "columns" }, this.#rooms.element, h("div", { class: "side" }, this.#room.element, this.#feed.element)));
    this.element = h("div", { class: "page" },
      h("header", { class: "top" },
        h("img", { src: "/style/icon.svg", alt: "", width: 28, height: 28 }), h("h1", {}, "Dashboard"), this.#server,
        h("p", { class: "state" }, this.#dot, this.#words), this.#retry, this.#forget),
      this.#main);
  }

  start() {
    this.#follow();
    this.#say();
    this.#watch.start();
  }

  close() {
    this.#end.abort();
    this.#watch.close();
    clearTimeout(this.#timer);
  }

  #say() {
    const { state, figures } = this.#watch;
    setText(this.#words, stateWords(state, Date.now(), figures));
    this.#dot.className = `dot dot-${state.kind === "live" && figures?.draining ? "draining" : state.kind}`;
    this.#retry.hidden = state.kind !== "away";
    this.#main.classList.toggle("is-stale", state.kind === "away");
    setText(this.#server, [location.host, figures?.server].filter((part) => part).join(" · "));
    document.title = `${state.kind === "away" ? "Away – " : ""}Dashboard – Patchbay`;
  }

  #figures() {
    const { figures, state } = this.#watch;
    const now = Date.now();
    const isLive = state.kind === "live";
    this.#overview.update(now, isLive ? (figures?.overview ?? null) : null);
    if (isLive && figures) this.#nodes.update(now, figures.nodes);
    this.#say();
  }

  /** Draws soon, what changed, all at once. */
  #plan() {
    if (this.#timer !== undefined || this.#end.signal.aborted) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#drawnAt = Date.now();
      this.#draw();
    }, Math.max(0, this.#drawnAt + DRAW_EVERY_MS - Date.now()));
  }

  #draw() {
    const watch = this.#watch;
    const now = Date.now();
    const due = this.#isDue;
    this.#isDue = new Set();
    const words = (/** @type {import("./watch.js").Part} */ part) => {
      const error = watch.refused.get(part);
      return error ? `${refusalWords(error).title}: ${refusalWords(error).text}` : null;
    };
    if (due.has("rooms") || due.has("figures") || due.has("room")) {
      const open = watch.room?.name ?? null;
      this.#rooms.update(watch.rooms.values(), now, open, words("rooms") ?? (watch.hasRooms ? null : "Asking for the rooms…"));
      this.#room.update(watch.room, watch.room ? watch.rooms.get(watch.room.name) : undefined, now, watch.api.may("rooms:write"), words("room"));
      this.#cover();
    }
    if (due.has("feed")) this.#feed.update(watch.feed.entries, words("events"));
  }

  /** On a small window the details cover everything else, which is then out of reach of keyboard and screen reader. */
  #cover() {
    const isCovered = isNarrow.matches && this.#watch.room !== null;
    for (const part of [this.#overview.element, this.#nodes.element, this.#rooms.element, this.#feed.element]) part.inert = isCovered;
    document.documentElement.classList.toggle("is-covered", isCovered);
  }

  /** @param {string | null} name */
  #look(name) {
    const before = this.#watch.room?.name ?? null;
    history.replaceState(null, "", name === null ? location.pathname : `#room=${encodeURIComponent(name)}`);
    this.#follow();
    if (name !== null) this.#room.focus();
    else if (before !== null) this.#rooms.focusRoom(before);
  }

  /** Shows the room that the address names. */
  #follow() {
    const name = new URLSearchParams(location.hash.slice(1)).get("room");
    this.#watch.open(name || null);
    this.#isDue.add("room");
    this.#draw();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const isTyping = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement;
    if (event.key === "Escape" && this.#watch.room && !(isTyping && /** @type {HTMLInputElement} */ (event.target).value)) this.#look(null);
    else if (event.key === "/" && !isTyping) {
      event.preventDefault();
      this.#rooms.focusFilter();
    }
  }

  /** @param {import("./view/room.js").Action} action */
  #act(action) {
    const { path, method, body } = action;
    confirm(action, () => this.#watch.act(path, { method, body }), (error) => {
      if (!(error instanceof ApiError)) return String(error);
      if (error.isRefusal) return `${refusalWords(error).title}. ${refusalWords(error).text}`;
      return error.status === 404 ? "It is gone already." : error.message;
    });
  }
}

/** @type {Dashboard | null} */
let dashboard = null;

/**
 * Opens the dashboard with a token, or without: an open server wants none.
 * @param {string | null} token
 */
function open(token) {
  dashboard?.close();
  document.documentElement.classList.remove("is-covered");
  const api = new Api(location.origin, token);
  dashboard = new Dashboard(api, (error) => {
    dashboard?.close();
    dashboard = null;
    tokenStore.set(null);
    document.documentElement.classList.remove("is-covered");
    const entrance = door(error, token !== null, (given) => {
      tokenStore.set(given);
      open(given);
    });
    app.replaceChildren(entrance.element);
    entrance.focus();
  });
  app.replaceChildren(dashboard.element);
  dashboard.start();
}

open(tokenStore.get());
