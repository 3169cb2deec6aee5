//! A member of the room: one transport with its tracks and slots.

use std::time::{Duration, Instant};

use patchbay_protocol::{ParticipantNumber, TransportId};
use patchbay_wire::rtp::Ssrc;

use super::forwarder::Forwarder;
use super::key::{SlotKey, TrackKey};
use super::speaker::Assignment;
use super::track::PublisherClock;
use crate::TransportKey;

/// SSRCs one transport may use. A camera with three encodings takes six.
const MAX_BINDINGS: usize = 128;
/// Slots whose numbers are remembered after their end: more than a transport may have at a time.
const MAX_RETIRED: usize = 256;
/// A round trip before anything was measured.
const FIRST_ROUND_TRIP: Duration = Duration::from_millis(100);
/// Longest round trip that is believed.
const MAX_ROUND_TRIP: Duration = Duration::from_secs(2);

/// One transport in the room.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) key: TransportKey,
    pub(crate) transport: TransportId,
    pub(crate) participant: ParticipantNumber,
    pub(crate) is_connected: bool,
    pub(crate) tracks: Vec<TrackKey>,
    pub(crate) slots: Vec<SlotKey>,
    pub(crate) bindings: Bindings,
    pub(crate) clock: PublisherClock,
    pub(crate) round_trip: RoundTrip,
    /// Whether RTCP without a report before it is understood (RFC 5506).
    pub(crate) takes_reduced_size: bool,
    /// When the next receiver report is due, once something was received.
    pub(crate) report_due: Option<Instant>,
    pub(crate) heard: Assignment,
    pub(crate) seen: Assignment,
    /// Forwarders of slots that are gone, for when their SSRC returns.
    retired: Vec<Forwarder>,
}

impl Member {
    pub(crate) fn new(key: TransportKey, transport: TransportId, participant: ParticipantNumber) -> Self {
        Self {
            key,
            transport,
            participant,
            is_connected: false,
            tracks: Vec::new(),
            slots: Vec::new(),
            bindings: Bindings::default(),
            clock: PublisherClock::default(),
            round_trip: RoundTrip::default(),
            takes_reduced_size: false,
            report_due: None,
            heard: Assignment::default(),
            seen: Assignment::default(),
            retired: Vec::new(),
        }
    }

    /// Keeps the numbers of a slot that is gone.
    pub(crate) fn retire(&mut self, forwarder: Option<Forwarder>) {
        let Some(mut forwarder) = forwarder else { return };
        forwarder.retire();
        if self.retired.len() >= MAX_RETIRED {
            self.retired.remove(0);
        }
        self.retired.push(forwarder);
    }

    /// Takes back what a slot of this SSRC left.
    pub(crate) fn revive(&mut self, ssrc: Ssrc) -> Option<Forwarder> {
        let at = self.retired.iter().position(|forwarder| forwarder.ssrc == ssrc)?;
        Some(self.retired.remove(at))
    }
}

/// What an SSRC of one transport stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binding {
    /// The track's media, or its retransmissions: the payload type tells which.
    Track(TrackKey),
    /// It was a track's that is gone, or that has another stream now. It may be named or declared again, but is not guessed
    /// to be another's: a peer goes on sending what it has just unpublished until it has its answer.
    Former,
}

/// SSRCs of one transport. Bound at first sight, as browsers stop naming the section once they know they were understood.
#[derive(Debug, Default)]
pub(crate) struct Bindings {
    /// Sorted by SSRC.
    known: Vec<(Ssrc, Binding)>,
}

impl Bindings {
    #[inline]
    pub(crate) fn find(&self, ssrc: Ssrc) -> Option<Binding> {
        let at = self.known.binary_search_by_key(&ssrc, |(known, _)| *known).ok()?;
        self.known.get(at).map(|(_, binding)| *binding)
    }

    /// Binds an SSRC, anew if it is known. Returns false if the table is full.
    pub(crate) fn bind(&mut self, ssrc: Ssrc, binding: Binding) -> bool {
        match self.known.binary_search_by_key(&ssrc, |(known, _)| *known) {
            Ok(at) => {
                if let Some(entry) = self.known.get_mut(at) {
                    entry.1 = binding;
                }
            }
            Err(_) => {
                if self.known.len() >= MAX_BINDINGS {
                    let former = self.known.iter().position(|(_, known)| *known == Binding::Former);
                    let Some(former) = former else { return false };
                    self.known.remove(former);
                }
                let at = self.known.partition_point(|(known, _)| *known < ssrc);
                self.known.insert(at, (ssrc, binding));
            }
        }
        true
    }

    /// A track is gone, and nothing stands for it any more.
    pub(crate) fn remove(&mut self, track: TrackKey) {
        for (_, binding) in self.known.iter_mut().filter(|(_, binding)| *binding == Binding::Track(track)) {
            *binding = Binding::Former;
        }
    }
}

/// The time there and back to a member, smoothed.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RoundTrip {
    mean: Option<Duration>,
}

impl RoundTrip {
    /// Takes a measurement.
    pub(crate) fn handle(&mut self, sample: Duration) {
        let sample = sample.min(MAX_ROUND_TRIP);
        self.mean = Some(self.mean.map_or(sample, |mean| mean * 7 / 8 + sample / 8));
    }

    /// The best guess.
    pub(crate) fn get(&self) -> Duration {
        self.mean.unwrap_or(FIRST_ROUND_TRIP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bindings_are_bounded_and_former_ones_make_room() {
        let mut tracks = crate::router::key::Table::<TrackKey, ()>::new();
        let (gone, other) = (tracks.insert(()), tracks.insert(()));
        let mut bindings = Bindings::default();
        let bound =
            (0..1_000).filter(|n| bindings.bind(Ssrc(n * 7919 % 1_000), Binding::Track(gone))).count();
        assert_eq!(bound, MAX_BINDINGS);
        assert!(bindings.bind(Ssrc(0), Binding::Track(gone)), "known already");
        assert!(!bindings.bind(Ssrc(5_000), Binding::Track(other)));
        bindings.remove(gone);
        assert_eq!(bindings.find(Ssrc(0)), Some(Binding::Former));
        let bound = (5_000..6_000).filter(|n| bindings.bind(Ssrc(*n), Binding::Track(other))).count();
        assert_eq!(bound, MAX_BINDINGS);
        assert_eq!(bindings.find(Ssrc(5_000)), Some(Binding::Track(other)));
    }
}
