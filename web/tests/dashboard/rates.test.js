/** Rates out of totals: over a window, over a restart, and where nothing is known. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Meter, Meters, Series, SPAN_MS } from "../../dashboard/rates.js";
import { linePath } from "../../dashboard/view/spark.js";

test("a rate needs two values, and is a mean over the window", () => {
  const meter = new Meter(10_000);
  assert.equal(meter.push(0, 100), null);
  assert.equal(meter.push(2_000, 120), 10);
  assert.equal(meter.push(4_000, 120), 5);
  // Twenty seconds on, the beginning counts no more: from 4 s to 24 s there were 200.
  assert.equal(meter.push(24_000, 320), 10);
  assert.equal(meter.push(34_000, 420), 10);
  assert.equal(meter.push(44_000, 420), 0);
});

test("a total that fell was counted anew: no rate, never a negative one", () => {
  const meter = new Meter(10_000);
  meter.push(0, 1_000);
  assert.equal(meter.push(2_000, 3_000), 1_000);
  assert.equal(meter.push(4_000, 50), null);
  assert.equal(meter.push(6_000, 70), 10);
});

test("the same moment twice is no division by nothing, and a clock that was set back is a beginning", () => {
  const meter = new Meter(10_000);
  assert.equal(meter.push(1_000, 5), null);
  assert.equal(meter.push(1_000, 6), null);
  assert.equal(meter.push(2_000, 8), 2);
  assert.equal(meter.push(500, 9), null);
  assert.equal(meter.push(1_500, 10), 1);
  assert.equal(meter.push(2_500, undefined), null);
  assert.equal(meter.push(3_500, 10), null);
});

test("what is counted together begins anew together", () => {
  const meters = new Meters(10_000);
  meters.push(0, { a: 10, b: 10 });
  assert.deepEqual(meters.push(1_000, { a: 20, b: 12 }), { a: 10, b: 2 });
  // `b` grew, but by another process than the one that counted 12.
  assert.deepEqual(meters.push(2_000, { a: 1, b: 500 }), { a: null, b: null });
  assert.deepEqual(meters.push(3_000, { a: 2, b: 501 }), { a: 1, b: 1 });
});

test("ten minutes are kept, and what isn't known is a gap", () => {
  const series = new Series();
  for (let at = 0; at <= 2 * SPAN_MS; at += 2_000) series.push(at, at / 1_000);
  const [run] = series.runs();
  assert.equal(run[0].at, SPAN_MS);
  assert.deepEqual(series.bounds(), { lowest: 600, highest: 1_200 });
  series.push(2 * SPAN_MS + 2_000, null);
  series.push(2 * SPAN_MS + 4_000, 7);
  assert.equal(series.runs().length, 2);
  assert.equal(series.near(2 * SPAN_MS + 3_900)?.value, 7);
  // A tab that slept.
  series.push(2 * SPAN_MS + 200_000, 9);
  assert.equal(series.runs().length, 3);
  assert.equal(new Series().bounds(), null);
  assert.equal(new Series().near(0), null);
});

test("a line goes from then to now, and from nothing to the most", () => {
  assert.equal(linePath([{ at: 0, value: 0 }, { at: SPAN_MS, value: 10 }], SPAN_MS, 10), "M0.00 30.00L100.00 3.00");
});
