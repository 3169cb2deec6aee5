/**
 * Where tiles go. Pure functions of numbers, in CSS pixels.
 */

/**
 * @typedef {{x: number, y: number, width: number, height: number}} Rect
 */

/** A camera picture may be cropped from 16:9 to this; further where the window is upright, as a phone's pictures are. */
const NARROWEST = 4 / 3;
const NARROWEST_UPRIGHT = 4 / 5;
const WIDEST = 16 / 9;

/**
 * Rows and columns that waste least of a window, with the last row centred.
 * @param {{width: number, height: number, count: number, gap?: number}} space
 * @returns {{columns: number, rows: number, tiles: Rect[]}}
 */
export function gridLayout({ width, height, count, gap = 8 }) {
  if (count <= 0 || width <= 0 || height <= 0) return { columns: 0, rows: 0, tiles: [] };
  const narrowest = width < height ? NARROWEST_UPRIGHT : NARROWEST;
  let best = { columns: 1, rows: count, tileWidth: 0, tileHeight: 0, score: -1 };
  for (let columns = 1; columns <= count; columns += 1) {
    const rows = Math.ceil(count / columns);
    const cellWidth = (width - gap * (columns - 1)) / columns;
    const cellHeight = (height - gap * (rows - 1)) / rows;
    if (cellWidth <= 0 || cellHeight <= 0) continue;
    const { width: tileWidth, height: tileHeight } = fit(cellWidth, cellHeight, narrowest, WIDEST);
    // A full last row looks intended; it wins over a grid that is hardly larger.
    const score = tileWidth * tileHeight * (1 - 0.04 * ((columns * rows - count) / columns));
    if (score > best.score * 1.001) best = { columns, rows, tileWidth, tileHeight, score };
  }
  const { columns, rows, tileWidth, tileHeight } = best;
  const top = (height - rows * tileHeight - (rows - 1) * gap) / 2;
  const tiles = Array.from({ length: count }, (_, index) => {
    const row = Math.floor(index / columns);
    const inRow = row === rows - 1 ? count - row * columns : columns;
    const left = (width - inRow * tileWidth - (inRow - 1) * gap) / 2;
    return round({
      x: left + (index - row * columns) * (tileWidth + gap),
      y: top + row * (tileHeight + gap),
      width: tileWidth,
      height: tileHeight,
    });
  });
  return { columns, rows, tiles };
}

/**
 * How many tiles a page may hold, so that a face stays a face.
 * @param {{width: number, height: number, gap?: number, limit?: number}} space
 * @returns {number}
 */
export function pageCapacity({ width, height, gap = 8, limit = 16 }) {
  const smallest = width < 600 ? 150 : 210;
  let capacity = 1;
  for (let count = 2; count <= limit; count += 1) {
    const tile = gridLayout({ width, height, count, gap }).tiles[0];
    if (tile && tile.width >= Math.min(smallest, width / 2 - gap)) capacity = count;
  }
  return capacity;
}

/**
 * One large picture, and the others beside it in a wide window, or in a grid below it in an upright one.
 * @param {{width: number, height: number, count: number, gap?: number}} space `count`: tiles besides the large one
 * @returns {{stage: Rect, strip: Rect[], capacity: number}} `capacity`: how many tiles fit beside it at most
 */
export function stageLayout({ width, height, count, gap = 8 }) {
  if (count === 0) return { stage: round({ x: 0, y: 0, width, height }), strip: [], capacity: 1 };
  if (width < height) {
    // A screen is about 16:10; more height would be bars above and below it. One or two faces need no more than a row.
    const stageHeight = Math.max(Math.min(height * 0.62, width * 0.7), count <= 2 ? height - gap - width * 0.4 : 0);
    const below = { width, height: height - stageHeight - gap, gap };
    const capacity = pageCapacity(below);
    const grid = gridLayout({ ...below, count: Math.min(count, capacity) });
    return {
      stage: round({ x: 0, y: 0, width, height: stageHeight }),
      strip: grid.tiles.map((tile) => ({ ...tile, y: tile.y + Math.round(stageHeight + gap) })),
      capacity,
    };
  }
  const tileWidth = Math.min(Math.max(width * 0.18, 140), 300);
  const tileHeight = tileWidth / WIDEST;
  const capacity = Math.max(1, Math.floor((height + gap) / (tileHeight + gap)));
  const shown = Math.min(count, capacity);
  const top = (height - shown * tileHeight - (shown - 1) * gap) / 2;
  return {
    stage: round({ x: 0, y: 0, width: width - tileWidth - gap, height }),
    strip: Array.from({ length: shown }, (_, index) =>
      round({ x: width - tileWidth, y: top + index * (tileHeight + gap), width: tileWidth, height: tileHeight }),
    ),
    capacity,
  };
}

/**
 * The largest size within a cell whose shape is between two.
 * @param {number} width
 * @param {number} height
 * @param {number} narrowest
 * @param {number} widest
 */
function fit(width, height, narrowest, widest) {
  const aspect = Math.min(Math.max(width / height, narrowest), widest);
  return width / height > aspect ? { width: height * aspect, height } : { width, height: width / aspect };
}

/**
 * Whole pixels: text and borders on fractions look soft.
 * @param {Rect} rect
 * @returns {Rect}
 */
function round({ x, y, width, height }) {
  const left = Math.round(x);
  const top = Math.round(y);
  return { x: left, y: top, width: Math.floor(width), height: Math.floor(height) };
}
