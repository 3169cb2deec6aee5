/** Why the server ended a stay, as an error. */
import { PatchbayError } from "./errors.js";

/** @type {Partial<Record<import("./protocol.js").LeaveReason, [string, string]>>} */
const LEFT = {
  replaced: ["replaced", "You joined this room somewhere else."],
  transport_lost: ["connection_lost", "The server received nothing from this browser for too long."],
  node_lost: ["connection_lost", "The media server went away."],
  shutdown: ["connection_lost", "The server is shutting down."],
  removed: ["removed", "You were asked to leave."],
  banned: ["banned", "You may not come back."],
  denied: ["denied", "You were not let in."],
  token_expired: ["token_expired", "The invitation has expired."],
  revoked: ["token_revoked", "The invitation was withdrawn."],
  room_closed: ["room_closed", "The room was closed."],
};

/** @param {import("./protocol.js").LeaveReason} reason */
export function leftError(reason) {
  return new PatchbayError(...(LEFT[reason] ?? /** @type {[string, string]} */ (["connection_lost", "The server ended the stay."])));
}
