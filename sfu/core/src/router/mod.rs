//! The fan-out table of one room: what members publish, what their slots show, and the way of every packet between.
//!
//! ```text
//! handle_rtp → binding → track (place, history, NACK) → forwarder of each slot (verdict, rewrite) → Egress
//! handle_rtcp → NACK: history → RTX │ PLI: keyframe request to the publisher │ reports: clocks, round trips
//! ```
//!
//! A [`Router`] is told about members and their negotiated sections by its worker, and tells it what flows in
//! [`RouterEvent`]s. It never speaks to a transport but through [`Egress`], and never looks at a clock.
//!
//! Rules it keeps (see the modules for the mechanisms):
//! - What a member sends touches nothing but that member's own tracks; SSRCs mean something within one transport only.
//! - A slot's outgoing sequence numbers, timestamps and VP8 picture ids are continuous for the slot's whole life, whatever
//!   its source and however often it is renegotiated. No extended sequence number of an SSRC is used for two packets.
//! - A video slot changes over with the first packet of a keyframe, and shows the old source until then.
//! - Nothing is sent again but as RTX (RFC 4588): under AES-GCM a packet must not be encrypted twice.
//! - In the steady state a packet allocates nothing.
mod clock;
mod codec;
mod counter;
mod data;
mod event;
mod extension;
mod forwarder;
mod ingress;
mod key;
mod keyframe;
mod member;
mod negotiation;
mod patch;
mod publisher;
mod report;
mod roster;
mod slot;
mod speaker;
mod subscriber;
mod timer;
mod track;

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use bytes::Bytes;
use patchbay_protocol::{ParticipantNumber, TopicGrant, TrackId, TransportId};
use patchbay_wire::rtcp::ReportBlock;
use patchbay_wire::rtp::{SequenceNumber, Ssrc};

pub use counter::Counters;
pub use data::Intake;
pub use event::RouterEvent;

use crate::transport::{ChannelInfo, MessageKind};
use crate::{ChannelKey, Egress, TransportKey};
use clock::WallClock;
use data::{Cut, DataPlane};
use key::{MemberKey, SlotKey, Table, TrackKey};
use member::Member;
use slot::Slot;
use speaker::{Candidates, SpeakerNotice};
use timer::Timers;
use track::Track;

/// Canonical name (RFC 3550 §6.5.1) of everything the SFU sends: its streams share one clock, its own.
pub const CNAME: &str = "patchbay";

/// Under this SSRC the SFU sends reports and requests that belong to no slot.
const OWN_SSRC: Ssrc = Ssrc(1);

/// One room on one worker.
pub struct Router {
    clock: WallClock,
    /// State of the generator of first sequence numbers.
    seed: u64,
    members: Table<MemberKey, Member>,
    /// By transport, sorted.
    by_transport: Vec<(TransportKey, MemberKey)>,
    /// By participant, sorted.
    by_participant: Vec<(ParticipantNumber, MemberKey)>,
    tracks: Table<TrackKey, Track>,
    by_track_id: BTreeMap<TrackId, TrackKey>,
    slots: Table<SlotKey, Slot>,
    data: DataPlane,
    notice: SpeakerNotice,
    timers: Timers,
    events: VecDeque<RouterEvent>,
    counters: Counters,
    scratch: Scratch,
}

/// Buffers that are used again for every packet.
#[derive(Default)]
struct Scratch {
    /// Slots that switched over with the packet at hand, and the track they left.
    switched: Vec<(SlotKey, Option<TrackKey>)>,
    rtcp: Vec<u8>,
    missing: Vec<SequenceNumber>,
    blocks: Vec<ReportBlock>,
    voices: Candidates,
    faces: Candidates,
}

impl Router {
    /// A room without members. `unix_nanos` is the wall time at `now`; `seed` is a random number, from which the first
    /// sequence numbers and timestamps of slots are drawn.
    pub fn new(now: Instant, unix_nanos: u64, seed: u64) -> Self {
        let clock = WallClock::new(now, unix_nanos);
        Self {
            clock,
            seed,
            members: Table::new(),
            by_transport: Vec::new(),
            by_participant: Vec::new(),
            tracks: Table::new(),
            by_track_id: BTreeMap::new(),
            slots: Table::new(),
            data: DataPlane::new(clock),
            notice: SpeakerNotice::default(),
            timers: Timers::default(),
            events: VecDeque::new(),
            counters: Counters::default(),
            scratch: Scratch::default(),
        }
    }

    /// Whether no transport is attached.
    pub fn is_empty(&self) -> bool {
        self.members.len() == 0 && self.data.is_empty()
    }

    /// Adds a transport. Nothing flows before [`Router::apply`] and [`Router::handle_connected`]. A key that is known is
    /// left as it is.
    pub fn attach(
        &mut self,
        now: Instant,
        transport: TransportKey,
        id: TransportId,
        participant: ParticipantNumber,
    ) {
        self.timers.touch(now);
        self.data.attach(transport, participant.0);
        if let Err(at) = self.by_transport.binary_search_by_key(&transport, |(known, _)| *known) {
            let member = self.members.insert(Member::new(transport, id, participant));
            self.by_transport.insert(at, (transport, member));
            let at = self.by_participant.partition_point(|known| *known < (participant, member));
            self.by_participant.insert(at, (participant, member));
        }
    }

    /// Removes a transport with all it publishes and receives.
    pub fn detach(&mut self, now: Instant, transport: TransportKey, out: &mut impl Egress) {
        self.data.detach(now, transport, out, &mut self.counters);
        self.collect_data();
        let Some(key) = self.member_key(transport) else { return };
        self.by_transport.retain(|(known, _)| *known != transport);
        self.by_participant.retain(|(_, known)| *known != key);
        if let Some(member) = self.members.remove(key) {
            for slot in member.slots {
                self.remove_slot(slot);
            }
            for track in member.tracks {
                self.remove_track(track);
            }
        }
        self.repatch(now, out);
    }

    /// The transport's media can flow. What its slots wait for, and what others wait for from it, is asked for at once.
    pub fn handle_connected(&mut self, now: Instant, transport: TransportKey, out: &mut impl Egress) {
        let Some(key) = self.member_key(transport) else { return };
        let Some(member) = self.members.get_mut(key) else { return };
        member.is_connected = true;
        for slot in &member.slots {
            if let Some(slot) = self.slots.get_mut(*slot) {
                slot.is_connected = true;
            }
        }
        self.want_keyframes_around(now, key, out);
    }

    /// The transport's datagrams take another way, as after an ICE restart: what was under way is likely lost. Keyframes take its
    /// place, and it is not sent again: by now it may be seconds old, and a browser that gets frames so late shows all that come
    /// after them later, too.
    pub fn handle_path_changed(&mut self, now: Instant, transport: TransportKey, out: &mut impl Egress) {
        let Some(key) = self.member_key(transport) else { return };
        let Some(member) = self.members.get(key) else { return };
        for slot in &member.slots {
            if let Some(slot) = self.slots.get_mut(*slot) {
                slot.forwarder.forget_sent();
            }
        }
        for track in &member.tracks {
            if let Some(track) = self.tracks.get_mut(*track) {
                track.nacks.handle_path_changed();
            }
        }
        self.want_keyframes_around(now, key, out);
    }

    /// Adds a way to topics that is no transport, such as one over signaling. [`Router::detach`] ends it.
    pub fn attach_data(&mut self, transport: TransportKey, participant: ParticipantNumber) {
        self.data.attach(transport, participant.0);
    }

    /// What a member may do with data has changed: whether at all, and on which topics. Channels that it may no longer have are
    /// closed.
    pub fn set_data(
        &mut self,
        now: Instant,
        transport: TransportKey,
        is_allowed: bool,
        topics: Vec<TopicGrant>,
        out: &mut impl Egress,
    ) {
        self.data.set_rights(now, transport, is_allowed, topics, out, &mut self.counters);
        self.collect_data();
    }

    /// A data channel was opened on a transport. Returns false if a limit stands against it (64 channels of one
    /// transport, 256 topics of the room, 256 bytes of label) or a permission.
    pub fn handle_channel_opened(
        &mut self,
        now: Instant,
        transport: TransportKey,
        info: &ChannelInfo,
        out: &mut impl Egress,
    ) -> bool {
        let is_open = self.data.open(now, transport, info, out, &mut self.counters);
        self.counters.data_refused += u64::from(!is_open);
        self.collect_data();
        is_open
    }

    /// A data channel was closed.
    pub fn handle_channel_closed(
        &mut self,
        now: Instant,
        transport: TransportKey,
        channel: ChannelKey,
        out: &mut impl Egress,
    ) {
        self.data.close(now, transport, channel, out, &mut self.counters);
        self.collect_data();
    }

    /// A message came over a data channel: it goes to those who opened the same label, as its topic's mode has it.
    pub fn handle_message(
        &mut self,
        now: Instant,
        from: TransportKey,
        channel: ChannelKey,
        kind: MessageKind,
        payload: Bytes,
        out: &mut impl Egress,
    ) -> Intake {
        let intake = self.data.handle_message(now, from, channel, kind, &payload, out, &mut self.counters);
        self.collect_data();
        intake
    }

    /// A member sent a message that is longer than may be. It was thrown away.
    pub fn handle_too_long(
        &mut self,
        now: Instant,
        transport: TransportKey,
        channel: ChannelKey,
        out: &mut impl Egress,
    ) {
        self.data.handle_too_long(now, transport, channel, out, &mut self.counters);
    }

    /// A data channel that had no room has some again.
    pub fn handle_writable(
        &mut self,
        now: Instant,
        transport: TransportKey,
        channel: ChannelKey,
        out: &mut impl Egress,
    ) {
        self.data.handle_writable(now, transport, channel, out, &mut self.counters);
        self.collect_data();
    }

    /// Says again what flows in every slot and who speaks, for one who may have missed it.
    pub fn retell(&mut self) {
        for (_, slot) in self.slots.iter() {
            if let (Some(state), Some(member)) = (slot.reported, self.members.get(slot.owner)) {
                let (transport, mid) = (member.transport, slot.mid.clone());
                self.events.push_back(RouterEvent::SlotChanged { transport, mid, state });
            }
        }
        self.events.push_back(RouterEvent::Speakers(self.notice.said().to_vec()));
    }

    /// The next event for signaling.
    pub fn poll_event(&mut self) -> Option<RouterEvent> {
        self.events.pop_front()
    }

    /// What was counted since the router was made.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Tells what became of data channels.
    fn collect_data(&mut self) {
        while let Some(Cut { transport, channel, reason }) = self.data.poll_cut() {
            self.events.push_back(RouterEvent::ChannelCut { transport, channel, reason });
        }
        while let Some((transport, channel)) = self.data.poll_release() {
            self.events.push_back(RouterEvent::ChannelReleased { transport, channel });
        }
    }

    fn member_key(&self, transport: TransportKey) -> Option<MemberKey> {
        let at = self.by_transport.binary_search_by_key(&transport, |(known, _)| *known).ok()?;
        self.by_transport.get(at).map(|(_, member)| *member)
    }

    /// The next number of a SplitMix64 sequence.
    fn draw(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
