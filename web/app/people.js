/** The panel of people and the room: who is there, who waits, and what moderators do. Fetched with the panel. */
import { announce } from "./dom.js";
import { wordsFor } from "./words.js";

const EVENTS = ["participantjoined", "participantleft", "participantupdated", "trackpublished", "trackunpublished", "trackmuted", "presence",
  "waitingchanged", "roomupdated", "grantschanged", "statechange"];

/**
 * @param {import("../sdk/room.js").Room} room
 * @param {import("./view/call-view.js").CallView} view
 */
export function showPeople(room, view) {
  const { moderate } = room;
  /** @param {number} number */
  const participant = (number) => {
    const found = room.participant(number);
    if (!found) throw new Error("They have left.");
    return found;
  };
  /** @type {Record<import("./view/people.js").PeopleAction, (number: number) => Promise<unknown>>} */
  const actions = {
    mute: async (number) => {
      const { microphone, screenAudio } = participant(number);
      for (const track of [microphone, screenAudio]) if (track && !track.muted) await moderate.mute(track);
    },
    stopVideo: async (number) => moderate.stopVideo(participant(number)),
    lowerHand: async (number) => moderate.lowerHand(participant(number)),
    remove: async (number) => moderate.remove(participant(number)),
    ban: async (number) => moderate.ban(participant(number)),
    admit: (number) => moderate.admit({ participant: number }),
    deny: (number) => moderate.deny({ participant: number }),
    lock: () => moderate.updateRoom({ locked: true }),
    unlock: () => moderate.updateRoom({ locked: false }),
    letWait: () => moderate.updateRoom({ waitingRoom: true }),
    letIn: () => moderate.updateRoom({ waitingRoom: false }),
  };
  let isScheduled = false;
  const update = () => {
    isScheduled = false;
    view.people.update(modelOf(room));
  };
  // Many may come at once.
  const schedule = () => {
    if (isScheduled) return;
    isScheduled = true;
    setTimeout(update, 50);
  };
  view.people.follow(async (action, number = 0, done = "") => {
    try {
      await actions[action](number);
      if (done) announce(done);
    } catch (error) {
      view.toast({ title: "That did not work", text: wordsFor(error).text });
    }
    schedule();
  });
  for (const type of EVENTS) room.addEventListener(type, schedule);
  update();
}

/**
 * @param {import("../sdk/room.js").Room} room
 * @returns {import("./view/people.js").PeopleModel}
 */
function modelOf(room) {
  const everybody = [...(room.self ? [room.self] : []), ...room.participants];
  const canModerate = room.grants?.moderate ?? false;
  return {
    canModerate,
    isLocked: room.info?.locked ?? false,
    hasWaitingRoom: room.info?.waiting_room ?? false,
    waiting: canModerate ? room.waiting.map(({ participant, name, identity }) => ({ number: participant, name: name || identity })) : [],
    people: everybody.map(({ number, identity, name, isSelf, handRaised, presence, camera, microphone, screen, screenAudio }) => ({
      number, identity, name, isSelf,
      hasHand: handRaised,
      isAway: presence === "away",
      isMuted: isSelf ? room.publication("microphone")?.muted ?? true : !microphone || microphone.muted,
      hasSound: [microphone, screenAudio].some((track) => track && !track.muted),
      hasPicture: [camera, screen].some((track) => track && !track.muted),
    })).sort((a, b) => Number(b.isSelf) - Number(a.isSelf) || Number(b.hasHand) - Number(a.hasHand) || a.name.localeCompare(b.name) || a.number - b.number),
  };
}
