import assert from "node:assert/strict";
import { test } from "node:test";
import { gridLayout, pageCapacity, stageLayout } from "../app/layout/grid.js";
import { assignSlots, orderTiles } from "../app/layout/order.js";

const WINDOWS = [[1416, 800], [796, 1060], [374, 730], [304, 440], [2536, 1340], [3816, 2060], [800, 300]];

function overlaps(a, b) {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

function assertFits(rects, width, height, what) {
  for (const [index, rect] of rects.entries()) {
    assert.ok(rect.width > 0 && rect.height > 0, `${what}: empty`);
    assert.ok(rect.x >= 0 && rect.y >= 0 && rect.x + rect.width <= width + 1 && rect.y + rect.height <= height + 1, `${what}: ${JSON.stringify(rect)} sticks out`);
    for (const other of rects.slice(index + 1)) assert.ok(!overlaps(rect, other), `${what}: overlap`);
  }
}

test("tiles never overlap, never stick out, and keep a face's shape", () => {
  for (const [width, height] of WINDOWS) {
    for (let count = 1; count <= 60; count += 1) {
      const { tiles, columns, rows } = gridLayout({ width, height, count });
      assert.equal(tiles.length, count);
      assert.ok(columns * rows >= count && columns * (rows - 1) < count, "no empty row");
      assertFits(tiles, width, height, `${count} in ${width}x${height}`);
      const aspect = tiles[0].width / tiles[0].height;
      const narrowest = width < height ? 4 / 5 : 4 / 3;
      if (tiles[0].height > 40) assert.ok(aspect > narrowest * 0.95 && aspect < (16 / 9) * 1.05, `${count}: ${aspect}`);
    }
  }
});

test("the grid is the one that a person would draw", () => {
  const columnsOf = (width, height, count) => gridLayout({ width, height, count }).columns;
  assert.equal(columnsOf(1416, 800, 1), 1);
  assert.equal(columnsOf(1416, 800, 2), 2);
  assert.equal(columnsOf(1416, 800, 4), 2);
  assert.equal(columnsOf(1416, 800, 5), 3);
  assert.equal(columnsOf(1416, 800, 12), 4);
  assert.equal(columnsOf(374, 730, 2), 1);
  assert.equal(columnsOf(374, 730, 5), 2);
});

test("nothing and no space give nothing", () => {
  assert.deepEqual(gridLayout({ width: 100, height: 100, count: 0 }).tiles, []);
  assert.deepEqual(gridLayout({ width: 0, height: 100, count: 3 }).tiles, []);
});

test("a page holds as many faces as stay faces", () => {
  assert.equal(pageCapacity({ width: 1416, height: 800 }), 16);
  assert.ok(pageCapacity({ width: 374, height: 730 }) >= 6);
  assert.ok(pageCapacity({ width: 304, height: 440 }) >= 2);
});

test("a shared screen takes the stage, and the strip fits beside it", () => {
  for (const [width, height] of WINDOWS) {
    for (const count of [0, 1, 5, 40]) {
      const { stage, strip, capacity } = stageLayout({ width, height, count });
      assertFits([stage, ...strip], width, height, `stage with ${count} in ${width}x${height}`);
      assert.ok(strip.length <= Math.max(1, capacity) && strip.length <= count);
      for (const tile of strip) assert.ok(stage.width * stage.height > tile.width * tile.height);
    }
  }
});

const people = (count) => Array.from({ length: count }, (_, index) => `p${index}`);

test("tiles stay where they are while people come, go and speak on the first page", () => {
  const order = orderTiles([], people(6), [], () => 0, 4);
  assert.deepEqual(order, people(6));
  assert.deepEqual(orderTiles(order, people(6), ["p2", "p0"], () => 1, 4), order);
  assert.deepEqual(orderTiles(order, ["p0", "p2", "p3", "p4", "p5", "new"], [], () => 0, 4), ["p0", "p2", "p3", "p4", "p5", "new"]);
});

test("a speaker from a later page takes the place of the stalest, and nobody else moves", () => {
  const spoke = new Map([["p0", 50], ["p1", 10], ["p2", 40], ["p3", 30]]);
  const lastSpoke = (key) => spoke.get(key) ?? 0;
  assert.deepEqual(orderTiles(people(6), people(6), ["p5"], lastSpoke, 4), ["p0", "p5", "p2", "p3", "p4", "p1"]);
  assert.deepEqual(orderTiles(people(6), people(6), ["p5"], lastSpoke, 4, (key) => key === "p1"), ["p0", "p1", "p2", "p5", "p4", "p3"]);
});

test("when everybody on the first page speaks, nobody is moved", () => {
  assert.deepEqual(orderTiles(people(5), people(5), ["p0", "p1", "p4"], () => 1, 2), people(5));
});

test("slots keep what is still wanted, and only the difference is told to the server", () => {
  const [a, b, c] = [{ n: "a" }, { n: "b" }, { n: "c" }];
  const slots = new Map([[a, "x"], [b, "y"], [c, null]]);
  const { changes, missing } = assignSlots(slots, ["y", "z"]);
  assert.deepEqual([...changes], [[c, "z"], [a, null]]);
  assert.deepEqual(missing, []);
  assert.equal(assignSlots(slots, ["x", "y"]).changes.size, 0);
  assert.deepEqual(assignSlots(slots, ["x", "y", "z", "w"]).missing, ["w"]);
});
