/** After the call: what happened, and one button back in. */
import { h } from "./dom.js";
import { logo } from "./icons.js";
import { wordsFor } from "./words.js";

/**
 * @param {{room: string, error?: unknown, onRejoin: () => void}} options
 */
export function after({ room, error, onRejoin }) {
  const { title, text } = error ? wordsFor(error) : { title: "You left the call", text: `The room ${room} stays open for as long as somebody is in it.` };
  const rejoin = h("button", { type: "button", class: "button button-primary", onclick: onRejoin }, "Join again");
  const element = h("div", { class: "lobby" },
    h("header", { class: "brand" }, logo(), "Patchbay"),
    h("main", { class: "after" }, h("h1", {}, title), h("p", {}, text),
      h("div", { class: "row" }, rejoin, h("a", { class: "button", href: "/" }, "Start another call"))));
  return { element, focus: () => rejoin.focus() };
}
