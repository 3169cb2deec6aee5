/** The chat panel and the room: what was said, what is said, and who types. Fetched with the panel. */
import { wordsFor } from "./words.js";

/** How many older lines come at a time. */
const PAGE = 50;

/**
 * @param {import("../sdk/room.js").Room} room
 * @param {import("./view/call-view.js").CallView} view
 */
export function showChat(room, view) {
  const { chat } = view;
  /** @type {Map<string, string>} */
  const typing = new Map();
  const tell = () => chat.setTyping([...typing.values()]);
  chat.follow({
    lines: room.chat,
    send: async (text) => {
      try {
        await room.sendChat(text);
      } catch (error) {
        view.toast({ title: "The message was not sent", text: wordsFor(error).text });
        throw error;
      }
    },
    // Others miss nothing if it gets lost.
    typing: (isTyping) => void room.presence.typing(isTyping).catch(() => {}),
    older: async (before) => {
      try {
        return await room.chatHistory({ before, limit: PAGE });
      } catch (error) {
        view.toast({ title: "Older messages did not come", text: wordsFor(error).text });
        throw error;
      }
    },
  });
  room.addEventListener("chat", (event) => {
    chat.add(/** @type {import("../sdk/index.js").ChatEvent} */ (event).line);
  });
  room.addEventListener("presence", (event) => {
    const { participant, typing: isTyping } = /** @type {Event & {participant: import("../sdk/index.js").Participant | null, typing: boolean}} */ (event);
    if (!participant || participant.isSelf) return;
    if (isTyping) typing.set(participant.identity, participant.name);
    else typing.delete(participant.identity);
    tell();
  });
  room.addEventListener("participantleft", (event) => {
    const { participant } = /** @type {import("../sdk/index.js").ParticipantEvent} */ (event);
    if (typing.delete(participant.identity)) tell();
  });
}
