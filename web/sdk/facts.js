/** What the server says of the room as a whole, of one's own rights and of who waits: kept, and told when it changes. */
import { roomEvent } from "./events.js";

export class Facts {
  #tell;
  /** What the own client may do, once joined. @type {import("./protocol.js").Grants | null} */
  grants = null;
  /** Metadata, attributes, lock and bounds, once joined. @type {import("./protocol.js").RoomInfo | null} */
  info = null;
  /** Who waits to be admitted, for moderators. @type {readonly import("./protocol.js").WaitingParticipant[]} */
  waiting = [];

  /** @param {(event: Event) => void} tell */
  constructor(tell) {
    this.#tell = tell;
  }

  /** @param {import("./protocol.js").Snapshot} joined */
  take(joined) {
    this.grants = joined.grants;
    this.info = joined.room_info ?? null;
    this.waiting = joined.waiting ?? [];
  }

  /** Tells everything, as after a restart of the server. */
  tellAll() {
    this.#tell(roomEvent("roomupdated", { info: this.info }));
    this.#tell(roomEvent("waitingchanged", { waiting: this.waiting }));
  }

  /**
   * @param {import("./protocol.js").ServerMessage} message
   * @returns {boolean} whether it was for here
   */
  receive(message) {
    switch (message.type) {
      case "room_updated":
        this.info = message.room;
        this.#tell(roomEvent("roomupdated", { info: this.info }));
        return true;
      case "grants_changed":
        this.grants = message.grants;
        this.#tell(roomEvent("grantschanged", { grants: this.grants }));
        return true;
      case "token_expiring":
        this.#tell(roomEvent("tokenexpiring", { expiresAt: new Date(message.expires_at_ms) }));
        return true;
      case "participant_waiting":
      case "participant_waiting_ended":
        this.waiting = this.waiting.filter(({ participant }) => participant !== message.participant);
        if (message.type === "participant_waiting") this.waiting = [...this.waiting, message];
        this.#tell(roomEvent("waitingchanged", { waiting: this.waiting }));
        return true;
      default:
        return false;
    }
  }
}
