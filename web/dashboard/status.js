/**
 * What `/v1/status` says, as figures: gauges as they are, totals as rates.
 *
 * Nodes count for themselves and report every five seconds; their rates are made between reports, not between looks.
 */
import { Meters } from "./rates.js";

/** Rates of signaling are means over so long: one join isn't a peak. */
const WINDOW_MS = 10_000;
/** Two of the reports of a node. */
const NODE_WINDOW_MS = 9_000;
/** A node that hasn't reported for so long has no rates. */
const STALE_MS = 20_000;

/**
 * @typedef {object} Overview
 * @property {number | null} sessions
 * @property {number | null} rooms
 * @property {number | null} participants
 * @property {Record<string, number>} connections by kind
 * @property {number | null} joins rates from here on
 * @property {number | null} errors
 * @property {number | null} messagesIn
 * @property {number | null} messagesOut
 * @property {number | null} packetsIn
 * @property {number | null} packetsOut
 * @property {number | null} bitsIn
 * @property {number | null} bitsOut
 * @property {number | null} deliveries messages of data channels, once for each who gets them
 * @property {number | null} missing share of media packets that somebody had to ask for again, both ways
 */

/**
 * @typedef {object} NodeFigures
 * @property {string} name
 * @property {boolean} attached
 * @property {boolean} draining
 * @property {number | null} rooms
 * @property {number | null} transports
 * @property {number | null} onTcp
 * @property {number | null} packetsIn
 * @property {number | null} packetsOut
 * @property {number | null} bitsIn
 * @property {number | null} bitsOut
 * @property {number | null} deliveries
 * @property {number | null} drops packets a second that were thrown away, for whatever reason
 * @property {[string, number][]} dropReasons the same by reason, most first
 * @property {number | null} missingIn share of packets that publishers were asked for again
 * @property {number | null} missingOut share of packets that subscribers asked for again
 * @property {number | null} nacksIn
 * @property {number | null} nacksOut
 * @property {number | null} repairs retransmissions to subscribers a second
 * @property {number | null} lost packets a second that never came
 * @property {number | null} keyframes keyframe requests to publishers a second
 */

/** @typedef {{server: string, epoch: string, uptimeMs: number | null, draining: boolean, overview: Overview, nodes: NodeFigures[]}} Figures */

/** Counters of a node that count what was thrown away, besides those that begin with `dropped_`. */
const DROPS = new Set(["udp_receive_drops_total", "udp_send_dropped_total", "tcp_send_dropped_total", "data_dropped", "node_events_dropped_total", "worker_unrouted_total"]);

/** Counters of a node that rates are made of. What else it reports goes up and down. */
const COUNTED = new Set(["datagrams_in", "datagrams_out", "bytes_in", "bytes_out", "rtp_in", "rtp_out", "data_forwarded", "nack_sent", "nack_received", "rtx_sent", "rtp_given_up", "keyframe_request_sent"]);

/** @param {string} name */
const isDrop = (name) => name.startsWith("dropped_") || DROPS.has(name);

/** Makes figures of one answer after another. */
export class StatusReader {
  #signaling = new Meters(WINDOW_MS);
  /** @type {Map<string, {meters: Meters, print: string, at: number, rates: Record<string, number | null>}>} */
  #nodes = new Map();
  #epoch = "";

  /**
   * @param {any} status as it came
   * @param {number} now milliseconds by this page's clock
   * @returns {Figures}
   */
  read(status, now) {
    const epoch = String(status.epoch ?? "");
    if (epoch !== this.#epoch) this.forget();
    this.#epoch = epoch;
    const rates = this.#signaling.push(number(status.at_ms) ?? now, {
      joins: number(status.joins), errors: number(status.errors), messagesIn: number(status.messages_in), messagesOut: number(status.messages_out),
    });
    /** @type {any[]} */
    const listed = Array.isArray(status.nodes) ? status.nodes : [];
    const nodes = listed.map((node) => this.#node(node, now));
    for (const name of [...this.#nodes.keys()]) if (!nodes.some((node) => node.name === name)) this.#nodes.delete(name);
    const sums = listed.map((node) => this.#nodes.get(String(node.name))?.rates ?? {});
    return {
      server: typeof status.server === "string" ? status.server : "",
      epoch,
      uptimeMs: number(status.uptime_ms),
      draining: status.draining === true,
      overview: {
        sessions: number(status.sessions),
        rooms: number(status.rooms),
        participants: number(status.participants),
        connections: Object.fromEntries(Object.entries(status.connections ?? {}).filter(([, value]) => typeof value === "number")),
        joins: rates.joins, errors: rates.errors, messagesIn: rates.messagesIn, messagesOut: rates.messagesOut,
        packetsIn: sum(nodes.map((node) => node.packetsIn)),
        packetsOut: sum(nodes.map((node) => node.packetsOut)),
        bitsIn: sum(nodes.map((node) => node.bitsIn)),
        bitsOut: sum(nodes.map((node) => node.bitsOut)),
        deliveries: sum(nodes.map((node) => node.deliveries)),
        missing: share(
          sum(sums.flatMap((it) => [it.nack_sent ?? null, it.nack_received ?? null])),
          sum(sums.flatMap((it) => [it.rtp_in ?? null, it.rtp_out ?? null])),
        ),
      },
      nodes,
    };
  }

  /** What comes next is counted by another process. */
  forget() {
    this.#signaling.clear();
    this.#nodes.clear();
  }

  /**
   * @param {any} node
   * @param {number} now
   * @returns {NodeFigures}
   */
  #node(node, now) {
    const name = String(node.name);
    const counters = numbers(node.counters);
    const known = this.#nodes.get(name) ?? { meters: new Meters(NODE_WINDOW_MS), print: "", at: now, rates: {} };
    this.#nodes.set(name, known);
    // Without the time of the report, a report is new when anything in it is.
    const reportedAt = number(node.reported_at_ms) || null;
    const print = reportedAt === null ? JSON.stringify(counters) : String(reportedAt);
    if (print !== known.print) {
      known.print = print;
      known.at = now;
      known.rates = known.meters.push(reportedAt ?? now, Object.fromEntries(Object.entries(counters).filter(([key]) => COUNTED.has(key) || isDrop(key))));
    } else if (now - known.at > STALE_MS) {
      known.rates = {};
    }
    const attached = node.attached !== false;
    const rates = attached ? known.rates : {};
    const rate = (/** @type {string} */ key) => rates[key] ?? null;
    const reasons = /** @type {[string, number][]} */ (Object.entries(rates).filter(([key, value]) => value !== null && isDrop(key)));
    const bits = (/** @type {number | null} */ bytes) => (bytes === null ? null : bytes * 8);
    return {
      name,
      attached,
      draining: node.draining === true,
      rooms: number(node.rooms),
      transports: number(node.transports) ?? counters.transports ?? null,
      onTcp: counters.transports_on_tcp ?? null,
      packetsIn: rate("datagrams_in"),
      packetsOut: rate("datagrams_out"),
      bitsIn: bits(rate("bytes_in")),
      bitsOut: bits(rate("bytes_out")),
      deliveries: rate("data_forwarded"),
      drops: reasons.length > 0 ? reasons.reduce((total, [, value]) => total + value, 0) : null,
      dropReasons: reasons.filter(([, value]) => value > 0).map(([key, value]) => /** @type {[string, number]} */ ([key.replace(/^dropped_|_total$/g, "").replaceAll("_", " "), value])).sort((a, b) => b[1] - a[1]),
      missingIn: share(rate("nack_sent"), rate("rtp_in")),
      missingOut: share(rate("nack_received"), rate("rtp_out")),
      nacksIn: rate("nack_received"),
      nacksOut: rate("nack_sent"),
      repairs: rate("rtx_sent"),
      lost: rate("rtp_given_up"),
      keyframes: rate("keyframe_request_sent"),
    };
  }
}

/** @param {unknown} value */
const number = (value) => (typeof value === "number" && Number.isFinite(value) ? value : null);

/**
 * @param {unknown} counters
 * @returns {Record<string, number>}
 */
function numbers(counters) {
  return Object.fromEntries(Object.entries(counters ?? {}).filter(([, value]) => number(value) !== null));
}

/** @param {(number | null)[]} values `null` if none is known */
function sum(values) {
  const known = values.filter((value) => value !== null);
  return known.length > 0 ? known.reduce((total, value) => total + value, 0) : null;
}

/**
 * @param {number | null} part
 * @param {number | null} whole
 */
function share(part, whole) {
  return part === null || whole === null || whole <= 0 ? null : Math.min(1, part / whole);
}
