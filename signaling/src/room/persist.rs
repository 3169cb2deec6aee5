//! A room's records, and the room that is made of them after a restart of signaling.
//!
//! What the node knows by itself (tracks, slots, what is muted) is taken from its snapshots; everything else that must not
//! be lost stands in records, versioned JSON, which the room's driver stores with the room on its node: one for the room, one
//! for the numbers it has given, one for each member. Chat and bans are in the store on disk. Whoever waits to be admitted
//! has no record and asks again.
//!
//! A rebuilt room is complete at once, in everybody's roster; each member waits for its session to be taken up, and is out
//! when its resume window ends before. The window begins with the rebuilding.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use patchbay_protocol::node::{NodeCommand, Slot, TransportSnapshot};
use patchbay_protocol::{
    Attributes, Grants, Joined, LeaveReason, Mid, ParticipantNumber, PresenceState, RoomId, RoomInfo,
    RoomName, ServerEvent, SessionId, TransportId, limit,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracing::{info, warn};

use super::member::{Member, MemberTrack, Stage};
use super::topic::SignaledTopics;
use super::{Due, MemberId, Moment, Room, RoomConfig, Watch};
use crate::auth::Credential;

/// Version of the records. A server takes no other.
const VERSION: u32 = 1;
/// Keys on the node.
const ROOM_KEY: &str = "room";
/// See [`ROOM_KEY`].
const NUMBERS_KEY: &str = "numbers";
/// See [`ROOM_KEY`]. The participant's number follows.
const MEMBER_KEY: &str = "member/";

/// What belongs to the room as a whole and seldom changes.
#[derive(Debug, Serialize, Deserialize)]
struct RoomRecord {
    version: u32,
    name: RoomName,
    info: RoomInfo,
    returning: VecDeque<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    empty_timeout_ms: Option<u64>,
}

/// Numbers that were given: none is given twice, also when whoever had it is gone.
#[derive(Debug, Default, Serialize, Deserialize)]
struct NumbersRecord {
    next_participant: u32,
    next_track: u32,
}

/// One member.
#[derive(Debug, Serialize, Deserialize)]
struct MemberRecord {
    version: u32,
    number: ParticipantNumber,
    #[serde(default)]
    joined_at_ms: u64,
    session: SessionId,
    identity: String,
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metadata: Option<Value>,
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    attributes: Attributes,
    hand_raised: bool,
    presence: PresenceState,
    grants: Grants,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    credential: Option<Credential>,
    video_stopped: bool,
    name_fixed: bool,
    metadata_fixed: bool,
    is_resource: bool,
    transport: TransportId,
    on_node: bool,
    topics: SignaledTopics,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    watches: Vec<Watch>,
}

/// Somebody whose session was found on a node and is not taken up yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resumption {
    /// When it is out.
    pub(super) by: Instant,
    /// The node no longer has its way to topics over signaling.
    has_lost_topics: bool,
}

impl Room {
    /// All records, by key.
    pub(crate) fn records(&self) -> Vec<(String, String)> {
        let mut records = vec![self.room_record(), self.numbers_record()];
        records.extend(self.members.values().filter(|entry| !entry.is_waiting()).map(member_record));
        records
    }

    /// The records without which a member would not be rebuilt: all but those of others.
    pub(crate) fn records_of(&self, number: ParticipantNumber) -> Vec<(String, String)> {
        let mut records = vec![self.room_record(), self.numbers_record()];
        let is_meant = |entry: &&Member| entry.number == number && !entry.is_waiting();
        records.extend(self.members.values().rev().find(is_meant).map(member_record));
        records
    }

    fn room_record(&self) -> (String, String) {
        let record = RoomRecord {
            version: VERSION,
            name: self.name.clone(),
            info: self.info.clone(),
            returning: self.returning.clone(),
            empty_timeout_ms: self
                .empty_timeout
                .map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
        };
        (ROOM_KEY.to_owned(), json(&record))
    }

    fn numbers_record(&self) -> (String, String) {
        let (next_participant, next_track) = (self.next_participant, self.next_track);
        (NUMBERS_KEY.to_owned(), json(&NumbersRecord { next_participant, next_track }))
    }

    /// The room that a node holds, made of its records and the snapshots of its transports. `mint` names its members.
    ///
    /// Members whose transport is gone are not in it, and transports whose member is gone are closed. Fails with the reason if
    /// there is no room to be read.
    pub(crate) fn rebuild(
        now: Moment,
        id: RoomId,
        blobs: &BTreeMap<String, String>,
        transports: Vec<TransportSnapshot>,
        config: RoomConfig,
        mut mint: impl FnMut() -> MemberId,
    ) -> Result<Self, &'static str> {
        let text = blobs.get(ROOM_KEY).ok_or("nothing is stored with it")?;
        let record: RoomRecord = serde_json::from_str(text).map_err(|_| "its record can't be read")?;
        if record.version != VERSION {
            return Err("its record is of another version");
        }
        if !limit::is_room_name(record.name.as_str()) {
            return Err("its record names no room");
        }
        let numbers: NumbersRecord =
            blobs.get(NUMBERS_KEY).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let mut room = Self::new(now, record.name, id, config);
        room.info = record.info;
        room.returning = record.returning;
        room.empty_timeout = record.empty_timeout_ms.map(Duration::from_millis);
        room.next_participant = numbers.next_participant.max(1);
        room.next_track = numbers.next_track.max(1);

        let mut held: BTreeMap<TransportId, TransportSnapshot> =
            transports.into_iter().map(|snapshot| (snapshot.transport, snapshot)).collect();
        for (_, text) in blobs.iter().filter(|(key, _)| key.starts_with(MEMBER_KEY)) {
            match serde_json::from_str::<MemberRecord>(text) {
                Ok(record) if record.version == VERSION => {
                    let snapshot = held.remove(&record.transport);
                    let has_topics = held.remove(&record.topics.transport).is_some();
                    room.readmit(now, &mut mint, record, snapshot, has_topics);
                }
                _ => warn!(room = %room.name, "the record of a participant can't be read"),
            }
        }
        for snapshot in held.into_values() {
            room.note_numbers(&snapshot);
            room.command(NodeCommand::CloseTransport { transport: snapshot.transport });
        }
        room.empty_since = room.members.is_empty().then_some(now.at);
        Ok(room)
    }

    fn readmit(
        &mut self,
        now: Moment,
        mint: &mut impl FnMut() -> MemberId,
        record: MemberRecord,
        snapshot: Option<TransportSnapshot>,
        has_topics: bool,
    ) {
        self.next_participant = self.next_participant.max(record.number.0.saturating_add(1));
        let (publications, slots) = match snapshot {
            Some(snapshot) => {
                self.note_numbers(&snapshot);
                (snapshot.publications, snapshot.slots)
            }
            // Its transport ended while nobody listened. Its client sees that, too.
            None if record.on_node => {
                info!(participant = %record.number, identity = record.identity, "its transport is gone");
                if has_topics {
                    self.command(NodeCommand::CloseTransport { transport: record.topics.transport });
                }
                return;
            }
            None => Default::default(),
        };
        let (allowed, forbidden): (Vec<_>, Vec<_>) = publications
            .into_iter()
            .map(|one| MemberTrack { mid: one.mid, id: one.track, source: one.source, muted: one.muted })
            .partition(|track| record.grants.publish.contains(&track.source));
        for track in forbidden.into_iter().filter(|track| !track.muted) {
            self.command(NodeCommand::SetMuted { room: self.id, track: track.id, muted: true });
        }
        let has_lost_topics = record.topics.is_attached && !has_topics;
        let resumption = (!record.is_resource)
            .then(|| Resumption { by: now.at + self.config.resume_window, has_lost_topics });
        let entry = Member {
            stage: Stage::Joined,
            number: record.number,
            identity: record.identity,
            name: record.name,
            metadata: record.metadata,
            attributes: record.attributes,
            hand_raised: record.hand_raised,
            presence: record.presence,
            typing_until: None,
            presence_told: None,
            presence_due: None,
            grants: record.grants,
            credential: record.credential,
            expiry: None,
            is_told_of_expiry: false,
            video_stopped: record.video_stopped,
            name_fixed: record.name_fixed,
            metadata_fixed: record.metadata_fixed,
            transport: record.transport,
            on_node: record.on_node,
            ice_servers: Vec::new(),
            ice_refresh: None,
            joined_at_ms: record.joined_at_ms,
            session: record.session,
            secret: String::new(),
            tracks: allowed,
            slots: slots.iter().map(|slot| slot.mid.clone()).collect(),
            shown: slots.into_iter().map(|Slot { mid, source, .. }| (mid, source)).collect(),
            flows: BTreeMap::new(),
            is_resource: record.is_resource,
            resumption,
            topics: record.topics,
            watches: record.watches,
            negotiation: None,
            offers: VecDeque::new(),
        };
        let member = mint();
        self.insert_member(member, entry);
        self.schedule_expiry(now, member);
        match resumption {
            Some(resumption) => {
                self.deadlines.insert((resumption.by, Due::Resume(member)));
            }
            None => self.schedule_ice_refresh(now, member),
        }
    }

    /// Numbers that are in use are not given again, whatever was recorded last.
    fn note_numbers(&mut self, snapshot: &TransportSnapshot) {
        self.next_participant = self.next_participant.max(snapshot.participant.0.saturating_add(1));
        for publication in &snapshot.publications {
            self.next_track = self.next_track.max(publication.track.0.saturating_add(1));
        }
    }

    /// Removes whoever may no longer be here by the credential it came with.
    pub(crate) fn recheck(&mut self, is_valid: impl Fn(&str, Option<&Credential>) -> bool) {
        let revoked: Vec<MemberId> = self
            .members
            .iter()
            .filter(|(_, entry)| !is_valid(&entry.identity, entry.credential.as_ref()))
            .map(|(member, _)| *member)
            .collect();
        for member in revoked {
            self.remove(member, LeaveReason::Revoked);
        }
    }

    /// Members whose sessions may be taken up.
    pub(crate) fn resumable(&self) -> impl Iterator<Item = (SessionId, MemberId)> {
        let waiting = self.members.iter().filter(|(_, entry)| entry.resumption.is_some());
        waiting.map(|(member, entry)| (entry.session.clone(), *member))
    }

    /// Somebody takes a member's session up: the room as it is now, and what flows in its slots in events behind that. The
    /// secret is not known here.
    pub(crate) fn reclaim(&mut self, now: Moment, member: MemberId) -> Option<Joined> {
        let entry = self.members.get_mut(&member)?;
        // Once more, if its client did not hear of the first time.
        let resumption = entry.resumption.take();
        if let Some(resumption) = resumption {
            self.deadlines.remove(&(resumption.by, Due::Resume(member)));
        }
        entry.ice_servers = self.config.ice_servers.issue(&entry.session, now.unix_ms);
        let flows: Vec<ServerEvent> = entry
            .flows
            .iter()
            .map(|(mid, state)| ServerEvent::Slot { mid: mid.clone(), state: *state })
            .collect();
        info!(participant = %entry.number, identity = entry.identity, "session taken up again");
        self.schedule_ice_refresh(now, member);
        let joined = self.joined(member, None);
        if let Some(entry) = self.members.get_mut(&member) {
            entry.ice_servers = Vec::new();
        }
        if resumption.is_some_and(|resumption| resumption.has_lost_topics) {
            self.close_topics_of(member, "the media node does not hold it any longer");
        }
        flows.into_iter().for_each(|flow| self.event_to(member, flow));
        if !self.speakers.is_empty() {
            self.event_to(member, ServerEvent::Speakers { speakers: self.speakers.clone() });
        }
        joined
    }

    /// Whoever took a session up was gone before it heard of it: the member waits again, for a whole window.
    pub(crate) fn lay_down(&mut self, now: Moment, member: MemberId) {
        let by = now.at + self.config.resume_window;
        let Some(entry) = self.members.get_mut(&member) else { return };
        entry.resumption = Some(Resumption { by, has_lost_topics: false });
        self.deadlines.insert((by, Due::Resume(member)));
    }

    /// Nobody took a session up in time.
    pub(super) fn expire_resumption(&mut self, member: MemberId) {
        self.remove(member, LeaveReason::ConnectionLost);
    }

    /// A member that came over HTTP: nobody takes it up again, and it lasts as long as its transport.
    pub(crate) fn set_resource(&mut self, member: MemberId) {
        if let Some(entry) = self.members.get_mut(&member) {
            entry.is_resource = true;
        }
    }

    /// How many members there are.
    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// What the node holds, against what it was told: a command may have been dropped while no link was there.
    pub(super) fn handle_synced(&mut self, transports: &[TransportSnapshot]) {
        let mut commands = Vec::new();
        for snapshot in transports {
            let entry = self.transports.get(&snapshot.transport).and_then(|member| self.members.get(member));
            // An offer on its way says all of this itself.
            let Some(entry) =
                entry.filter(|entry| entry.transport == snapshot.transport && entry.negotiation.is_none())
            else {
                continue;
            };
            for held in &snapshot.publications {
                // A track that its owner no longer may publish stays in its section, muted.
                let own = entry.tracks.iter().find(|own| own.id == held.track);
                let muted = own.is_none_or(|own| own.muted);
                if held.muted != muted {
                    commands.push(NodeCommand::SetMuted { room: self.id, track: held.track, muted });
                }
            }
            for held in &snapshot.slots {
                if let Some(source) = entry.shown.get(&held.mid)
                    && *source != held.source
                {
                    let (transport, mid) = (snapshot.transport, held.mid.clone());
                    commands.push(NodeCommand::SetSlot { transport, mid, source: *source });
                }
            }
        }
        if !commands.is_empty() {
            warn!(count = commands.len(), "the node missed commands, which it is told again");
        }
        commands.into_iter().for_each(|command| self.command(command));
    }
}

fn member_record(entry: &Member) -> (String, String) {
    let record = MemberRecord {
        version: VERSION,
        number: entry.number,
        joined_at_ms: entry.joined_at_ms,
        session: entry.session.clone(),
        identity: entry.identity.clone(),
        name: entry.name.clone(),
        metadata: entry.metadata.clone(),
        attributes: entry.attributes.clone(),
        hand_raised: entry.hand_raised,
        presence: entry.presence,
        grants: entry.grants.clone(),
        credential: entry.credential.clone(),
        video_stopped: entry.video_stopped,
        name_fixed: entry.name_fixed,
        metadata_fixed: entry.metadata_fixed,
        is_resource: entry.is_resource,
        transport: entry.transport,
        on_node: entry.on_node,
        topics: entry.topics.clone(),
        watches: entry.watches.clone(),
    };
    (format!("{MEMBER_KEY}{}", entry.number), json(&record))
}

fn json(record: &impl Serialize) -> String {
    serde_json::to_string(record).unwrap_or_default()
}

impl Member {
    /// What a slot shall show from here on, if it is one of its slots.
    pub(super) fn show(&mut self, mid: &Mid, source: Option<patchbay_protocol::SlotSource>) {
        if self.slots.contains(mid) {
            self.shown.insert(mid.clone(), source);
        }
    }
}
