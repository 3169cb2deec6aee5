/** A call: brings the room of the SDK and the view together. */
import { Room } from "../sdk/room.js";
import { canShareScreen } from "./devices.js";
import { announce } from "./dom.js";
import { assignSlots } from "./layout/order.js";
import { loadSettings, saveSettings } from "./settings.js";
import { Sound } from "./sound.js";
import { CallView } from "./view/call-view.js";
import { HTTP_WORDS, connectionWords, deviceWords, wordsFor } from "./words.js";

/** A connection that takes longer than this is asked about. */
const LOOK_FOR_TROUBLE_MS = 4_500;
const SELF = "self/camera";
/** How often figures are taken. */
const STATS_MS = 2_000;
/** Who speaks is told to screen readers at most this often. */
const SPEAKER_MS = 8_000;
/** More people than this, and comings and goings are told to screen readers only. */
const TOAST_PEOPLE = 12;

/**
 * @typedef {import("../sdk/index.js").Participant} Participant
 * @typedef {import("../sdk/index.js").Slot} Slot
 * @typedef {import("./local.js").Device} Device
 */

/** What connection worked last, in this tab: the next call begins with it. @type {import("../sdk/signaling.js").ConnectionMemory} */
const MEMORY = { connection: /** @type {any} */ (loadSettings().connection || undefined) };

export class Call {
  #entry;
  #local;
  #onEnd;
  #view;
  /** @type {Room | null} */
  #room = null;
  #abort = new AbortController();
  #isOver = false;
  /** @type {Map<Slot, string | null>} */
  #shown = new Map();
  /** @type {readonly string[]} */
  #visible = [];
  /** @type {Map<string, number>} */
  #lastSpoke = new Map();
  /** @type {Map<string, {level: 1 | 2 | 3, freezes: number}>} */
  #quality = new Map();
  /** @type {{error?: import("../sdk/index.js").PatchbayError, until: number, attempt: number} | null} */
  #retry = null;
  /** The last step of the connection to signaling, and until when the next try waits. @type {{step: import("../sdk/index.js").ConnectionStateEvent, since: number, until: number} | null} */
  #connection = null;
  /** The place among those who wait to be admitted. @type {number | null} */
  #waitingPlace = null;
  #isHttpTold = false;
  #isSoundBlocked = false;
  #isScheduled = false;
  /** @type {Map<string, Promise<void>>} */
  #turns = new Map();
  /** @type {Slot | null} */
  #screenSound = null;
  #isTcpTold = false;
  #codec;
  #sound;
  #unbindKeys = () => {};
  /** @type {any} */
  #statsTimer;
  /** @type {any} */
  #countdown;
  /** @type {any} */
  #away;
  /** @type {any} */
  #troubleTimer;
  /** Why there is no media yet. @type {import("../sdk/room.js").Timeline | null} */
  #trouble = null;
  #localChanged = () => this.#refresh();
  /** @type {(event: Event) => void} */
  #localLost = (event) => this.#deviceLost(/** @type {Event & {device: Device}} */ (event).device);
  #goodbye = () => void this.#room?.close();

  /**
   * @param {object} options
   * @param {{room: string, name: string, token: string}} options.entry
   * @param {import("./local.js").LocalMedia} options.local
   * @param {string} [options.codec] the one video codec to publish in
   * @param {(end: {error?: unknown, hasJoined: boolean}) => void} options.onEnd
   */
  constructor({ entry, local, codec, onEnd }) {
    this.#entry = entry;
    this.#local = local;
    this.#codec = codec;
    this.#onEnd = onEnd;
    this.#sound = new Sound((isBlocked) => {
      this.#isSoundBlocked = isBlocked;
      this.#refresh();
    });
    this.#view = new CallView({
      microphone: () => this.#toggle("microphone"),
      camera: () => this.#toggle("camera"),
      share: () => this.#toggleShare(),
      hand: () => this.#toggleHand(),
      leave: () => this.#end(undefined),
      stateAction: () => this.#stateAction(),
      visible: (keys) => {
        this.#visible = keys;
        this.#showPictures();
      },
      panel: () => this.#wire(),
    });
    this.element = this.#view.element;
    this.#bindKeys({
      microphone: () => this.#toggle("microphone"),
      camera: () => this.#toggle("camera"),
      share: () => this.#toggleShare(),
      hand: () => this.#toggleHand(),
      panel: (panel) => this.#view.togglePanel(panel),
      talk: (isHeld) => this.#talk(isHeld),
    });
    local.addEventListener("change", this.#localChanged);
    local.addEventListener("lost", this.#localLost);
    addEventListener("pagehide", this.#goodbye);
  }

  /** @param {Parameters<typeof import("./keyboard.js").bindKeys>[0]} actions */
  async #bindKeys(actions) {
    const { bindKeys } = await import("./keyboard.js");
    if (!this.#isOver) this.#unbindKeys = bindKeys(actions);
  }

  /** The room, once joined. */
  get room() {
    return this.#room;
  }

  /** Joins. Ends by `onEnd`, at once or later. */
  async start() {
    this.#refresh();
    const { room, name, token } = this.#entry;
    const { camera, microphone } = this.#local.tracks;
    const tracks = [
      ...(microphone ? [{ track: microphone, source: /** @type {const} */ ("microphone"), muted: !this.#local.wants.microphone }] : []),
      ...(camera && this.#local.wants.camera ? [{ track: camera, source: /** @type {const} */ ("camera"), codec: this.#codec }] : []),
    ];
    // A full page of faces, and a screen: whoever is in the room, joining it is one offer.
    const slots = { audio: 4, video: Math.max(4, this.#view.stage.capacity) };
    try {
      this.#room = await Room.join(location.origin, { room, name, token: token || undefined, tracks, slots, topics: false, memory: MEMORY,
        signal: this.#abort.signal,
        onConnectionState: (step) => this.#connectionChanged(step),
        onWaiting: (position) => {
          this.#waitingPlace = position;
          this.#refresh();
        },
      });
    } catch (error) {
      return this.#end(error);
    }
    if (this.#isOver) return void this.#room.close();
    this.#attach(this.#room);
  }

  /** Ends it as if a person had left. */
  leave() {
    this.#end(undefined);
  }

  /** @param {Room} room */
  #attach(room) {
    this.#troubleTimer = setInterval(() => void this.#lookForTrouble(), LOOK_FOR_TROUBLE_MS);
    const refresh = () => this.#refresh();
    room.addEventListener("participantjoined", (event) => this.#told(/** @type {import("../sdk/index.js").ParticipantEvent} */ (event), "joined"));
    room.addEventListener("participantleft", (event) => this.#told(/** @type {import("../sdk/index.js").ParticipantEvent} */ (event), "left"));
    for (const type of ["participantupdated", "trackpublished", "trackunpublished", "trackmuted"]) room.addEventListener(type, refresh);
    room.addEventListener("speakerschanged", (event) => {
      for (const { identity } of /** @type {import("../sdk/index.js").SpeakersEvent} */ (event).speakers) this.#lastSpoke.set(identity, performance.now());
      this.#announceSpeaker(room);
      this.#refresh();
    });
    room.addEventListener("chat", (event) => {
      const { participant, name, text } = /** @type {import("../sdk/index.js").ChatEvent} */ (event);
      if (!participant?.isSelf) this.#view.tellChat(name, text);
    });
    room.addEventListener("statechange", (event) => this.#stateChanged(/** @type {import("../sdk/index.js").StateChangeEvent} */ (event)));
    for (const slot of room.slots) if (slot.kind === "audio") this.#sound.add(room.audioSlot().stream);
    const { speaker } = loadSettings();
    if (speaker) this.#sound.setSink(speaker);
    this.#statsTimer = setInterval(() => this.#takeFigures(), STATS_MS);
    // A device may have been switched while the join was on its way.
    this.#apply("microphone");
    this.#apply("camera");
    this.#refresh();
    this.#showPictures();
    this.#wire();
    announce(`You joined ${room.name}. ${room.participants.length} others are here.`);
  }

  #announced = { identity: "", at: Number.NEGATIVE_INFINITY };

  /**
   * Says who speaks to people who can't see the ring: where there is a choice, and not at every word.
   * @param {Room} room
   */
  #announceSpeaker(room) {
    const speaker = room.speakers.find(({ isSelf }) => !isSelf);
    const now = performance.now();
    if (!speaker || room.participants.length < 2 || speaker.identity === this.#announced.identity || now - this.#announced.at < SPEAKER_MS) return;
    this.#announced = { identity: speaker.identity, at: now };
    announce(`${speaker.name} speaks`);
  }

  /**
   * @param {import("../sdk/index.js").ParticipantEvent} event
   * @param {"joined" | "left"} what
   */
  #told({ participant, reason }, what) {
    this.#refresh();
    // Somebody who rejoins has not gone anywhere.
    if (reason === "replaced") return void this.#rejoining.add(participant.identity);
    if (what === "joined" && this.#rejoining.delete(participant.identity)) return;
    const text = `${participant.name} ${what}`;
    if ((this.#room?.participants.length ?? 0) <= TOAST_PEOPLE) this.#view.toast({ text });
    else announce(text);
  }

  /** Who was replaced by a newer session of the same person, which is about to show. @type {Set<string>} */
  #rejoining = new Set();

  /** @param {import("../sdk/index.js").StateChangeEvent} event */
  #stateChanged({ state, error, retryInMs, attempt = 0 }) {
    clearInterval(this.#countdown);
    this.#retry = null;
    if (state === "closed") return this.#end(error);
    if (state === "reconnecting") {
      this.#retry = { error, until: performance.now() + (retryInMs ?? 0), attempt };
      this.#countdown = setInterval(() => this.#refresh(), 500);
    }
    this.#refresh();
  }

  /** @param {import("../sdk/index.js").ConnectionStateEvent} step */
  #connectionChanged(step) {
    const now = performance.now();
    const isSame = this.#connection?.step.state === step.state;
    this.#connection = { step, since: isSame ? /** @type {any} */ (this.#connection).since : now, until: now + (step.retryInMs ?? 0) };
    clearInterval(this.#away);
    if (step.state === "reconnecting") this.#away = setInterval(() => this.#refresh(), 500);
    if (step.state === "connected") {
      saveSettings({ connection: step.transport });
      if (step.transport !== "websocket" && !this.#isHttpTold) {
        this.#isHttpTold = true;
        this.#view.toast(HTTP_WORDS);
      }
    }
    this.#refresh();
  }

  // What is shown.

  /** Shows what has changed, once for all that changed together. */
  #refresh() {
    if (this.#isScheduled || this.#isOver) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      if (this.#isOver) return;
      this.#view.update(this.#model());
      this.#showPictures();
    });
  }

  /** @returns {import("./view/call-view.js").CallModel} */
  #model() {
    const room = this.#room;
    const others = room?.participants ?? [];
    const speaking = new Set(room?.speakers ?? []);
    const tiles = others.flatMap((participant) => this.#tilesOf(participant, speaking.has(participant)));
    const self = room?.self ?? null;
    const isMuted = !this.#local.isOn("microphone");
    tiles.push({
      key: SELF,
      identity: self?.identity ?? this.#entry.name,
      name: self?.name ?? this.#entry.name,
      isSelf: true,
      isScreen: false,
      hasPicture: this.#local.isOn("camera"),
      isMuted,
      isSpeaking: !isMuted && self !== null && speaking.has(self),
      hasHand: self?.handRaised ?? false,
      quality: this.#quality.get(SELF)?.level ?? null,
      words: "",
    });
    return {
      room: this.#entry.room,
      link: `${location.origin}/r/${encodeURIComponent(this.#entry.room)}`,
      tiles,
      speakers: (room?.speakers ?? []).filter(({ isSelf }) => !isSelf).map(({ identity }) => `camera/${identity}`),
      lastSpoke: (key) => this.#lastSpoke.get(key.slice(key.indexOf("/") + 1)) ?? 0,
      people: others.length + 1,
      isAlone: room !== null && others.length === 0 && room.state !== "reconnecting",
      state: this.#stateWords(),
      bar: {
        microphone: this.#local.isOn("microphone"),
        camera: this.#local.isOn("camera"),
        sharing: Boolean(room?.publication("screen")),
        hand: self?.handRaised ?? false,
        canShare: canShareScreen(),
        microphoneFault: this.#local.faults.microphone !== null,
        cameraFault: this.#local.faults.camera !== null,
      },
    };
  }

  /**
   * @param {Participant} participant
   * @param {boolean} isSpeaking
   * @returns {import("./view/tile.js").TileModel[]}
   */
  #tilesOf(participant, isSpeaking) {
    const { identity, name, camera, microphone, screen, handRaised } = participant;
    const key = `camera/${identity}`;
    const common = { identity, name, isSelf: false, hasHand: handRaised, isMuted: !microphone || microphone.muted, isSpeaking };
    const face = {
      ...common, key, isScreen: false,
      hasPicture: camera !== null && !camera.muted,
      quality: this.#quality.get(key)?.level ?? null,
      words: this.#slotOf(key)?.paused === "codec" ? "This browser cannot show this picture" : "",
    };
    if (!screen) return [face];
    const screenKey = `screen/${identity}`;
    const isSeen = this.#slotOf(screenKey)?.playing === participant;
    return [face, {
      ...common, key: screenKey, isScreen: true, hasPicture: true,
      quality: this.#quality.get(screenKey)?.level ?? null,
      words: isSeen ? "" : `${name} starts to share…`,
    }];
  }

  /** @returns {{text: string, action?: string} | null} */
  #stateWords() {
    const room = this.#room;
    if (!room && this.#waitingPlace !== null) return { text: `Waiting to be let in: you are number ${this.#waitingPlace} in the queue` };
    if (!room) return { text: this.#connection?.step.transport === "websocket" ? "Connecting…" : (this.#connection?.step.words ?? "Connecting…") };
    if (this.#retry) {
      const seconds = Math.ceil((this.#retry.until - performance.now()) / 1000);
      const reason = this.#retry.error && this.#retry.attempt > 0 ? `${wordsFor(this.#retry.error).title}. ` : "";
      return seconds > 0
        ? { text: `${reason}Reconnecting (${seconds} s)…`, action: "Try now" }
        : { text: `${reason}Reconnecting…` };
    }
    const away = this.#connection;
    // What repairs itself within a moment is not worth a word.
    if (away?.step.state === "reconnecting" && performance.now() - away.since > 1_000) {
      return { text: connectionWords({ state: "reconnecting", retryInMs: away.until - performance.now(), isMediaFlowing: room.state === "connected" }), action: "Try now" };
    }
    if (room.state === "connecting") {
      const diagnosis = this.#trouble?.diagnosis;
      if (diagnosis) return { text: diagnosis.words, action: "Trouble connecting?" };
      return { text: "Connecting audio and video…" };
    }
    if (this.#isSoundBlocked) return { text: "The browser waits for a click before it plays sound", action: "Play sound" };
    if (room.publication("screen")) return { text: "You are sharing your screen", action: "Stop" };
    return null;
  }

  #stateAction() {
    if (this.#retry || this.#connection?.step.state === "reconnecting") this.#room?.retryNow();
    else if (this.#trouble) this.#view.panel === "more" || this.#view.togglePanel("more");
    else if (this.#isSoundBlocked) this.#sound.resume();
    else if (this.#room?.publication("screen")) this.#toggleShare();
  }

  /** Gives the tiles on screen the slots they need, and each slot's picture to its tile. */
  #showPictures() {
    const camera = this.#local.isOn("camera") ? this.#local.tracks.camera : null;
    this.#view.stage.setPicture(SELF, camera ? this.#selfStream(camera) : null, true);
    const room = this.#room;
    if (!room || room.state === "closed") return;
    const byIdentity = new Map(room.participants.map((participant) => [participant.identity, participant]));
    const trackOf = (/** @type {string} */ key) => {
      const participant = byIdentity.get(key.slice(key.indexOf("/") + 1));
      return (key.startsWith("screen/") ? participant?.screen : participant?.camera) ?? null;
    };
    const wanted = this.#visible.filter((key) => key !== SELF && trackOf(key)?.muted === false);
    const { changes, missing } = assignSlots(this.#shown, wanted);
    for (const key of missing) {
      const slot = room.videoSlot();
      slot.addEventListener("change", () => this.#refresh());
      changes.set(slot, key);
    }
    for (const [slot, key] of changes) {
      this.#shown.set(slot, key);
      (key === null ? slot.clear() : slot.show(trackOf(key))).catch(() => {});
    }
    for (const key of this.#visible) {
      if (key === SELF) continue;
      const slot = this.#slotOf(key);
      const isPlaying = slot !== null && slot.playing !== null && slot.playing === byIdentity.get(key.slice(key.indexOf("/") + 1)) && slot.paused === null;
      this.#view.stage.setPicture(key, slot?.stream ?? null, isPlaying);
    }
    this.#showScreenSound(room);
  }

  /** @param {string} key */
  #slotOf(key) {
    for (const [slot, shown] of this.#shown) if (shown === key) return slot;
    return null;
  }

  /** @type {MediaStream | null} */
  #ownStream = null;

  /** @param {MediaStreamTrack} track */
  #selfStream(track) {
    if (this.#ownStream?.getTracks()[0] !== track) this.#ownStream = new MediaStream([track]);
    return this.#ownStream;
  }

  /**
   * The sound of a shared screen has a slot of its own, beside the voices.
   * @param {Room} room
   */
  #showScreenSound(room) {
    const track = room.participants.findLast(({ screenAudio }) => screenAudio)?.screenAudio ?? null;
    if (!track) {
      if (this.#screenSound?.wanted) this.#screenSound.clear().catch(() => {});
      return;
    }
    if (!this.#screenSound) {
      this.#screenSound = room.audioSlot();
      this.#sound.add(this.#screenSound.stream);
    }
    const { wanted } = this.#screenSound;
    if (wanted && "identity" in wanted && wanted.identity === track.participant.identity) return;
    this.#screenSound.show(track).catch(() => {});
  }

  // What a person does.

  /** @param {Device} device */
  #toggle(device) {
    this.#set(device, !this.#local.isOn(device));
  }

  /**
   * @param {Device} device
   * @param {boolean} isOn
   */
  #set(device, isOn) {
    this.#local.wants[device] = isOn;
    saveSettings(device === "camera" ? { wantsCamera: isOn } : { wantsMicrophone: isOn });
    this.#apply(device);
    this.#refresh();
  }

  /**
   * Brings a device to what is wanted, after whatever is under way for it.
   * @param {Device} device
   */
  #apply(device) {
    const turn = (this.#turns.get(device) ?? Promise.resolve()).then(() => this.#bring(device)).catch((error) => {
      if (this.#isOver) return;
      this.#view.toast(wordsFor(error));
      // What the server refused must not look as if it were on.
      if (error.code === "not_allowed" && this.#local.wants[device]) this.#set(device, false);
    });
    this.#turns.set(device, turn);
  }

  /** @param {Device} device */
  async #bring(device) {
    const local = this.#local;
    if (this.#isOver) return;
    if (local.wants[device] && !local.tracks[device] && !(await local.open(device))) {
      const fault = local.faults[device] ?? "unknown";
      local.wants[device] = false;
      this.#view.toast({ ...deviceWords(device, fault), action: fault === "insecure" ? undefined : "Try again", onAction: () => this.#set(device, true) });
      return;
    }
    const isOn = local.isOn(device);
    const track = local.tracks[device];
    const room = this.#room;
    const publication = room?.publication(device);
    if (track) track.enabled = isOn;
    if (!room) return;
    if (publication) {
      if (isOn && publication.track !== track) await publication.replaceTrack(track);
      await (isOn ? publication.unmute() : publication.mute());
      if (!isOn && device === "camera") await publication.replaceTrack(null);
    } else if (isOn && track) {
      await room.publish(track, { source: device, codec: device === "camera" ? this.#codec : undefined });
    }
    // The light beside a camera goes out when it is off.
    if (!isOn && device === "camera" && track) local.close("camera");
  }

  /** @param {boolean} isHeld */
  #talk(isHeld) {
    if (isHeld && this.#local.isOn("microphone")) return;
    if (isHeld) this.#isTalking = true;
    else if (!this.#isTalking) return;
    else this.#isTalking = false;
    this.#local.wants.microphone = isHeld;
    this.#apply("microphone");
    this.#refresh();
  }

  #isTalking = false;

  async #toggleShare() {
    const room = this.#room;
    if (!room || !canShareScreen()) return;
    try {
      const { toggleShare } = await import("./share.js");
      await toggleShare(room);
    } catch (error) {
      // Closing the browser's chooser is an answer, not a fault.
      if (/** @type {{name?: string}} */ (error)?.name !== "NotAllowedError") this.#view.toast(wordsFor(error));
    }
    this.#refresh();
  }

  async #toggleHand() {
    const self = this.#room?.self;
    if (!self) return;
    try {
      await this.#room?.raiseHand(!self.handRaised);
    } catch (error) {
      this.#view.toast(wordsFor(error));
    }
  }

  /** @param {Device} device */
  #deviceLost(device) {
    if (!this.#local.wants[device]) return;
    this.#local.wants[device] = false;
    this.#apply(device);
    this.#view.toast({ title: `Your ${device} is gone`, text: "It was unplugged or taken away.", action: "Try again", onAction: () => this.#set(device, true) });
  }

  /** Panels and what is told beside them are fetched behind the join. */
  async #wire() {
    const { wire } = await import("./beside.js");
    await wire({ room: this.#room, view: this.#view, local: this.#local, sound: this.#sound, apply: (device) => this.#apply(device) });
    this.#takeFigures();
  }

  async #takeFigures() {
    const { takeFigures } = await import("./figures.js");
    const room = this.#room;
    const stats = room && (await takeFigures(room, this.#shown, this.#quality, SELF));
    if (!room || !stats || this.#isOver) return;
    if (stats.path.protocol === "tcp" && !this.#isTcpTold) {
      this.#isTcpTold = true;
      this.#view.toast({ title: "This network blocks UDP; using TCP", text: "The call works, with a little more delay." });
    }
    if (this.#view.panel === "more") this.#view.more.setFigures(stats.figures);
    this.#refresh();
  }

  /** Looks for what is wrong while there is no media, and forgets it once there is. */
  async #lookForTrouble() {
    const room = this.#room;
    if (!room || this.#isOver) return;
    const timeline = room.state === "connecting" ? await room.timeline().catch(() => null) : null;
    if (timeline === null && this.#trouble === null) return;
    this.#trouble = timeline?.diagnosis ? timeline : null;
    this.#view.more.setTrouble(this.#trouble);
    this.#refresh();
  }

  /** @param {unknown} error why, unless the person left */
  #end(error) {
    if (this.#isOver) return;
    this.#isOver = true;
    const hasJoined = this.#room !== null;
    clearInterval(this.#statsTimer);
    clearInterval(this.#countdown);
    clearInterval(this.#away);
    clearInterval(this.#troubleTimer);
    this.#unbindKeys();
    this.#local.removeEventListener("change", this.#localChanged);
    this.#local.removeEventListener("lost", this.#localLost);
    removeEventListener("pagehide", this.#goodbye);
    this.#abort.abort(new DOMException("The call was left.", "AbortError"));
    for (const publication of this.#room?.publications ?? []) if (publication.source.startsWith("screen")) publication.track?.stop();
    this.#room?.close();
    this.#sound.close();
    this.element.remove();
    this.#onEnd({ error: error instanceof DOMException && error.name === "AbortError" ? undefined : error, hasJoined });
  }
}
