/** What goes on beside the pictures: panels are wired when they open, and few are told that somebody waits or muted them. */

/**
 * @typedef {object} Beside
 * @property {import("../sdk/room.js").Room | null} room
 * @property {import("./view/call-view.js").CallView} view
 * @property {import("./local.js").LocalMedia} local
 * @property {import("./sound.js").Sound} sound
 * @property {(device: import("./local.js").Device) => void} apply brings what is published to what is wanted
 *
 * @typedef {{wired: Set<string>, toast: HTMLElement | null, waiting: string}} State
 */

/** @type {WeakMap<import("./view/call-view.js").CallView, State>} */
const states = new WeakMap();

/**
 * Brings what is beside the call to what is shown; to be called when a panel was opened and when the room was joined.
 * @param {Beside} beside
 */
export async function wire(beside) {
  const { room, view, local, sound, apply } = beside;
  const state = states.get(view) ?? { wired: new Set(), toast: null, waiting: "" };
  states.set(view, state);
  const { panel } = view;
  if (panel === "more") {
    const { showDevices } = await import("./choose.js");
    await showDevices(local, view.more, sound, apply);
  }
  if (!room) return;
  const isFirst = (/** @type {string} */ what) => !state.wired.has(what) && state.wired.add(what);
  if (isFirst("room")) {
    const look = () => tellWaiting(room, view, state);
    room.addEventListener("waitingchanged", look);
    room.addEventListener("trackmuted", (event) => tellMuted(/** @type {import("../sdk/index.js").TrackEvent} */ (event), beside));
    look();
  }
  if (panel === "chat") {
    const { showChat } = await import("./talk.js");
    if (isFirst("chat")) showChat(room, view);
  }
  if (panel === "people") {
    state.toast?.remove();
    const { showPeople } = await import("./people.js");
    if (isFirst("people")) showPeople(room, view);
  }
}

/**
 * Says quietly that somebody waits; the panel of people shows it by itself.
 * @param {import("../sdk/room.js").Room} room
 * @param {import("./view/call-view.js").CallView} view
 * @param {State} state
 */
function tellWaiting({ waiting, moderate }, view, state) {
  const key = waiting.map(({ participant }) => participant).join();
  if (key === state.waiting) return;
  state.waiting = key;
  state.toast?.remove();
  state.toast = null;
  if (waiting.length === 0 || view.panel === "people") return;
  const [first] = waiting;
  const isOne = waiting.length === 1;
  const open = () => view.panel === "people" || view.togglePanel("people");
  state.toast = view.toast({
    title: isOne ? first.name : `${waiting.length} people`,
    text: isOne ? "waits to be let in" : "wait to be let in",
    action: isOne ? "Let in" : "Show",
    onAction: () => isOne ? void moderate.admit(first).catch(open) : open(),
  });
}

/**
 * What a moderator silenced is off here, too.
 * @param {import("../sdk/index.js").TrackEvent} event
 * @param {Beside} beside
 */
function tellMuted({ track, participant, by }, { room, view, local, apply }) {
  if (!room || !participant.isSelf || !track.muted || by === undefined || by === participant.number) return;
  const name = room.participant(by)?.name ?? "A moderator";
  const { source } = track;
  if (source === "camera" || source === "microphone") {
    local.wants[source] = false;
    apply(source);
    view.toast({ title: source === "camera" ? "Your camera was turned off" : "Your microphone was muted", text: `${name} did it.` });
  } else if (source === "screen") {
    if (room.publication("screen")) import("./share.js").then(({ toggleShare }) => toggleShare(room)).catch(() => {});
    view.toast({ title: "Your screen is no longer shared", text: `${name} stopped it.` });
  }
}
