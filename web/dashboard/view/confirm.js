/**
 * Asks before something is done to others, does it, and says how it went.
 */
import { announce, h, setText } from "../../app/dom.js";

/**
 * @param {import("./room.js").Action} action
 * @param {() => Promise<unknown>} perform
 * @param {(error: unknown) => string} wordsFor
 */
export function confirm(action, perform, wordsFor) {
  const before = document.activeElement;
  const failure = h("p", { class: "notice", role: "alert", hidden: true });
  const cancel = h("button", { type: "button", class: "button" }, "Cancel");
  const go = h("button", { type: "submit", class: `button ${action.isDanger ? "button-danger" : "button-primary"}` }, action.verb);
  const form = h("form", { method: "dialog", class: "confirm-form" }, h("h2", { id: "confirm-title" }, action.title), h("p", { id: "confirm-text" }, action.text), failure, h("div", { class: "confirm-bar" }, cancel, go));
  const dialog = h("dialog", { class: "confirm", "aria-labelledby": "confirm-title", "aria-describedby": "confirm-text" }, form);
  cancel.addEventListener("click", () => dialog.close());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    go.disabled = true;
    try {
      await perform();
      dialog.close();
      announce(action.done);
    } catch (error) {
      setText(failure, wordsFor(error));
      failure.hidden = false;
      go.disabled = false;
    }
  });
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (before instanceof HTMLElement && before.isConnected) before.focus();
  });
  document.body.append(dialog);
  dialog.showModal();
  cancel.focus();
}
