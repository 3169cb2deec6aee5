export { Room } from "./room.js";
export { Publication } from "./publication.js";
export { Slot } from "./slot.js";
export { Participant, RemoteTrack } from "./participant.js";
export { PatchbayError, isTemporary } from "./errors.js";
export { ChatEvent, ConnectionStateEvent, ParticipantEvent, SpeakersEvent, StateChangeEvent, TrackEvent } from "./events.js";
export { Topic, TopicErrorEvent, TopicMessageEvent } from "./data/topic.js";
export { Files, IncomingFile, OfferEvent, OutgoingFile, ProgressEvent } from "./data/file.js";
