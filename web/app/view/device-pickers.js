/** Which camera, microphone and speaker: in the lobby and in a call. */
import { h } from "../dom.js";

/**
 * Selects for the devices there are.
 * @param {Record<string, {id: string, label: string}[]>} devices
 * @param {Record<string, string>} chosen
 * @param {(kind: string, id: string) => void} onChoose
 */
export function devicePickers(devices, chosen, onChoose) {
  const names = /** @type {[string, string][]} */ ([["camera", "Camera"], ["microphone", "Microphone"], ["speaker", "Speaker"]]);
  return names.flatMap(([kind, label]) => {
    const list = devices[kind] ?? [];
    if (list.length === 0) return [];
    const select = h("select", { class: "input", id: `device-${kind}`, onchange: () => onChoose(kind, select.value) },
      ...list.map(({ id, label: text }) => h("option", { value: id }, text)));
    if (list.some(({ id }) => id === chosen[kind])) select.value = chosen[kind];
    return [h("div", { class: "field" }, h("label", { for: select.id }, label), select)];
  });
}
