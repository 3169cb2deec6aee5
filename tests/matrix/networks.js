/**
 * The networks: what their two routers do, as rules of nftables, and the path that media must take through each. Every
 * firewall stands behind a port-restricted NAT, as they do.
 */

/** The page, where HTTPS is. */
export const FRONT = '203.0.113.21';
/** Where media goes. */
export const SFU = '203.0.113.20';

/** What lets the inside speak freely. */
const FREE = 'iifname lan accept';
/**
 * Passes connections to port 443 whose first payload begins with a TLS handshake record, and resets the others.
 * `@ih` is the payload of TCP; a rule that reads past the end of a packet does not match it.
 */
const TLS_ALONE = `
  iifname lan tcp dport 443 ct mark 1 accept
  iifname lan tcp dport 443 @ih,0,16 0x1603 ct mark set 1 accept
  iifname lan tcp dport 443 @ih,0,8 0-255 counter reject with tcp reset
  iifname lan tcp dport 443 accept`;

/** A router; with NAT what comes from outside belongs to a flow of the inside, address and port, or is dropped. */
const router = ({ nat = '', allowed = FREE }) => `table ip router {
  chain out { type nat hook postrouting priority srcnat; ${nat && `oifname wan ${nat}`}
  }
  chain through { type filter hook forward priority filter; policy drop;
  iifname wan ct state established,related accept
  ${allowed}
  }
}
`;

const PLAIN = 'table ip router {\n}\n';
const PORT_RESTRICTED = { nat: 'masquerade' };
const SYMMETRIC = { nat: 'masquerade fully-random' };
const behind = (allowed) => router({ ...PORT_RESTRICTED, allowed });

/**
 * @typedef {object} Network
 * @property {string} key of its figures
 * @property {string} words
 * @property {string} inner rules of the router next to the client
 * @property {string} outer rules of the router next to the servers
 * @property {string[]} passes what gets an answer: any UDP, TCP to the media port, TCP 443 as such, TLS there
 * @property {'same' | 'another'} [port] what another destination sees of the same socket; absent without NAT
 * @property {string | null} headless the path of a headless peer; null where it speaks too little
 * @property {string[]} [flags] of the headless peer
 * @property {string[]} chromium the paths that Chromium may take: once a relay connects, it may never try TCP
 */

const ALL = ['443', 'tcp', 'tls', 'udp'];

/** @type {Network[]} */
export const NETWORKS = [
  { key: 'open', words: 'No NAT, no firewall', inner: PLAIN, outer: PLAIN, passes: ALL, headless: 'UDP host', chromium: ['UDP host'] },
  { key: 'port_restricted', words: 'Port-restricted NAT', inner: PLAIN, outer: router(PORT_RESTRICTED), port: 'same', passes: ALL, headless: 'UDP prflx', chromium: ['UDP prflx'] },
  { key: 'symmetric', words: 'Symmetric NAT', inner: PLAIN, outer: router(SYMMETRIC), port: 'another', passes: ALL, headless: 'UDP prflx', chromium: ['UDP prflx'] },
  { key: 'double', words: 'Two NATs, one behind the other, the outer one symmetric', inner: router(PORT_RESTRICTED), outer: router(SYMMETRIC), port: 'another', passes: ALL, headless: 'UDP prflx', chromium: ['UDP prflx'] },
  { key: 'udp_blocked', words: 'UDP blocked', inner: PLAIN, outer: behind(`iifname lan meta l4proto udp drop\n  ${FREE}`), passes: ['443', 'tcp', 'tls'], headless: 'TCP', flags: ['--tcp'], chromium: ['TCP', 'TURN-TCP', 'TURN-TLS'] },
  { key: 'only_443', words: 'Only TCP 443', inner: PLAIN, outer: behind('iifname lan tcp dport 443 accept'), passes: ['443', 'tls'], headless: 'TCP', flags: ['--tcp'], chromium: ['TCP', 'TURN-TLS'] },
  { key: 'page_udp_3478', words: 'Only the page, and UDP 3478', inner: PLAIN, outer: behind(`iifname lan ip daddr ${FRONT} tcp dport 443 accept\n  iifname lan udp dport 3478 accept`), passes: ['443', 'tls'], headless: 'TURN-UDP', chromium: ['TURN-UDP'] },
  { key: 'page_tcp_3478', words: 'Only the page, and TCP 3478', inner: PLAIN, outer: behind(`iifname lan ip daddr ${FRONT} tcp dport 443 accept\n  iifname lan tcp dport 3478 accept`), passes: ['443', 'tls'], headless: null, chromium: ['TURN-TCP'] },
  { key: 'only_tls', words: 'Only TLS, on TCP 443', inner: PLAIN, outer: behind(TLS_ALONE), passes: ['tls'], headless: null, chromium: ['TURN-TLS'] },
];

/** A network that closes while a call goes on: after each change media goes on by the path named, and by itself. */
export const CLOSING = [
  { words: 'UDP blocked, and every relay', path: 'TCP', inner: PLAIN, outer: behind(`iifname lan ip daddr { ${FRONT}, ${SFU} } meta l4proto tcp accept`) },
  { words: 'only TLS', path: 'TURN-TLS', inner: PLAIN, outer: behind(TLS_ALONE) },
];
