/** Sharing the screen, and its sound where the browser gives it. Fetched when somebody shares. */
import { mediaDevices } from "./devices.js";

/**
 * Begins to share, or ends it.
 * @param {import("../sdk/index.js").Room} room
 */
export async function toggleShare(room) {
  const shared = room.publication("screen");
  if (shared) {
    await Promise.all([shared, room.publication("screen_audio")].map((publication) => {
      publication?.track?.stop();
      return publication?.unpublish();
    }));
    return;
  }
  const { video, audio } = await openScreen();
  video.addEventListener("ended", () => room.publication("screen")?.track === video && toggleShare(room).catch(() => {}));
  await Promise.all([room.publish(video, { source: "screen" }), audio && room.publish(audio, { source: "screen_audio" })]);
}

/** @returns {Promise<{video: MediaStreamTrack, audio: MediaStreamTrack | null}>} */
async function openScreen() {
  const stream = await mediaDevices().getDisplayMedia({ video: { frameRate: { ideal: 15, max: 30 } }, audio: true });
  const [video] = stream.getVideoTracks();
  video.contentHint = "detail";
  return { video, audio: stream.getAudioTracks()[0] ?? null };
}
