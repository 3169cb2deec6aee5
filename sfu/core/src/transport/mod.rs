//! One ICE + DTLS + SRTP (+ SCTP) association: the transport of one participant.
//!
//! In go datagrams, time, and what is to be sent; out come decrypted RTP and RTCP (in place), [`TransportEvent`]s, and
//! runs of datagrams. It owns everything that makes a stranger's datagram trustworthy:
//!
//! 1. A STUN check counts only with a valid MESSAGE-INTEGRITY (`ice`). Nothing else of the message is looked at before.
//! 2. DTLS, RTP and RTCP are read only on paths that such a check has bound. The rest never reaches a state machine.
//! 3. The DTLS certificate has to match the fingerprint of the offer ([`dtls`]).
//! 4. SRTP authenticates each packet and refuses replays (`patchbay-wire`).
//!
//! What is dropped is counted by [`DropReason`], and nothing is logged. A transport is dead after
//! [`LIVENESS_TIMEOUT`] without anything authenticated, since a lite agent sends no consent checks of its own (RFC 7675).

pub mod data;
pub mod dtls;
mod egress_queue;
mod event;
mod ice;
mod identity;
mod overheard;
mod stats;
mod stun;
mod timeline;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use patchbay_protocol::{Step, TimelineStep};
use patchbay_sdp::{Candidate, DtlsRole, Fingerprint, IceCredentials};
use patchbay_wire::classify::{DatagramKind, classify};
use patchbay_wire::rtp::{ExtendedSequence, RtpHeader};
use patchbay_wire::srtp::{SrtpError, SrtpKeys, SrtpProfile, SrtpReceiver, SrtpSender};
use rtc_crypto::RTCCryptoProvider;

use self::data::DataChannels;
use self::dtls::{Dtls, DtlsEvent};
use self::ice::IceLite;
use self::timeline::Timeline;
use crate::{ChannelKey, DataMessage, OutgoingRtp, Path, Repetition, SendOutcome, Transmit, TransportKey};

pub use data::{ChannelInfo, DeclareError, Reliability};
pub use egress_queue::{EgressQueue, MAX_RUN_BYTES, MAX_RUN_SEGMENTS, Pacer};
pub use event::{FailReason, MessageKind, TransportError, TransportEvent};
pub use ice::{MAX_PATHS, PATH_EXPIRY};
pub use identity::Identity;
pub use stats::{DropCounts, DropReason, TransportStats};
pub(crate) use stun::claimed_ufrag;

/// A connected transport is dead after this long without anything authenticated from the peer. Browsers check every 2.5 to
/// 5 s (RFC 7675 asks for consent every 5 s and ends it after 30).
pub const LIVENESS_TIMEOUT: Duration = Duration::from_secs(15);
/// A transport that is not connected after this long is dead.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// What a transport is made from.
#[derive(Debug, Clone)]
pub struct TransportSetup {
    /// Its key in its worker.
    pub key: TransportKey,
    /// What our answer says.
    pub local_ice: IceCredentials,
    /// What the offer says.
    pub remote_ice: IceCredentials,
    /// The offer's fingerprints; at least one by SHA-256.
    pub remote_fingerprints: Vec<Fingerprint>,
    /// Who begins DTLS.
    pub dtls_role: DtlsRole,
    /// Data channels, if they were negotiated.
    pub data: Option<DataSetup>,
}

/// How data channels were negotiated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DataSetup {
    /// The offer's `a=max-message-size`, in bytes.
    pub max_message_bytes: Option<u64>,
}

/// What became of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// The transport has used it. There may be events, and something to transmit.
    Consumed,
    /// An authenticated RTP packet, decrypted in place.
    Rtp {
        /// Length in bytes of the plaintext at the start of the datagram.
        len: usize,
        /// Its header, already read.
        header: RtpHeader,
        /// Its sequence number with its roll-over count.
        index: ExtendedSequence,
    },
    /// An authenticated compound RTCP packet, decrypted in place.
    Rtcp {
        /// Length in bytes of the plaintext at the start of the datagram.
        len: usize,
    },
    /// Dropped, counted, without effect.
    Dropped(DropReason),
}

/// One participant's transport.
pub struct Transport {
    key: TransportKey,
    crypto: Arc<dyn RTCCryptoProvider>,
    phase: Phase,
    ice: IceLite,
    dtls: Dtls,
    srtp: Option<Srtp>,
    data: Option<DataChannels>,
    /// What the random numbers of SCTP are made of.
    seed: u64,
    egress: EgressQueue,
    events: VecDeque<TransportEvent>,
    stats: TransportStats,
    timeline: Timeline,
    /// When the connect timeout strikes, or when to look next whether the peer is still there. The latter moves only when
    /// it is reached, so that a packet does not move a timer.
    alive_until: Instant,
    heard_at: Instant,
    scratch: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Connecting,
    Connected,
    Dead,
}

struct Srtp {
    sender: SrtpSender,
    receiver: SrtpReceiver,
}

impl Transport {
    /// A transport that awaits its peer.
    ///
    /// # Errors
    /// [`TransportError::NoUsableFingerprint`], and [`TransportError::Crypto`] if the provider lacks what is needed.
    pub fn new(
        now: Instant,
        setup: TransportSetup,
        identity: &Identity,
        crypto: Arc<dyn RTCCryptoProvider>,
    ) -> Result<Self, TransportError> {
        let mut seed = [0; 8];
        crypto.random().fill(&mut seed)?;
        let seed = u64::from_be_bytes(seed);
        Ok(Self {
            key: setup.key,
            phase: Phase::Connecting,
            ice: IceLite::new(&setup.local_ice, &setup.remote_ice, crypto.as_ref())?,
            dtls: Dtls::new(setup.dtls_role, identity, &setup.remote_fingerprints, crypto.clone())?,
            srtp: None,
            seed,
            data: setup.data.map(|it| DataChannels::new(it.max_message_bytes, seed)),
            egress: EgressQueue::default(),
            events: VecDeque::new(),
            stats: TransportStats::default(),
            timeline: Timeline::new(now),
            alive_until: now + CONNECT_TIMEOUT,
            heard_at: now,
            scratch: Vec::new(),
            crypto,
        })
    }

    /// Its key in its worker.
    #[inline]
    pub fn key(&self) -> TransportKey {
        self.key
    }

    /// Takes one datagram. RTP and RTCP are decrypted in place.
    #[inline]
    pub fn handle_datagram(&mut self, now: Instant, path: Path, datagram: &mut [u8]) -> Received {
        if self.phase == Phase::Dead {
            return self.drop(DropReason::Dead);
        }
        let kind = classify(datagram);
        let received = match kind {
            DatagramKind::Stun => self.handle_stun(now, path, datagram),
            DatagramKind::Other => Err(DropReason::UnknownKind),
            _ if !self.ice.is_bound(path) => Err(DropReason::UnboundPath),
            DatagramKind::Rtp => self.handle_rtp(datagram),
            DatagramKind::Rtcp => self.handle_rtcp(datagram),
            DatagramKind::Dtls => self.handle_dtls(now, path, datagram),
        };
        match received {
            Ok(received) => {
                self.stats.datagrams_in += 1;
                self.stats.bytes_in += datagram.len() as u64;
                if matches!(received, Received::Rtp { .. } | Received::Rtcp { .. }) {
                    self.heard_at = now;
                    self.ice.note_media(now, path, &mut self.events);
                    if self.stats.rtp_in == 1 && matches!(received, Received::Rtp { .. }) {
                        self.timeline.note(now, Step::MediaIn {});
                    }
                }
                received
            }
            Err(reason) => {
                if kind == DatagramKind::Stun {
                    self.timeline.note_refusal(now, &path.remote, reason);
                }
                self.drop(reason)
            }
        }
    }

    /// Takes new ICE credentials of both sides (RFC 8445 §9). The path in use keeps working until the peer nominates one
    /// under the new credentials.
    ///
    /// # Errors
    /// [`TransportError::Crypto`].
    pub fn restart_ice(
        &mut self,
        now: Instant,
        local: &IceCredentials,
        remote: &IceCredentials,
    ) -> Result<(), TransportError> {
        self.ice.restart(local, remote, self.crypto.as_ref(), &mut self.events)?;
        // A peer that restarts because its network went away gets the time to come back.
        self.heard_at = now;
        if self.phase == Phase::Connecting {
            self.alive_until = now + CONNECT_TIMEOUT;
        }
        Ok(())
    }

    /// Takes a trickled candidate. A lite agent sends no checks, so it has no use for it: the peer's own checks reveal
    /// its addresses.
    pub fn add_remote_candidate(&mut self, _candidate: &Candidate) {}

    /// Accepts data channels from now on, if it did not.
    pub fn enable_data(&mut self, now: Instant, setup: DataSetup) {
        if self.data.is_none() {
            let mut data = DataChannels::new(setup.max_message_bytes, self.seed);
            if self.phase == Phase::Connected && self.dtls.role() == DtlsRole::Client {
                data.connect();
            }
            self.data = Some(data);
            self.flush(now);
        }
    }

    /// Another transport was authenticated on this path since: it is no longer ours. No event follows.
    pub fn lose_path(&mut self, path: Path) {
        self.ice.lose(path);
    }

    /// The connection that this path was has ended.
    pub fn handle_path_closed(&mut self, path: Path) {
        self.ice.handle_path_closed(path, &mut self.events);
    }

    /// Where media goes now.
    pub fn selected_path(&self) -> Option<Path> {
        self.ice.selected()
    }

    /// Writes, encrypts and queues an RTP packet. What can't be sent is dropped and counted.
    #[inline]
    pub fn send_rtp(&mut self, packet: &OutgoingRtp<'_>) {
        let result = match &mut self.srtp {
            Some(srtp) if self.phase == Phase::Connected => self.egress.push_rtp(packet, &mut srtp.sender),
            _ => Err(DropReason::NoPath),
        };
        match result {
            Ok(()) => self.stats.rtp_out += 1,
            Err(reason) => self.stats.dropped.count(reason),
        }
    }

    /// Encrypts and queues a compound RTCP packet. What can't be sent is dropped and counted.
    pub fn send_rtcp(&mut self, compound: &[u8]) {
        let result = match &mut self.srtp {
            Some(srtp) if self.phase == Phase::Connected => self.egress.push_rtcp(compound, &mut srtp.sender),
            _ => Err(DropReason::NoPath),
        };
        match result {
            Ok(()) => self.stats.rtcp_out += 1,
            Err(reason) => self.stats.dropped.count(reason),
        }
    }

    /// Queues a data channel message.
    pub fn send_message(
        &mut self,
        now: Instant,
        channel: ChannelKey,
        message: DataMessage<'_>,
        repetition: Repetition,
    ) -> SendOutcome {
        let Some(data) = &mut self.data else { return SendOutcome::Gone };
        data.send(now, channel, message, repetition, &mut self.stats.dropped)
    }

    /// Bytes that a channel would take now before it is above its high-water mark; 0 if there is no such channel.
    pub fn channel_room(&self, channel: ChannelKey) -> usize {
        self.data.as_ref().map_or(0, |data| data.room(channel))
    }

    /// Takes back a message that can't be relayed yet: its sender is slowed down until
    /// [`release_channel`](Self::release_channel).
    pub fn hold_channel(&mut self, channel: ChannelKey, kind: MessageKind, payload: Bytes) {
        if let Some(data) = &mut self.data {
            data.hold(channel, kind, payload);
        }
    }

    /// Gives the messages that were held again, as events, and reads on.
    pub fn release_channel(&mut self, channel: ChannelKey) {
        if let Some(data) = &mut self.data {
            data.release(channel, &mut self.events);
        }
    }

    /// A data channel that is negotiated out of band (RFC 8831 §6.5), on a transport that has data channels at all.
    ///
    /// # Errors
    /// [`DeclareError`].
    pub fn declare_channel(&mut self, info: ChannelInfo) -> Result<(), DeclareError> {
        match &mut self.data {
            Some(data) => data.declare(info, &mut self.events),
            None => Ok(()),
        }
    }

    /// Opens a data channel of our own. Says whether it could be asked for: the association must be up.
    pub fn open_channel(&mut self, now: Instant, info: ChannelInfo) -> bool {
        let is_asked = self.data.as_mut().is_some_and(|data| data.open(info));
        self.flush(now);
        is_asked
    }

    /// Closes a data channel.
    pub fn close_channel(&mut self, now: Instant, channel: ChannelKey) {
        if let Some(data) = &mut self.data {
            data.close(channel);
        }
        self.flush(now);
    }

    /// Says goodbye (DTLS close_notify) and ends. What is left is polled from [`poll_transmit`](Self::poll_transmit).
    pub fn close(&mut self, now: Instant) {
        if self.phase != Phase::Dead {
            self.dtls.close(now);
            self.flush(now);
            self.phase = Phase::Dead;
            self.egress.clear_media();
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.phase == Phase::Dead {
            return;
        }
        if self.alive_until <= now {
            self.check_liveness(now);
        }
        self.ice.handle_timeout(now, &mut self.events);
        self.dtls.handle_timeout(now);
        if let Some(data) = &mut self.data {
            data.handle_timeout(now, &mut self.events, &mut self.stats.dropped);
        }
        self.flush(now);
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called. `None` once the transport is dead.
    pub fn deadline(&self) -> Option<Instant> {
        if self.phase == Phase::Dead {
            return None;
        }
        let others =
            [self.ice.deadline(), self.dtls.deadline(), self.data.as_ref().and_then(DataChannels::deadline)];
        others.into_iter().flatten().chain([self.alive_until]).min()
    }

    /// Whether [`poll_transmit`](Self::poll_transmit) may have something.
    #[inline]
    pub fn has_transmit(&self) -> bool {
        self.egress.has_transmit(self.ice.selected())
            || self.data.as_ref().is_some_and(DataChannels::has_transmit)
    }

    /// Packs the data channel messages that were queued since the last time, so that those that came together share packets.
    /// Says whether there were any: [`deadline`](Self::deadline) may have moved then.
    #[inline]
    pub fn prepare_transmit(&mut self, now: Instant) -> bool {
        let is_due = self.data.as_ref().is_some_and(DataChannels::has_transmit);
        if is_due {
            self.flush(now);
        }
        is_due
    }

    /// The next datagrams to send: control first, then media.
    #[inline]
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit<'_>> {
        self.prepare_transmit(now);
        let transmit = self.egress.poll_transmit(now, self.ice.selected())?;
        let bytes = transmit.contents.len();
        let datagrams = transmit.segment_size.map_or(1, |size| bytes.div_ceil(size));
        self.stats.transmits_out += 1;
        if self.stats.rtp_out > 0 && !self.timeline.is_media_out {
            self.timeline.is_media_out = true;
            self.timeline.note(now, Step::MediaOut {});
        }
        self.stats.datagrams_out += datagrams as u64;
        self.stats.bytes_out += bytes as u64;
        Some(transmit)
    }

    /// The next event.
    #[inline]
    pub fn poll_event(&mut self) -> Option<TransportEvent> {
        loop {
            match (self.events.pop_front()?, &mut self.data) {
                // Behind one that is held.
                (TransportEvent::Message { channel, kind, payload }, Some(data))
                    if data.is_holding(channel) =>
                {
                    data.hold(channel, kind, payload);
                }
                (event, _) => return Some(event),
            }
        }
    }

    /// Whether [`poll_event`](Self::poll_event) has something. Media brings events too: a peer with several nominated paths
    /// chooses by sending.
    #[inline]
    pub fn has_event(&self) -> bool {
        !self.events.is_empty() || self.timeline.has_news()
    }

    /// Adds a step to the timeline that only the owner knows of.
    pub fn note(&mut self, now: Instant, step: Step) {
        self.timeline.note(now, step);
    }

    /// The steps on the way to media that were not taken yet, in order.
    pub fn take_steps(&mut self) -> Vec<TimelineStep> {
        self.timeline.take()
    }

    /// Whether media can flow.
    pub fn is_connected(&self) -> bool {
        self.phase == Phase::Connected
    }

    /// Whether the transport has failed, was closed, or closed itself.
    pub fn is_dead(&self) -> bool {
        self.phase == Phase::Dead
    }

    /// What protects the media, once connected.
    pub fn srtp_profile(&self) -> Option<SrtpProfile> {
        self.srtp.as_ref().map(|it| it.sender.profile())
    }

    /// All authenticated paths, to be taken out of the demux when the transport goes.
    pub fn paths(&self) -> impl Iterator<Item = Path> + '_ {
        self.ice.paths()
    }

    /// The local user name fragments in use, to be taken out of the demux when the transport goes.
    pub fn local_ufrags(&self) -> impl Iterator<Item = &str> {
        self.ice.local_ufrags()
    }

    /// Counters since the start.
    pub fn stats(&self) -> TransportStats {
        TransportStats { selected_path: self.ice.selected(), ..self.stats }
    }

    fn handle_stun(&mut self, now: Instant, path: Path, datagram: &[u8]) -> Result<Received, DropReason> {
        let mut reply = std::mem::take(&mut self.scratch);
        reply.clear();
        let was_nominated = self.ice.is_nominated();
        let result = self.ice.handle(now, path, datagram, &mut reply, &mut self.events);
        let result = result.and_then(|()| self.egress.push_control(path, &reply));
        self.scratch = reply;
        result?;
        self.stats.checks_in += 1;
        self.heard_at = now;
        if !was_nominated && self.ice.is_nominated() {
            self.timeline.note(now, Step::Nominated { from: path.remote.to_string() });
        }
        if !self.dtls.has_begun() && self.dtls.role() == DtlsRole::Client {
            if let Err(error) = self.dtls.connect(now, &SrtpProfile::ALL) {
                self.fail(FailReason::Internal(error.to_string()));
            }
            self.flush(now);
        }
        Ok(Received::Consumed)
    }

    #[inline]
    fn handle_rtp(&mut self, datagram: &mut [u8]) -> Result<Received, DropReason> {
        let srtp = self.srtp.as_mut().ok_or(DropReason::NotConnected)?;
        let header = RtpHeader::parse(datagram).map_err(|_| DropReason::MalformedRtp)?;
        let packet =
            srtp.receiver.unprotect_rtp(datagram, &header).map_err(|error| inbound_reason(&error))?;
        self.stats.rtp_in += 1;
        Ok(Received::Rtp { len: packet.len, header, index: packet.index })
    }

    fn handle_rtcp(&mut self, datagram: &mut [u8]) -> Result<Received, DropReason> {
        let srtp = self.srtp.as_mut().ok_or(DropReason::NotConnected)?;
        let len = srtp.receiver.unprotect_rtcp(datagram).map_err(|error| inbound_reason(&error))?;
        self.stats.rtcp_in += 1;
        Ok(Received::Rtcp { len })
    }

    fn handle_dtls(&mut self, now: Instant, path: Path, datagram: &[u8]) -> Result<Received, DropReason> {
        let had_begun = self.dtls.has_begun();
        let result = self.dtls.handle(now, datagram);
        if !had_begun && self.dtls.has_begun() {
            self.timeline.note(now, Step::DtlsBegun {});
        }
        while let Some(event) = self.dtls.poll_event() {
            match event {
                DtlsEvent::Connected(keys) => self.connect(now, path, keys),
                DtlsEvent::Data(packet) => {
                    // Decrypted, so it is the peer's.
                    self.heard_at = now;
                    match &mut self.data {
                        Some(data) => data.handle(now, &packet, &mut self.events, &mut self.stats.dropped),
                        None => self.stats.dropped.count(DropReason::UnexpectedData),
                    }
                }
                DtlsEvent::Closed => {
                    self.flush(now);
                    self.phase = Phase::Dead;
                    self.events.push_back(TransportEvent::Closed);
                }
                DtlsEvent::Failed(reason) => {
                    self.flush(now);
                    self.fail(reason);
                }
            }
        }
        self.flush_dtls();
        result.map(|()| Received::Consumed)
    }

    fn connect(&mut self, now: Instant, path: Path, keys: Option<SrtpKeys>) {
        if let Some(keys) = &keys {
            match (SrtpSender::new(keys), SrtpReceiver::new(keys)) {
                (Ok(sender), Ok(receiver)) => self.srtp = Some(Srtp { sender, receiver }),
                (Err(error), _) | (_, Err(error)) => {
                    self.fail(FailReason::Internal(error.to_string()));
                    return;
                }
            }
        }
        self.phase = Phase::Connected;
        self.heard_at = now;
        self.alive_until = now + LIVENESS_TIMEOUT;
        self.ice.note_media(now, path, &mut self.events);
        self.events.push_back(TransportEvent::Connected { srtp_profile: keys.map(|it| it.profile()) });
        if self.dtls.role() == DtlsRole::Client
            && let Some(data) = &mut self.data
        {
            data.connect();
        }
    }

    /// Moves what SCTP wants to send into DTLS, and what DTLS wants to send into the queue.
    fn flush(&mut self, now: Instant) {
        if let Some(data) = &mut self.data {
            while let Some(packet) = data.poll_transmit(now, &mut self.stats.dropped) {
                self.dtls.send(now, &packet);
            }
        }
        self.flush_dtls();
    }

    /// Moves what DTLS wants to send into the queue.
    fn flush_dtls(&mut self) {
        while let Some(datagram) = self.dtls.poll_transmit() {
            let result = match self.ice.selected() {
                Some(path) => self.egress.push_control(path, &datagram),
                None => Err(DropReason::NoPath),
            };
            if let Err(reason) = result {
                self.stats.dropped.count(reason);
            }
        }
    }

    fn check_liveness(&mut self, now: Instant) {
        if self.phase == Phase::Connecting {
            let reason = if self.dtls.has_begun() {
                FailReason::DtlsTimeout
            } else if self.stats.checks_in > 0 {
                FailReason::DtlsNeverBegan
            } else if self.stats.dropped.of(DropReason::BadIntegrity)
                + self.stats.dropped.of(DropReason::WrongUsername)
                > 0
            {
                FailReason::BadPassword
            } else {
                FailReason::NoCheck
            };
            self.fail(reason);
            return;
        }
        let due = self.heard_at + LIVENESS_TIMEOUT;
        if due <= now {
            self.fail(FailReason::Silent);
        } else {
            self.alive_until = due;
        }
    }

    fn fail(&mut self, reason: FailReason) {
        if self.phase != Phase::Dead {
            self.phase = Phase::Dead;
            self.egress.clear_media();
            self.events.push_back(TransportEvent::Failed(reason));
        }
    }

    fn drop(&mut self, reason: DropReason) -> Received {
        self.stats.dropped.count(reason);
        Received::Dropped(reason)
    }
}

fn inbound_reason(error: &SrtpError) -> DropReason {
    match error {
        SrtpError::Replayed => DropReason::Replayed,
        SrtpError::AuthenticationFailed | SrtpError::NotEncrypted => DropReason::BadTag,
        SrtpError::TooManyStreams => DropReason::TooManyStreams,
        SrtpError::Provider(_) => DropReason::Internal,
        _ => DropReason::MalformedRtp,
    }
}
