/** The colours of the design tokens are readable together (WCAG 2.2 AA), in light and in dark. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

const css = await readFile(new URL("../style/tokens.css", import.meta.url), "utf8");
const [light, dark] = css.split("@media (prefers-color-scheme: dark)");
const tokens = (text) => Object.fromEntries([...text.matchAll(/--([\w-]+):\s*(#[0-9a-f]{6})/g)].map(([, name, value]) => [name, value]));

function luminance(hex) {
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255).map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a, b) {
  const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (high + 0.05) / (low + 0.05);
}

const TEXT = [
  ["text", "ground"], ["text", "surface"], ["text", "raised"], ["text", "sunken"], ["text-dim", "ground"], ["text-dim", "surface"], ["text-dim", "raised"],
  ["on-accent", "accent"], ["on-accent", "accent-hover"], ["on-danger", "danger"], ["accent", "accent-soft"], ["text", "warn-soft"], ["ground", "text"], ["ground", "text-dim"],
];
/** Parts of controls need 3:1. */
const PARTS = [["ring", "ground"], ["ring", "surface"], ["line-strong", "surface"], ["danger", "ground"], ["accent", "sunken"]];

for (const [scheme, values] of [["light", tokens(light)], ["dark", { ...tokens(light), ...tokens(dark) }]]) {
  test(`${scheme} colours can be read`, () => {
    for (const [front, back] of TEXT) {
      const ratio = contrast(values[front], values[back]);
      assert.ok(ratio >= 4.5, `${front} on ${back}: ${ratio.toFixed(2)}`);
    }
    for (const [front, back] of PARTS) {
      const ratio = contrast(values[front], values[back]);
      assert.ok(ratio >= 3, `${front} on ${back}: ${ratio.toFixed(2)}`);
    }
  });
}
