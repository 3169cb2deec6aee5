/**
 * The Patchbay SDK: plain ES modules with types, no dependency, no build step.
 *
 * ```js
 * import { Room } from "./sdk/index.js";
 * const room = await Room.join("https://example.org", { room: "demo", name: "Guest" });
 * const camera = await room.publish(track, { source: "camera" });
 * const slot = room.videoSlot();
 * video.srcObject = slot.stream;
 * await slot.show(room.participants[0].camera);
 * ```
 */
export { Room } from "./room.js";
export { Participant, RemoteTrack } from "./participant.js";
export { Publication } from "./publication.js";
export { Slot } from "./slot.js";
export { PatchbayError, isTemporary } from "./errors.js";
export { ChatEvent, ConnectionStateEvent, ParticipantEvent, SpeakersEvent, StateChangeEvent, TrackEvent } from "./events.js";
export { Topic, TopicErrorEvent, TopicMessageEvent } from "./data/topic.js";
export { Files, IncomingFile, OfferEvent, OutgoingFile, ProgressEvent } from "./data/file.js";
