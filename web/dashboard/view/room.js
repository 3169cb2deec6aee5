/**
 * One room: who is in it and with what, and what an operator can do about it.
 */
import { h, setAttribute, setText } from "../../app/dom.js";
import { icon } from "../../app/icons.js";
import { hueOf, initials } from "../../app/person.js";
import { duration, plural } from "../format.js";
import { arrangePeople, readPerson } from "../person.js";

/** @typedef {import("../person.js").Person} Person */
/** @typedef {import("../order.js").RoomRow} RoomRow */
/** @typedef {{title: string, text: string, verb: string, isDanger: boolean, path: string, method: string, body?: unknown, done: string}} Action something to be confirmed */

/** @type {Record<string, [on: string, off: string, name: string]>} */
const SOURCES = {
  microphone: ["microphone", "microphone-off", "Microphone"],
  camera: ["camera", "camera-off", "Camera"],
  screen: ["screen", "screen", "Screen"],
  screen_audio: ["details", "details", "Screen's sound"],
};
/** @type {Record<string, string>} */
const KINDS = { websocket: "WebSocket", sse: "SSE", poll: "polling", whip: "WHIP", whep: "WHEP" };

class PersonRow {
  #name = h("span", { class: "person-name ellipsis" });
  #facts = h("span", { class: "person-facts dim" });
  #tracks = h("span", { class: "person-tracks" });
  #actions = h("span", { class: "person-actions" });
  #face;
  #print = "";
  #act;

  /**
   * @param {string} identity
   * @param {(action: Action) => void} act
   */
  constructor(identity, act) {
    this.#act = act;
    this.#face = h("span", { class: "face", "aria-hidden": "true" });
    this.#face.style.setProperty("--hue", String(hueOf(identity)));
    this.element = h("li", { class: "person", "data-identity": identity }, this.#face, h("span", { class: "person-words" }, this.#name, this.#facts), this.#tracks, this.#actions);
  }

  /**
   * @param {Person} person
   * @param {string} room
   * @param {number} now
   * @param {boolean} mayAct
   */
  update(person, room, now, mayAct) {
    setText(this.#face, initials(person.name));
    setText(this.#name, person.name);
    this.#name.title = person.name === person.identity ? person.name : `${person.name} (${person.identity})`;
    const facts = [
      person.isWaiting && "waits to be let in",
      person.hasHand && "hand up",
      person.isLost ? "connection lost, may come back" : person.isAway && "away",
      person.name !== person.identity && person.identity,
      KINDS[person.connection] ?? person.connection,
      person.joinedAtMs !== null && `for ${duration(now - person.joinedAtMs)}`,
    ];
    setText(this.#facts, facts.filter((fact) => fact).join(" · "));
    this.element.classList.toggle("is-waiting", person.isWaiting);
    this.element.classList.toggle("is-away", person.isAway || person.isLost);
    const print = JSON.stringify([person.tracks, person.isWaiting, person.name, mayAct]);
    if (print === this.#print) return;
    this.#print = print;
    this.#draw(person, room, mayAct);
  }

  /**
   * @param {Person} person
   * @param {string} room
   * @param {boolean} mayAct
   */
  #draw(person, room, mayAct) {
    const focused = this.element.contains(document.activeElement) ? document.activeElement?.getAttribute("data-act") : null;
    const path = `/rooms/${encodeURIComponent(room)}/participants/${encodeURIComponent(person.identity)}`;
    this.#tracks.replaceChildren(...person.tracks.map((track) => {
      const source = SOURCES[track.source]?.[2].toLowerCase();
      if (!mayAct || track.muted || source === undefined) return trackMark(track);
      return this.#button(`Mute ${source}`, person.name, trackMark(track), {
        title: `Mute ${person.name}?`, text: `Nobody will get anything from: ${source}. They are told, and may unmute themselves.`, verb: "Mute", isDanger: false,
        path: `${path}/mute`, method: "POST", body: { source: track.source, muted: true }, done: `${person.name}: ${source} muted`,
      });
    }));
    /** @type {[string, Action][]} */
    const actions = !mayAct ? [] : person.isWaiting
      ? [
        ["Let in", { title: `Let ${person.name} in?`, text: `They are waiting in front of ${room}.`, verb: "Let in", isDanger: false, path: `${path}/admit`, method: "POST", done: `${person.name} was let in` }],
        ["Deny", { title: `Send ${person.name} away?`, text: `They are waiting in front of ${room}.`, verb: "Deny", isDanger: true, path: `${path}/deny`, method: "POST", done: `${person.name} was not let in` }],
      ]
      : [["Remove", { title: `Remove ${person.name}?`, text: `They leave ${room} at once. They may join again with the same token.`, verb: "Remove", isDanger: true, path, method: "DELETE", done: `${person.name} was removed` }]];
    this.#actions.replaceChildren(...actions.map(([label, action]) => this.#button(label, person.name, label, action)));
    if (focused) /** @type {HTMLElement | null} */ (this.element.querySelector(`[data-act="${focused}"]`) ?? this.element.querySelector("[data-act]"))?.focus();
  }

  /**
   * @param {string} label
   * @param {string} name whom it is about
   * @param {Node | string} face what is on it
   * @param {Action} action
   */
  #button(label, name, face, action) {
    const isMark = typeof face !== "string";
    const button = h("button", { type: "button", class: `button small${isMark ? " track-button" : ""}${action.isDanger ? " button-danger-quiet" : ""}`, "aria-label": `${label}: ${name}`, "data-act": label }, face);
    if (isMark) button.title = `${label}…`;
    button.addEventListener("click", () => this.#act(action));
    return button;
  }
}

/** @param {import("../person.js").Track} track */
function trackMark({ source, kind, muted }) {
  const [on, off, name] = SOURCES[source] ?? [kind === "audio" ? "microphone" : "camera", kind === "audio" ? "microphone-off" : "camera-off", source];
  const words = `${name}, ${muted ? "muted" : "on"}`;
  const mark = h("span", { class: muted ? "track is-muted" : "track", role: "img", "aria-label": words, title: words }, icon(muted ? off : on));
  if (muted && on === off) mark.classList.add("is-struck");
  return mark;
}

export class RoomView {
  #title = h("h2", { id: "room-title", tabIndex: -1, class: "ellipsis" });
  #facts = h("p", { class: "dim room-facts" });
  #people = h("ul", { class: "people", "aria-label": "Participants" });
  #empty = h("p", { class: "empty" });
  #hint = h("p", { class: "dim hint-line" }, "To act on rooms, use a token with rooms:write.");
  #lock = h("button", { type: "button", class: "button small", "data-act": "lock" });
  #end = h("button", { type: "button", class: "button small button-danger-quiet", "data-act": "close" }, "Close room…");
  #visit = h("a", { class: "button small", target: "_blank", rel: "noopener" }, icon("link"), "Open its page");
  #bar = h("div", { class: "room-bar" }, this.#lock, this.#visit, this.#end);
  element;
  /** @type {Map<string, PersonRow>} */
  #rows = new Map();
  #name = "";
  #isLocked = false;
  #act;

  /**
   * @param {(action: Action) => void} act
   * @param {() => void} close
   */
  constructor(act, close) {
    this.#act = act;
    const button = h("button", { type: "button", class: "button button-quiet icon-button", "aria-label": "Close the details" }, icon("close"));
    button.addEventListener("click", close);
    this.element = h("section", { class: "panel room-panel", "aria-labelledby": "room-title", hidden: true },
      h("header", { class: "panel-head" }, h("div", { class: "room-head" }, this.#title, this.#facts), button), this.#bar, this.#hint, this.#people, this.#empty);
    this.#lock.addEventListener("click", () => {
      const locked = !this.#isLocked;
      this.#act({
        title: locked ? `Lock ${this.#name}?` : `Unlock ${this.#name}?`, text: locked ? "Nobody else can join. Who is in it stays." : "Everybody whose token allows it can join again.", verb: locked ? "Lock" : "Unlock", isDanger: false,
        path: `/rooms/${encodeURIComponent(this.#name)}`, method: "PATCH", body: { locked }, done: `${this.#name} is ${locked ? "locked" : "unlocked"}`,
      });
    });
    this.#end.addEventListener("click", () => this.#act({
      title: `Close ${this.#name}?`, text: "Everybody in it is removed, and told that the room was closed.", verb: "Close room", isDanger: true,
      path: `/rooms/${encodeURIComponent(this.#name)}`, method: "DELETE", done: `${this.#name} was closed`,
    }));
  }

  focus() {
    this.#title.focus();
  }

  /**
   * @param {{name: string, people: any[] | null, isGone: boolean} | null} room
   * @param {RoomRow | undefined} facts
   * @param {number} now by the server's clock
   * @param {boolean} mayAct
   * @param {string | null} refused why there are no participants to be seen
   */
  update(room, facts, now, mayAct, refused) {
    this.element.hidden = room === null;
    if (!room) return;
    if (room.name !== this.#name) {
      this.#name = room.name;
      this.#rows.clear();
      this.#people.replaceChildren();
    }
    setText(this.#title, room.name);
    this.#title.title = room.name;
    const people = arrangePeople((room.people ?? []).map(readPerson));
    const waiting = people.filter(({ isWaiting }) => isWaiting).length;
    const words = room.isGone ? ["closed"] : [
      room.people === null ? null : plural(people.length - waiting, "participant"),
      waiting > 0 ? `${waiting} waiting` : null,
      facts?.createdAtMs ? `open for ${duration(now - facts.createdAtMs)}` : null,
      facts?.node ? `on ${facts.node}` : null,
      facts?.locked ? "locked" : null,
      facts?.maxParticipants ? `room for ${facts.maxParticipants}` : null,
    ];
    setText(this.#facts, words.filter((word) => word !== null).join(" · "));
    this.#isLocked = facts?.locked ?? false;
    setText(this.#lock, this.#isLocked ? "Unlock…" : "Lock…");
    this.#bar.hidden = room.isGone;
    this.#lock.hidden = this.#end.hidden = !mayAct;
    this.#hint.hidden = mayAct || room.isGone;
    setAttribute(this.#visit, "href", `/r/${encodeURIComponent(room.name)}`);
    const identities = new Set(people.map(({ identity }) => identity));
    for (const [identity, row] of this.#rows) {
      if (identities.has(identity)) continue;
      row.element.remove();
      this.#rows.delete(identity);
    }
    people.forEach((person, index) => {
      let row = this.#rows.get(person.identity);
      if (!row) {
        row = new PersonRow(person.identity, this.#act);
        this.#rows.set(person.identity, row);
      }
      row.update(person, room.name, now, mayAct);
      if (this.#people.children[index] !== row.element) this.#people.insertBefore(row.element, this.#people.children[index] ?? null);
    });
    this.#empty.hidden = people.length > 0;
    setText(this.#empty, refused ?? (room.people === null ? "Asking who is there…" : room.isGone ? "This room is closed. It opens again when somebody joins it." : "Nobody is in this room now."));
  }
}
