/**
 * In front of the dashboard: it asks for a token when the server wants one.
 */
import { h } from "../../app/dom.js";
import { refusalWords, SCOPES } from "../words.js";

/**
 * @param {import("../api.js").ApiError} error why the door is shut
 * @param {boolean} hadToken whether a token was refused, or none was given
 * @param {(token: string | null) => void} enter
 */
export function door(error, hadToken, enter) {
  const isAbsent = error.status === 404;
  const words = isAbsent ? { title: "Nothing to ask here", text: "This address has the page, but no API of a Patchbay server." } : hadToken ? refusalWords(error) : null;
  const token = h("input", { class: "input", id: "token", type: "password", autocomplete: "off", spellcheck: false, required: true, "aria-describedby": "token-hint" });
  if (words) token.setAttribute("aria-invalid", "true");
  const form = h("form", { class: "door-card", "data-code": error.code },
    h("div", { class: "door-head" }, h("img", { src: "/style/icon.svg", alt: "", width: 36, height: 36 }), h("h1", {}, "Dashboard")),
    h("p", { class: "dim" }, `What goes on at ${location.host}, as it happens.`),
    words ? h("div", { class: "notice", role: "alert" }, h("div", {}, h("strong", {}, words.title), words.text)) : null,
    h("div", { class: "field" }, h("label", { for: "token" }, "API token"), token,
      h("p", { class: "hint", id: "token-hint" }, "Whoever has the server's keys mints one:", h("code", { class: "command" }, `patchbay token --api ${SCOPES}`), "With rooms:write besides, rooms can be locked and closed, and people muted and removed. The token stays in this tab and is gone with it.")),
    h("button", { class: "button button-primary", type: "submit" }, "Open the dashboard"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const value = token.value.trim();
    if (value !== "") enter(value);
  });
  return { element: h("main", { class: "door" }, form), focus: () => token.focus() };
}
