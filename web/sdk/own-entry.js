/** What others were told of oneself: the server tells changes to everybody else only, and forgets them with a session. */
import { kindOf } from "./protocol.js";

export class OwnEntry {
  /** @type {boolean | undefined} */
  #isHandRaised;
  /** @type {Record<string, string> | undefined} */
  #attributes;

  /** @param {{handRaised?: boolean, attributes?: Record<string, string | null>}} change an attribute that is null goes */
  change({ handRaised = this.#isHandRaised, attributes }) {
    this.#isHandRaised = handRaised;
    if (!attributes) return;
    const kept = Object.entries({ ...this.#attributes, ...attributes }).filter(([, text]) => text !== null);
    this.#attributes = /** @type {Record<string, string>} */ (Object.fromEntries(kept));
  }

  /** What another session has to be told, if anything. @returns {import("./protocol.js").ClientRequest | null} */
  get request() {
    if (this.#isHandRaised === undefined && !this.#attributes) return null;
    return { type: "update", hand_raised: this.#isHandRaised, attributes: this.#attributes };
  }

  /**
   * The change that brings the own entry up to date, if it is not.
   * @param {import("./roster.js").RosterEntry} self as it stands in the roster
   * @param {readonly import("./publication.js").Publication[]} publications
   * @param {{name?: string, metadata?: unknown}} changes
   * @returns {import("./protocol.js").ServerEvent | null}
   */
  update(self, publications, { name = self.name, metadata = self.metadata }) {
    const tracks = publications.flatMap(({ id, source, muted }) => (id === null ? [] : [{ id, source, kind: kindOf(source), muted }]));
    const after = { ...self, name, metadata, tracks, handRaised: this.#isHandRaised ?? self.handRaised, attributes: this.#attributes ?? self.attributes };
    if (JSON.stringify(after) === JSON.stringify(self)) return null;
    return { type: "participant_updated", participant: { ...after, hand_raised: after.handRaised } };
  }
}
