/**
 * A participant in a browser, through the SDK alone: a page of the server's origin without the room page on it. The
 * functions handed to `evaluate` run in the page and see nothing of this module.
 */
import { until } from './until.js';

/** A page of the origin that has no script of its own. */
const BLANK = '/healthz';

/**
 * Joins a room.
 * @param {Awaited<ReturnType<typeof import('./browser.js').launch>>} browser
 * @param {{server: string, room: string, name: string, colour?: string | null, codec?: string, audio?: boolean,
 *   slots?: {audio: number, video: number}}} options `colour`: of the video that it publishes; null for none
 */
export async function join(browser, { server, ...options }) {
  const page = await browser.page(`${server}${BLANK}`);
  await page.evaluate(joinInPage, options);
  return participant(page, options.name);
}

/** The participant of a page, whoever made it join: the room is at `window.patchbay.room`. */
export function participant(page, name) {
  return {
    page,
    name,
    stats: () => page.evaluate(() => globalThis.patchbay.room.stats()),
    state: () => page.evaluate(() => globalThis.patchbay.room.state),
    roster: () => page.evaluate(() => globalThis.patchbay.room.participants.map(({ number, identity, name: shown }) => ({ number, identity, name: shown }))),
    offers: () => page.evaluate(() => globalThis.patchbay.room.offers),
    watch: (identity) => page.evaluate(watchInPage, identity),
    pixel: (identity) => page.evaluate(pixelInPage, identity),
    leave: async () => {
      await page.evaluate(() => globalThis.patchbay?.room?.close());
      await page.close();
    },
    /** Waits until decoded frames and audio samples of others advance by so much. */
    async flows(deadlineMs = 20_000, { frames = 20, samples = 24_000 } = {}) {
      const before = total(await this.stats());
      let now = before;
      return until(deadlineMs, () => `${page.browser} ${name}: media to flow, from ${JSON.stringify(before)} to ${JSON.stringify(now)}; ${page.problems.join('; ')}`, async () => {
        now = total(await this.stats());
        return now.frames >= before.frames + frames && now.samples >= before.samples + samples ? now : null;
      });
    },
  };
}

/** Sums over the slots. */
export function total(stats) {
  const sum = { frames: 0, samples: 0, concealed: 0, freezes: 0, nacks: 0, plis: 0, packetsLost: 0, codecs: [] };
  for (const slot of stats?.slots ?? []) {
    sum.frames += slot.kind === 'video' ? slot.frames : 0;
    sum.samples += slot.samples ?? 0;
    sum.concealed += slot.concealedSamples ?? 0;
    sum.freezes += slot.freezes ?? 0;
    sum.nacks += slot.nacks ?? 0;
    sum.plis += slot.plis ?? 0;
    sum.packetsLost += slot.packetsLost ?? 0;
    if (slot.kind === 'video' && slot.frames > 0) sum.codecs.push(slot.codec);
  }
  return sum;
}

async function joinInPage({ room: roomName, name, colour = '#c03030', codec, audio = true, slots }) {
  const { Room } = await import('/sdk/index.js');
  const tracks = [];
  if (audio) {
    const microphone = await navigator.mediaDevices.getUserMedia({ audio: true });
    tracks.push({ track: microphone.getAudioTracks()[0], source: 'microphone' });
  }
  if (colour) {
    const canvas = document.createElement('canvas');
    canvas.width = 320;
    canvas.height = 180;
    const pen = canvas.getContext('2d');
    let count = 0;
    // A corner that changes keeps frames coming.
    setInterval(() => {
      pen.fillStyle = colour;
      pen.fillRect(0, 0, 320, 180);
      pen.fillStyle = count % 2 ? '#000' : '#fff';
      pen.fillRect(0, 0, 16, 16);
      count += 1;
    }, 50);
    tracks.push({ track: canvas.captureStream(20).getVideoTracks()[0], source: 'camera', codec });
  }
  const room = await Room.join(location.origin, { room: roomName, name, identity: name, tracks, slots });
  // Nothing is decoded until somebody listens.
  for (const slot of room.slots.filter(({ kind }) => kind === 'audio')) {
    const sound = document.createElement('audio');
    sound.autoplay = true;
    sound.srcObject = slot.stream;
    document.body.append(sound);
    sound.play().catch(() => {});
  }
  globalThis.patchbay = { room, videos: {} };
}

/** Shows somebody's camera; resolves with the milliseconds until the first frame was painted. */
async function watchInPage(identity) {
  const { room, videos } = globalThis.patchbay;
  const began = performance.now();
  const end = began + 20_000;
  let track = null;
  while (!(track = room.participants.find((participant) => participant.identity === identity)?.camera)) {
    if (performance.now() > end) throw new Error(`${identity} has no camera`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const slot = room.videoSlot();
  const video = document.createElement('video');
  video.muted = true;
  video.autoplay = true;
  video.playsInline = true;
  video.srcObject = slot.stream;
  document.body.append(video);
  videos[identity] = video;
  const painted = new Promise((resolve) => video.requestVideoFrameCallback(() => resolve(performance.now() - began)));
  slot.show(track).catch(() => {});
  video.play().catch(() => {});
  return Promise.race([
    painted,
    new Promise((_, reject) => setTimeout(() => reject(new Error(`no frame of ${identity} in 20 s: ${slot.paused}`)), 20_000)),
  ]);
}

/** The colour in the middle of somebody's video. */
function pixelInPage(identity) {
  const video = globalThis.patchbay.videos[identity];
  const canvas = document.createElement('canvas');
  canvas.width = video.videoWidth || 1;
  canvas.height = video.videoHeight || 1;
  const pen = canvas.getContext('2d');
  pen.drawImage(video, 0, 0);
  const [red, green, blue] = pen.getImageData(Math.floor(canvas.width / 2), Math.floor(canvas.height / 2), 1, 1).data;
  return { red, green, blue, width: video.videoWidth, height: video.videoHeight };
}

/** Whether a colour is the other, as far as a video codec keeps colours. */
export function isColour({ red, green, blue }, hex) {
  const wanted = [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16));
  return [red, green, blue].every((value, at) => Math.abs(value - wanted[at]) <= 32);
}
