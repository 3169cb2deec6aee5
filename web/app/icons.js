/** Icons as strokes on a 24-unit grid, built as elements so that no markup is ever parsed. */

const SVG = "http://www.w3.org/2000/svg";

/** @type {Record<string, string[]>} */
const PATHS = {
  microphone: ["M12 3a3 3 0 0 1 3 3v5a3 3 0 0 1-6 0V6a3 3 0 0 1 3-3z", "M5.5 11a6.5 6.5 0 0 0 13 0", "M12 17.5V21"],
  "microphone-off": ["M9 9v2a3 3 0 0 0 4.6 2.5M15 11V6a3 3 0 0 0-5.7-1.3", "M5.5 11a6.5 6.5 0 0 0 10.3 5.3M18.5 11a6.4 6.4 0 0 1-.6 2.7", "M12 17.5V21", "M4 3.5l16 17"],
  camera: ["M5.5 6.5h7a2.5 2.5 0 0 1 2.5 2.5v6a2.5 2.5 0 0 1-2.5 2.5h-7A2.5 2.5 0 0 1 3 15V9a2.5 2.5 0 0 1 2.5-2.5z", "M15 10.8l4.5-2.6a1 1 0 0 1 1.5.9v5.8a1 1 0 0 1-1.5.9L15 13.2"],
  "camera-off": ["M9.5 6.5h3A2.5 2.5 0 0 1 15 9v3M15 15.3a2.5 2.5 0 0 1-2.5 2.2h-7A2.5 2.5 0 0 1 3 15V9a2.5 2.5 0 0 1 2.2-2.5", "M15 10.8l4.5-2.6a1 1 0 0 1 1.5.9v5.8a1 1 0 0 1-1 1", "M4 3.5l16 17"],
  screen: ["M5 4.5h14a2 2 0 0 1 2 2V15a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2V6.5a2 2 0 0 1 2-2z", "M8.5 20.5h7", "M12 13.7V8M9.5 10.3L12 7.8l2.5 2.5"],
  hand: ["M8 12.5V6a1.5 1.5 0 0 1 3 0v5", "M11 10.5V4.5a1.5 1.5 0 0 1 3 0v6", "M14 11V6a1.5 1.5 0 0 1 3 0v8.5a6.5 6.5 0 0 1-6.5 6.5c-2.3 0-3.8-1-5-2.9l-2.3-3.9a1.5 1.5 0 0 1 2.5-1.6L8 15"],
  chat: ["M5.5 4.5h13A2.5 2.5 0 0 1 21 7v7.5a2.5 2.5 0 0 1-2.5 2.5H12l-4.5 3.5V17h-2A2.5 2.5 0 0 1 3 14.5V7a2.5 2.5 0 0 1 2.5-2.5z", "M8 9h8M8 12.5h5"],
  more: ["M5.5 12h.01M12 12h.01M18.5 12h.01"],
  leave: ["M13.5 4H17a2.5 2.5 0 0 1 2.5 2.5v11A2.5 2.5 0 0 1 17 20h-3.5", "M8.5 8L4.5 12l4 4M4.5 12H14"],
  link: ["M10 13.8a4 4 0 0 0 5.9.3l3-3a4 4 0 0 0-5.7-5.7L12 6.6", "M14 10.2a4 4 0 0 0-5.9-.3l-3 3a4 4 0 0 0 5.7 5.7l1.2-1.2"],
  check: ["M5 12.5l4.5 4.5L19 7.5"],
  close: ["M6 6l12 12M18 6L6 18"],
  pin: ["M9 4h6l-.8 6.5L17 13v1.5H7V13l2.8-2.5z", "M12 14.5V20"],
  unpin: ["M10 4h5l-.8 6.5L17 13v1.5H8.5M7 14.5V13l2-1.8", "M12 14.5V20", "M4 3.5l16 17"],
  details: ["M3 12h4l3-7 4 14 3-7h4"],
  previous: ["M14.5 5.5L8 12l6.5 6.5"],
  next: ["M9.5 5.5L16 12l-6.5 6.5"],
  send: ["M4.5 12L3.5 4.5 20.5 12l-17 7.5z", "M4.5 12H11"],
  people: ["M9 11.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7z", "M2.5 19.5a6.5 6.5 0 0 1 13 0", "M15.5 4.8a3.5 3.5 0 0 1 0 6.4M18.5 14.3a6.5 6.5 0 0 1 3 5.2"],
};

/**
 * @param {string} name
 * @returns {SVGSVGElement}
 */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", name === "more" ? "icon icon-dots" : "icon");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("focusable", "false");
  setIcon(svg, name);
  return svg;
}

/**
 * Makes an icon another one.
 * @param {SVGSVGElement} svg
 * @param {string} name
 */
export function setIcon(svg, name) {
  if (svg.dataset.name === name) return;
  svg.dataset.name = name;
  svg.replaceChildren(
    ...(PATHS[name] ?? []).map((d) => {
      const path = document.createElementNS(SVG, "path");
      path.setAttribute("d", d);
      return path;
    }),
  );
}

/** Three bars that show how good a connection is. */
export function qualityBars() {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 12 12");
  svg.setAttribute("class", "quality");
  svg.setAttribute("aria-hidden", "true");
  for (let bar = 0; bar < 3; bar += 1) {
    const rect = document.createElementNS(SVG, "rect");
    rect.setAttribute("x", String(bar * 4 + 0.5));
    rect.setAttribute("y", String(8 - bar * 3));
    rect.setAttribute("width", "2.6");
    rect.setAttribute("height", String(3 + bar * 3));
    rect.setAttribute("rx", "1");
    svg.append(rect);
  }
  return svg;
}

/** The mark of the project. Drawn here, so that it shows when the server is gone too. */
export function logo() {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 32 32");
  svg.setAttribute("class", "logo");
  svg.setAttribute("aria-hidden", "true");
  const shape = (/** @type {string} */ tag, /** @type {Record<string, string | number>} */ attributes) => {
    const element = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
    svg.append(element);
  };
  shape("rect", { width: 32, height: 32, rx: 8, class: "logo-ground" });
  shape("path", { d: "M9 10c0 10 14 2 14 12", class: "logo-cable" });
  for (const [cx, cy, isPlugged] of [[9, 9, true], [23, 23, true], [23, 9, false], [9, 23, false]]) {
    shape("circle", { cx: Number(cx), cy: Number(cy), r: 3, class: isPlugged ? "logo-jack is-plugged" : "logo-jack" });
  }
  return svg;
}
