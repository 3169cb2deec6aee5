/** Choosing devices during a call. Fetched with the panel that shows them. */
import { listDevices } from "./devices.js";
import { loadSettings, saveSettings } from "./settings.js";

/**
 * @param {import("./local.js").LocalMedia} local
 * @param {import("./view/more.js").MorePanel} panel
 * @param {import("./sound.js").Sound} sound
 * @param {(device: import("./local.js").Device) => void} apply brings what is published to what was chosen
 */
export async function showDevices(local, panel, sound, apply) {
  const { camera, microphone } = local.tracks;
  const settings = loadSettings();
  const chosen = { camera: camera?.getSettings().deviceId ?? settings.camera, microphone: microphone?.getSettings().deviceId ?? settings.microphone, speaker: settings.speaker };
  await panel.setDevices(await listDevices(), chosen, async (kind, id) => {
    if (kind === "speaker") {
      saveSettings({ speaker: id });
      sound.setSink(id);
      return;
    }
    const device = /** @type {import("./local.js").Device} */ (kind);
    await local.choose(device, id);
    apply(device);
  });
}
