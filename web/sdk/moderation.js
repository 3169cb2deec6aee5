/** What a moderator can do. Every method resolves when the server has done it, or rejects with its code. */

/** @typedef {import("./participant.js").Participant} Participant */

export class Moderation {
  #request;

  /** @param {(request: import("./protocol.js").ClientRequest) => Promise<unknown>} request */
  constructor(request) {
    this.#request = request;
  }

  /** Silences a track. Its owner may unmute it. @param {{id: number}} track */
  mute(track) {
    return this.#do({ action: "mute", track: track.id });
  }
  /** Mutes camera and screen, until the participant is promoted anew. @param {Participant} participant */
  stopVideo(participant) {
    return this.#do({ action: "stop_video", participant: participant.number });
  }
  /** Sends somebody out, who may join again. @param {Participant} participant */
  remove(participant) {
    return this.#do({ action: "remove", participant: participant.number });
  }
  /** Sends somebody out for good. @param {Participant} participant */
  ban(participant) {
    return this.#do({ action: "ban", participant: participant.number });
  }
  /** Lets a banned identity in again. @param {string} identity */
  unban(identity) {
    return this.#do({ action: "unban", identity });
  }
  /** Lets somebody in who waits. @param {{participant: number}} waiting from `room.waiting` */
  admit({ participant }) {
    return this.#do({ action: "admit", participant });
  }
  /** Sends somebody away who waits. @param {{participant: number}} waiting from `room.waiting` */
  deny({ participant }) {
    return this.#do({ action: "deny", participant });
  }
  /**
   * Changes what somebody may do.
   * @param {Participant} participant
   * @param {import("./protocol.js").Grants} grants all of them
   */
  promote(participant, grants) {
    return this.#do({ action: "promote", participant: participant.number, grants });
  }
  /** Lowers a raised hand. @param {Participant} participant */
  lowerHand(participant) {
    return this.#do({ action: "lower_hand", participant: participant.number });
  }
  /**
   * Changes the room: what is absent stays, an attribute that is null goes.
   * @param {{metadata?: unknown, attributes?: Record<string, string | null>, locked?: boolean, waitingRoom?: boolean, maxParticipants?: number}} changes
   */
  updateRoom({ metadata, attributes, locked, waitingRoom, maxParticipants }) {
    return this.#do({ action: "update_room", metadata, attributes, locked, waiting_room: waitingRoom, max_participants: maxParticipants });
  }
  /** Sends everybody out and ends the room. */
  closeRoom() {
    return this.#do({ action: "close_room" });
  }

  /** @param {import("./protocol.js").ModerationAction} action */
  async #do(action) {
    await this.#request({ type: "moderate", ...action });
  }
}
