//! One track at ingress: what arrives from its publisher, and what the publisher is asked for.

mod history;
mod nack;
mod reception;
mod sync;

use std::time::{Duration, Instant};

use patchbay_protocol::{MediaKind, Mid, ParticipantNumber, Source, TrackId};
use patchbay_sdp::NegotiatedSection;
use patchbay_wire::rtcp::ReportBlock;
use patchbay_wire::rtp::{PayloadType, RtpHeader, RtpTimestamp, SequenceNumber, Ssrc};

use super::codec::{ExtensionIds, Payload, payloads};
use super::key::{MemberKey, SlotKey};
use super::keyframe::KeyframeRequests;
use super::speaker::LevelMeter;

pub(crate) use history::{History, Insertion, PacketMeta};
pub(crate) use nack::NackGenerator;
pub(crate) use reception::{Arrival, Reception};
pub(crate) use sync::{PublisherClock, TrackClock};

/// Packets of video kept: about 2 s at 4 Mbit/s.
const VIDEO_HISTORY: usize = 1_024;
/// Packets of audio kept: about 5 s.
const AUDIO_HISTORY: usize = 256;
/// A payload type counts for at least this long.
const MIN_ACTIVE: Duration = Duration::from_millis(200);
/// Unsigned 16.16 fixed point seconds, as in report blocks.
const DELAY_UNITS: u128 = 65_536;

/// A track of a member.
#[derive(Debug)]
pub(crate) struct Track {
    pub(crate) id: TrackId,
    pub(crate) owner: MemberKey,
    pub(crate) participant: ParticipantNumber,
    pub(crate) mid: Mid,
    pub(crate) source: Source,
    pub(crate) is_muted: bool,
    pub(crate) payloads: Vec<Payload>,
    pub(crate) extensions: ExtensionIds,
    /// SSRCs the offer declared for it, retransmissions included.
    pub(crate) declared: Vec<Ssrc>,
    /// The stream that is taken for this track now.
    pub(crate) ssrc: Option<Ssrc>,
    /// Counts the streams that were: sequence numbers and timestamps are continuous within one.
    pub(crate) generation: u32,
    /// The payload type that arrives.
    pub(crate) active: Option<PayloadType>,
    active_since: Option<Instant>,
    pub(crate) last_packet: Option<Instant>,
    pub(crate) reception: Reception,
    pub(crate) nacks: NackGenerator,
    pub(crate) history: History,
    pub(crate) keyframes: KeyframeRequests,
    /// Number of the last FIR (RFC 5104 §4.3.1.1).
    pub(crate) fir_number: u8,
    pub(crate) clock: TrackClock,
    /// Middle of the last sender report's NTP time, and when it came.
    pub(crate) sender_report: Option<(u32, Instant)>,
    /// How loud it is; microphones only.
    pub(crate) meter: Option<LevelMeter>,
    /// Slots that show it or wait for its keyframe.
    pub(crate) slots: Vec<SlotKey>,
}

/// How a packet relates to those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Placed {
    /// Extended sequence number.
    pub(crate) sequence: u64,
    /// Whether no later packet came before it.
    pub(crate) is_newest: bool,
    /// Whether too much was lost before it to be asked for.
    pub(crate) is_outage: bool,
}

impl Track {
    pub(crate) fn new(
        id: TrackId,
        owner: MemberKey,
        participant: ParticipantNumber,
        mid: Mid,
        source: Source,
        section: &NegotiatedSection,
    ) -> Self {
        let history = match source.kind() {
            MediaKind::Audio => AUDIO_HISTORY,
            MediaKind::Video => VIDEO_HISTORY,
        };
        let mut track = Self {
            id,
            owner,
            participant,
            mid,
            source,
            is_muted: false,
            payloads: Vec::new(),
            extensions: ExtensionIds::default(),
            declared: Vec::new(),
            ssrc: None,
            generation: 0,
            active: None,
            active_since: None,
            last_packet: None,
            reception: Reception::default(),
            nacks: NackGenerator::default(),
            history: History::new(history),
            keyframes: KeyframeRequests::default(),
            fir_number: 0,
            clock: TrackClock::default(),
            sender_report: None,
            meter: (source == Source::Microphone).then(LevelMeter::default),
            slots: Vec::new(),
        };
        track.renegotiate(section);
        track
    }

    /// Takes what was agreed on, and keeps what is flowing.
    pub(crate) fn renegotiate(&mut self, section: &NegotiatedSection) {
        self.payloads = payloads(section);
        self.extensions = ExtensionIds::of(section);
        self.declared.clear();
        for source in &section.sources {
            self.declared.push(Ssrc(source.ssrc.0));
            self.declared.extend(source.rtx_ssrc.map(|rtx| Ssrc(rtx.0)));
        }
        self.active = self.active.filter(|active| self.payload(*active).is_some());
    }

    /// Silenced by its owner, or no longer.
    pub(crate) fn set_muted(&mut self, muted: bool) {
        self.is_muted = muted;
        if let Some(meter) = self.meter.as_mut().filter(|_| muted) {
            meter.silence();
        }
    }

    pub(crate) fn kind(&self) -> MediaKind {
        self.source.kind()
    }

    /// What a payload type means here.
    #[inline]
    pub(crate) fn payload(&self, payload_type: PayloadType) -> Option<&Payload> {
        self.payloads.iter().find(|payload| payload.payload_type == payload_type)
    }

    /// What the payload type of a retransmission means here.
    pub(crate) fn payload_of_rtx(&self, payload_type: PayloadType) -> Option<&Payload> {
        self.payloads.iter().find(|payload| payload.rtx == Some(payload_type))
    }

    /// The payload that arrives now, or would arrive first.
    pub(crate) fn likely_payload(&self) -> Option<&Payload> {
        self.active.and_then(|active| self.payload(active)).or_else(|| self.payloads.first())
    }

    /// Takes note of the payload type of a packet. Returns whether it is another than before. One that changes all the
    /// time is noticed only now and then, as all slots of the room may have to look at it.
    #[inline]
    pub(crate) fn handle_payload_type(&mut self, now: Instant, payload_type: PayloadType) -> bool {
        if self.active == Some(payload_type)
            || self.active_since.is_some_and(|since| now.saturating_duration_since(since) < MIN_ACTIVE)
        {
            return false;
        }
        self.active = Some(payload_type);
        self.active_since = Some(now);
        true
    }

    /// Gives an original packet its place. `None`: a stray number, or a duplicate.
    pub(crate) fn place(&mut self, now: Instant, header: &RtpHeader, asks: bool) -> Option<Placed> {
        let (sequence, after) = if self.ssrc == Some(header.ssrc) {
            match self.reception.place(header.sequence)? {
                Arrival::Running { sequence, after } => (sequence, after),
                Arrival::Restarted { sequence } => {
                    self.start_over();
                    return Some(Placed { sequence, is_newest: true, is_outage: false });
                }
            }
        } else {
            self.ssrc = Some(header.ssrc);
            let sequence = self.reception.restart(header.sequence);
            self.start_over();
            return Some(Placed { sequence, is_newest: true, is_outage: false });
        };
        if self.history.check(sequence) != Insertion::New {
            return None;
        }
        let mut is_outage = false;
        match after {
            Some(after) if asks => is_outage = !self.nacks.handle_gap(now, after, sequence),
            Some(_) => {}
            None => {
                self.nacks.handle_arrival(now, sequence);
            }
        }
        Some(Placed { sequence, is_newest: self.reception.highest() == Some(sequence), is_outage })
    }

    /// Gives a retransmitted packet its place. `None`: it is there already, or too old. Also returns the round trip that
    /// shows in it.
    pub(crate) fn place_recovered(
        &mut self,
        now: Instant,
        number: SequenceNumber,
    ) -> Option<(Placed, Option<Duration>)> {
        let sequence = self.reception.locate(number)?;
        if self.reception.highest().is_none_or(|highest| sequence > highest)
            || self.history.check(sequence) != Insertion::New
        {
            return None;
        }
        let round_trip = self.nacks.handle_arrival(now, sequence);
        Some((Placed { sequence, is_newest: false, is_outage: false }, round_trip))
    }

    fn start_over(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        self.nacks.clear();
        self.clock.restart();
        self.sender_report = None;
    }

    /// Takes note of a sender report.
    pub(crate) fn handle_sender_report(&mut self, now: Instant, middle: u32) {
        self.sender_report = Some((middle, now));
    }

    /// A report block on what arrived since the last one.
    pub(crate) fn report(&mut self, now: Instant) -> Option<ReportBlock> {
        let ssrc = self.ssrc?;
        let report = self.reception.report()?;
        let (last_sender_report, delay_since_last) = match self.sender_report {
            Some((middle, at)) => {
                let delay = now.saturating_duration_since(at).as_nanos() * DELAY_UNITS / 1_000_000_000;
                (middle, delay.min(u128::from(u32::MAX)) as u32)
            }
            None => (0, 0),
        };
        Some(ReportBlock {
            ssrc,
            fraction_lost: report.fraction_lost,
            cumulative_lost: report.cumulative_lost,
            highest_sequence: report.highest_sequence,
            jitter: report.jitter,
            last_sender_report,
            delay_since_last,
        })
    }

    /// Counts an original packet that is no duplicate.
    pub(crate) fn count(&mut self, now: Instant, arrival_ticks: u32, timestamp: RtpTimestamp) {
        self.last_packet = Some(now);
        self.reception.count(arrival_ticks, timestamp);
        self.clock.handle_packet(now, timestamp);
    }
}
