//! Who is in the room, as the server tells it.

use std::collections::BTreeMap;

use patchbay_protocol::{ChatLine, Joined, LeaveReason, Participant, ParticipantNumber, ServerEvent};

/// What happens in a room.
#[derive(Debug, Clone, PartialEq)]
pub enum RoomEvent {
    /// Somebody came.
    Joined(Participant),
    /// Somebody is gone.
    Left(ParticipantNumber, LeaveReason),
    /// Somebody's entry changed.
    Updated(Participant),
    /// A chat line, also of one's own.
    Chat(ChatLine),
    /// The connection to the server is gone; another one is being made.
    Interrupted,
    /// It is there again. What was missed has been, or is being, told.
    Resumed,
    /// The stay was over, and has begun anew: the own number is another one.
    Rejoined,
    /// The server ended the stay for good, or can't be reached any more.
    Closed(String),
}

#[derive(Debug, Default)]
pub(super) struct Roster {
    pub(super) own: Option<Participant>,
    others: BTreeMap<ParticipantNumber, Participant>,
}

impl Roster {
    pub(super) fn participants(&self) -> Vec<Participant> {
        self.others.values().cloned().collect()
    }

    /// The room as it is now. Returns what that changes.
    pub(super) fn reset(&mut self, joined: &Joined) -> Vec<RoomEvent> {
        self.own = Some(joined.participant.clone());
        let now: BTreeMap<ParticipantNumber, Participant> =
            joined.participants.iter().map(|entry| (entry.number, entry.clone())).collect();
        let before = std::mem::replace(&mut self.others, now);
        let mut events = Vec::new();
        for number in before.keys().filter(|number| !self.others.contains_key(number)) {
            events.push(RoomEvent::Left(*number, LeaveReason::ConnectionLost));
        }
        for entry in self.others.values() {
            match before.get(&entry.number) {
                None => events.push(RoomEvent::Joined(entry.clone())),
                Some(known) if known != entry => events.push(RoomEvent::Updated(entry.clone())),
                Some(_) => {}
            }
        }
        events
    }

    /// One event of the server, if it concerns the roster or the chat.
    pub(super) fn apply(&mut self, event: ServerEvent) -> Option<RoomEvent> {
        match event {
            ServerEvent::ParticipantJoined { participant } => {
                self.others.insert(participant.number, participant.clone());
                Some(RoomEvent::Joined(participant))
            }
            ServerEvent::ParticipantUpdated { participant } => {
                self.others.insert(participant.number, participant.clone());
                Some(RoomEvent::Updated(participant))
            }
            ServerEvent::ParticipantLeft { participant, reason } => {
                self.others.remove(&participant);
                Some(RoomEvent::Left(participant, reason))
            }
            ServerEvent::TrackPublished { participant, track } => {
                let entry = self.others.get_mut(&participant)?;
                entry.tracks.retain(|known| known.id != track.id);
                entry.tracks.push(track);
                Some(RoomEvent::Updated(entry.clone()))
            }
            ServerEvent::TrackUnpublished { participant, track } => {
                let entry = self.others.get_mut(&participant)?;
                entry.tracks.retain(|known| known.id != track);
                Some(RoomEvent::Updated(entry.clone()))
            }
            ServerEvent::Chat { line } => Some(RoomEvent::Chat(line)),
            _ => None,
        }
    }
}
