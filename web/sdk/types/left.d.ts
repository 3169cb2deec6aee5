/** @param {import("./protocol.js").LeaveReason} reason */
export function leftError(reason: import("./protocol.js").LeaveReason): PatchbayError;
import { PatchbayError } from "./errors.js";
