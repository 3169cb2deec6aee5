/** What the page remembers on this device. Storage that is switched off is no error. */

const KEY = "patchbay";

/**
 * @typedef {{name: string, camera: string, microphone: string, speaker: string, wantsCamera: boolean, wantsMicrophone: boolean, connection: string}} Settings
 */

/** @type {Settings} */
const DEFAULTS = { name: "", camera: "", microphone: "", speaker: "", wantsCamera: true, wantsMicrophone: true, connection: "" };

/** @returns {Settings} */
export function loadSettings() {
  try {
    const stored = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    /** @type {Record<string, unknown>} */
    const settings = { ...DEFAULTS };
    for (const [name, value] of Object.entries(DEFAULTS)) {
      if (typeof stored?.[name] === typeof value) settings[name] = stored[name];
    }
    return /** @type {Settings} */ (/** @type {unknown} */ (settings));
  } catch {
    return { ...DEFAULTS };
  }
}

/** @param {Partial<Settings>} change */
export function saveSettings(change) {
  try {
    localStorage.setItem(KEY, JSON.stringify({ ...loadSettings(), ...change }));
  } catch {
    // Private windows may refuse; the settings then last as long as the page.
  }
}
