//! The peer itself: description, ICE, DTLS, SRTP, RTCP and data channels put together.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use patchbay_sdp::{Candidate, DtlsRole};
use patchbay_sfu_core::transport::data::{ChannelInfo, DataChannels, Reliability};
use patchbay_sfu_core::transport::dtls::{Dtls, DtlsEvent};
use patchbay_sfu_core::transport::{DropCounts, EgressQueue, FailReason, MessageKind, TransportEvent};
use patchbay_sfu_core::{ChannelKey, DataMessage, Path, Repetition, SendOutcome, Transmit};
use patchbay_wire::classify::{DatagramKind, classify};
use patchbay_wire::rtp::{ExtendedSequence, RtpHeader, SequenceNumber};
use patchbay_wire::rtx;
use patchbay_wire::srtp::{SrtpProfile, SrtpReceiver, SrtpSender};
use rtc_crypto::RTCCryptoProvider;

use crate::answer::Answer;
use crate::description::{Direction, MediaKind, NamedSource, PeerSetup, VideoCodec, write_offer};
use crate::feedback::{self, Feedback, Inbound};
use crate::ice::Ice;
use crate::outbound::{Outbound, RtpToSend, ntp};

/// Sender and receiver reports go out this often.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// What a peer could not do.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// The answer lacks something.
    #[error("answer: {0}")]
    Answer(&'static str),
    /// ICE, DTLS or the crypto provider refused.
    #[error("{0}")]
    Refused(String),
}

impl PeerError {
    fn refused(error: impl std::fmt::Display) -> Self {
        Self::Refused(error.to_string())
    }
}

/// What happened to a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerEvent {
    /// Media and data can flow.
    Connected {
        /// What protects the media.
        srtp_profile: Option<SrtpProfile>,
    },
    /// The server wants a keyframe.
    KeyframeRequested {
        /// For this section.
        mid: String,
        /// And this simulcast encoding.
        rid: Option<String>,
    },
    /// A data channel is open.
    ChannelOpened(ChannelInfo),
    /// The server closed a data channel.
    ChannelClosed(ChannelKey),
    /// A message came.
    Message {
        /// On this channel.
        channel: ChannelKey,
        /// Text or binary.
        kind: MessageKind,
        /// The payload.
        payload: Bytes,
    },
    /// DTLS failed.
    Failed(FailReason),
    /// The server said goodbye.
    Closed,
}

/// What became of a datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerReceived {
    /// Used by the peer itself. There may be events.
    Consumed,
    /// An RTP packet, decrypted in place.
    Rtp {
        /// Length in bytes of the plaintext at the start of the datagram.
        len: usize,
        /// Its header.
        header: RtpHeader,
        /// Its sequence number with its roll-over count.
        index: ExtendedSequence,
    },
    /// A retransmission that brought a packet which was still missing.
    Recovered {
        /// The stream of the original.
        ssrc: u32,
        /// Its number there.
        sequence: SequenceNumber,
        /// The header of the retransmission; marker and timestamp are the original's.
        header: RtpHeader,
        /// Where the original's payload lies in the datagram.
        payload: Range<usize>,
    },
    /// A compound RTCP packet, decrypted in place. The peer has read it already.
    Rtcp {
        /// Length in bytes of the plaintext at the start of the datagram.
        len: usize,
    },
    /// Not for us, not authentic, or seen before.
    Dropped,
}

/// Counters of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PeerStats {
    /// RTP packets received, without retransmissions.
    pub rtp_in: u64,
    /// Their payload bytes.
    pub rtp_bytes_in: u64,
    /// Packets that a retransmission brought.
    pub recovered_in: u64,
    /// RTCP packets received.
    pub rtcp_in: u64,
    /// RTP packets sent, without retransmissions.
    pub rtp_out: u64,
    /// Packets sent again.
    pub resent: u64,
    /// Packets asked for with NACK, at least.
    pub nacks_out: u64,
    /// Packets that the server asked for.
    pub nacks_in: u64,
    /// Keyframe requests received.
    pub keyframe_requests_in: u64,
    /// Datagrams dropped.
    pub dropped: u64,
}

/// A WebRTC client without sockets.
pub struct SansIoPeer {
    setup: PeerSetup,
    crypto: Arc<dyn RTCCryptoProvider>,
    started: Instant,
    offers: u32,
    ice: Ice,
    dtls: Option<Dtls>,
    srtp: Option<(SrtpSender, SrtpReceiver)>,
    data: Option<DataChannels>,
    waiting_channels: Vec<ChannelInfo>,
    next_channel: u16,
    answer: Option<Answer>,
    outbound: Vec<Outbound>,
    inbound: Vec<Inbound>,
    /// Streams that the server retransmits on, with the streams they repair.
    repairs: BTreeMap<u32, u32>,
    transport_sequence: u16,
    next_report: Option<Instant>,
    queue: EgressQueue,
    events: VecDeque<PeerEvent>,
    channel_events: VecDeque<TransportEvent>,
    dropped: DropCounts,
    stats: PeerStats,
    scratch: Vec<u8>,
    is_over: bool,
}

impl SansIoPeer {
    /// A peer that has not offered anything yet.
    ///
    /// # Errors
    /// [`PeerError::Refused`] if there is no randomness or the address is of no use.
    pub fn new(
        now: Instant,
        setup: PeerSetup,
        crypto: Arc<dyn RTCCryptoProvider>,
    ) -> Result<Self, PeerError> {
        let ice = Ice::new(now, setup.address, crypto.clone()).map_err(PeerError::refused)?;
        let mut outbound = Vec::new();
        let has_rtx = |kind| setup.has_retransmission && kind == MediaKind::Video;
        for section in setup.sections.iter().filter(|it| it.direction == Direction::SendOnly) {
            let rids: Vec<_> = section.rids.iter().cloned().map(Some).collect();
            for rid in if rids.is_empty() { vec![None] } else { rids } {
                let rtx = if has_rtx(section.kind) { Some(random_ssrc(crypto.as_ref())?) } else { None };
                let ssrc = random_ssrc(crypto.as_ref())?;
                // The first number is below 2^15, or the roll-over could be lost with the first packets (RFC 3711 §3.3.1).
                let first = (random_ssrc(crypto.as_ref())? & 0x7fff) as u16;
                outbound.push(Outbound::new(&section.mid, rid, section.kind, ssrc, rtx, first));
            }
        }
        Ok(Self {
            setup,
            crypto,
            started: now,
            offers: 0,
            ice,
            dtls: None,
            srtp: None,
            data: None,
            waiting_channels: Vec::new(),
            next_channel: 0,
            answer: None,
            outbound,
            inbound: Vec::new(),
            repairs: BTreeMap::new(),
            transport_sequence: 0,
            next_report: None,
            queue: EgressQueue::default(),
            events: VecDeque::new(),
            channel_events: VecDeque::new(),
            dropped: DropCounts::default(),
            stats: PeerStats::default(),
            scratch: Vec::new(),
            is_over: false,
        })
    }

    /// An offer of everything in the setup. Later ones differ in their version, and after a restart in their credentials.
    pub fn offer(&mut self) -> String {
        self.offers += 1;
        let sources: Vec<_> = self
            .setup
            .sections
            .iter()
            .map(|section| {
                let source = self.outbound.iter().find(|it| it.mid == section.mid && it.rid.is_none())?;
                Some(NamedSource { ssrc: source.ssrc, rtx_ssrc: source.rtx_ssrc })
            })
            .collect();
        let fingerprint = self.setup.identity.fingerprint();
        write_offer(&self.setup, self.offers, &self.ice.credentials(), &fingerprint, &sources)
    }

    /// Takes the answer to the last offer. Connecting begins with the first, a new path is sought when the credentials
    /// have changed.
    ///
    /// # Errors
    /// [`PeerError::Answer`] if the answer is of no use, [`PeerError::Refused`] if ICE or DTLS say so.
    pub fn accept_answer(&mut self, now: Instant, sdp: &str) -> Result<(), PeerError> {
        let answer = Answer::parse(sdp)?;
        if self.answer.as_ref().is_none_or(|before| before.ice != answer.ice) {
            self.ice.start(now, &answer.ice, &answer.candidates).map_err(PeerError::refused)?;
        }
        if self.dtls.is_none() {
            let role = if answer.is_dtls_client { DtlsRole::Server } else { DtlsRole::Client };
            if role == DtlsRole::Server && self.waiting_channels.is_empty() {
                // The DTLS server's streams are odd.
                self.next_channel = 1;
            }
            let dtls = Dtls::new(role, &self.setup.identity, &answer.fingerprints, self.crypto.clone());
            self.dtls = Some(dtls.map_err(PeerError::refused)?);
        }
        if self.data.is_none() && answer.sections.iter().any(|it| it.media == "application" && it.is_accepted)
        {
            let seed = u64::from(random_ssrc(self.crypto.as_ref())?) << 32
                | u64::from(random_ssrc(self.crypto.as_ref())?);
            self.data = Some(DataChannels::new(answer.max_message_bytes, seed));
        }
        self.repairs = answer.sections.iter().filter_map(|it| Some((it.rtx_ssrc?, it.ssrc?))).collect();
        self.answer = Some(answer);
        self.drain(now);
        Ok(())
    }

    /// Takes a trickled candidate of the server.
    pub fn add_candidate(&mut self, now: Instant, candidate: &Candidate) {
        // One that cannot be used is none.
        let _ = self.ice.add_remote(candidate);
        self.drain(now);
    }

    /// Adds a section; it takes effect with the next offer and answer.
    pub fn add_section(&mut self, section: crate::Section) -> Result<(), PeerError> {
        if section.direction == Direction::SendOnly {
            let rtx = (self.setup.has_retransmission && section.kind == MediaKind::Video)
                .then(|| random_ssrc(self.crypto.as_ref()))
                .transpose()?;
            let ssrc = random_ssrc(self.crypto.as_ref())?;
            self.outbound.push(Outbound::new(&section.mid, None, section.kind, ssrc, rtx, 1));
        }
        self.setup.sections.push(section);
        Ok(())
    }

    /// Begins an ICE restart from `address`, which may be a new one: give the offer that follows to the server. Media goes on
    /// over the old path until there is a new one.
    ///
    /// # Errors
    /// [`PeerError::Refused`].
    pub fn restart_ice(&mut self, now: Instant, address: SocketAddr) -> Result<String, PeerError> {
        self.ice.restart(now, address).map_err(PeerError::refused)?;
        self.setup.address = address;
        Ok(self.offer())
    }

    /// Takes one datagram. RTP and RTCP are decrypted in place.
    pub fn handle_datagram(&mut self, now: Instant, path: Path, datagram: &mut [u8]) -> PeerReceived {
        let received = match classify(datagram) {
            DatagramKind::Stun => {
                self.ice.handle(now, path, datagram);
                Some(PeerReceived::Consumed)
            }
            DatagramKind::Dtls => {
                let is_taken = self.dtls.as_mut().is_some_and(|dtls| dtls.handle(now, datagram).is_ok());
                is_taken.then_some(PeerReceived::Consumed)
            }
            DatagramKind::Rtp => return self.handle_rtp(now, datagram),
            DatagramKind::Rtcp => self.handle_rtcp(now, datagram),
            DatagramKind::Other => None,
        };
        self.drain(now);
        received.unwrap_or_else(|| {
            self.stats.dropped += 1;
            PeerReceived::Dropped
        })
    }

    /// The number of a stream for [`send_rtp`](Self::send_rtp): a section's mid, and a rid with simulcast.
    pub fn stream(&self, mid: &str, rid: Option<&str>) -> Option<usize> {
        self.outbound.iter().position(|it| it.mid == mid && it.rid.as_deref() == rid)
    }

    /// The SSRC of a stream that the peer sends.
    pub fn stream_ssrc(&self, stream: usize) -> Option<u32> {
        self.outbound.get(stream).map(|it| it.ssrc)
    }

    /// Sends an RTP packet. Says whether it was queued: false before the peer is connected.
    pub fn send_rtp(&mut self, now: Instant, stream: usize, packet: &RtpToSend<'_>) -> bool {
        let (Some(stream), Some((sender, _))) = (self.outbound.get_mut(stream), &mut self.srtp) else {
            return false;
        };
        self.transport_sequence = self.transport_sequence.wrapping_add(1);
        self.stats.rtp_out += 1;
        stream.send(now, packet, self.transport_sequence, &mut self.queue, sender)
    }

    /// Sends a compound RTCP packet as it is.
    pub fn send_rtcp(&mut self, compound: &[u8]) -> bool {
        self.srtp.as_mut().is_some_and(|(sender, _)| self.queue.push_rtcp(compound, sender).is_ok())
    }

    /// Asks for a keyframe of a stream that the peer receives (PLI).
    pub fn request_keyframe(&mut self, ssrc: u32) -> bool {
        let mut request = Vec::new();
        feedback::write_receiver_report(self.started, self.own_ssrc(), &mut [], &mut request);
        feedback::write_keyframe_request(self.own_ssrc(), ssrc, &mut request);
        self.send_rtcp(&request)
    }

    /// Opens a data channel, as soon as that is possible.
    pub fn open_channel(
        &mut self,
        now: Instant,
        label: &str,
        protocol: &str,
        is_ordered: bool,
        reliability: Reliability,
    ) -> ChannelKey {
        // The DTLS client's streams are even (RFC 8832 §6).
        let key = ChannelKey(self.next_channel);
        self.next_channel += 2;
        let (label, protocol) = (label.to_owned(), protocol.to_owned());
        self.waiting_channels.push(ChannelInfo { key, label, protocol, is_ordered, reliability });
        self.drain(now);
        key
    }

    /// Sends a message.
    pub fn send_message(
        &mut self,
        now: Instant,
        channel: ChannelKey,
        message: DataMessage<'_>,
    ) -> SendOutcome {
        let Some(data) = &mut self.data else { return SendOutcome::Gone };
        let outcome = data.send(now, channel, message, Repetition::OfChannel, &mut self.dropped);
        self.drain(now);
        outcome
    }

    /// Has a data channel that is negotiated out of band, on the stream of this number.
    ///
    /// # Errors
    /// [`PeerError::Refused`] before the answer, or if the number is taken.
    pub fn declare_channel(&mut self, now: Instant, info: ChannelInfo) -> Result<(), PeerError> {
        let data = self.data.as_mut().ok_or_else(|| PeerError::refused("there are no data channels"))?;
        data.declare(info, &mut self.channel_events).map_err(PeerError::refused)?;
        self.drain(now);
        Ok(())
    }

    /// Sends messages from now on that are longer than the server takes, if told to.
    pub fn lift_message_limit(&mut self) {
        if let Some(data) = &mut self.data {
            data.lift_message_limit();
        }
    }

    /// Closes a data channel.
    pub fn close_channel(&mut self, now: Instant, channel: ChannelKey) {
        if let Some(data) = &mut self.data {
            data.close(channel);
        }
        self.drain(now);
    }

    /// Says goodbye (DTLS close_notify).
    pub fn close(&mut self, now: Instant) {
        if let Some(dtls) = &mut self.dtls {
            dtls.close(now);
        }
        self.drain(now);
        self.is_over = true;
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.is_over {
            return;
        }
        self.ice.handle_timeout(now);
        if let Some(dtls) = &mut self.dtls {
            dtls.handle_timeout(now);
        }
        if let Some(data) = &mut self.data {
            data.handle_timeout(now, &mut self.channel_events, &mut self.dropped);
        }
        self.ask_for_missing(now);
        self.report(now);
        self.drain(now);
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called.
    pub fn deadline(&mut self) -> Option<Instant> {
        if self.is_over {
            return None;
        }
        let others = [
            self.ice.deadline(),
            self.dtls.as_ref().and_then(Dtls::deadline),
            self.data.as_ref().and_then(DataChannels::deadline),
            self.next_report,
        ];
        let missing = self.inbound.iter().filter_map(Inbound::deadline).min();
        others.into_iter().flatten().chain(missing).min()
    }

    /// The next datagrams to send: one, or a run of equal size.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit<'_>> {
        self.queue.poll_transmit(now, self.ice.path())
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<PeerEvent> {
        self.events.pop_front()
    }

    /// The last answer.
    pub fn answer(&self) -> Option<&Answer> {
        self.answer.as_ref()
    }

    /// Whether media can flow.
    pub fn is_connected(&self) -> bool {
        self.dtls.as_ref().is_some_and(Dtls::is_connected)
    }

    /// Where media goes.
    pub fn path(&self) -> Option<Path> {
        self.ice.path()
    }

    /// Counters since the start.
    pub fn stats(&self) -> PeerStats {
        self.stats
    }

    /// Packets of a stream that never came, not even as retransmissions in time.
    pub fn lost(&self, ssrc: u32) -> Option<u64> {
        self.inbound.iter().find(|it| it.ssrc == ssrc).map(Inbound::lost)
    }

    fn handle_rtp(&mut self, now: Instant, datagram: &mut [u8]) -> PeerReceived {
        let received = self.unprotect(now, datagram);
        received.unwrap_or_else(|| {
            self.stats.dropped += 1;
            PeerReceived::Dropped
        })
    }

    fn unprotect(&mut self, now: Instant, datagram: &mut [u8]) -> Option<PeerReceived> {
        let (_, receiver) = self.srtp.as_mut()?;
        let header = RtpHeader::parse(datagram).ok()?;
        let packet = receiver.unprotect_rtp(datagram, &header).ok()?;
        let plaintext = datagram.get(..packet.len)?;
        if let Some(&ssrc) = self.repairs.get(&header.ssrc.0) {
            let range = header.payload_range(plaintext).ok()?;
            let (sequence, payload) = rtx::split_payload(plaintext.get(range.clone())?)?;
            let stream = self.inbound.iter_mut().find(|it| it.ssrc == ssrc)?;
            if !stream.recover(sequence.0) {
                return Some(PeerReceived::Consumed);
            }
            stream.receive(now, 0, false);
            self.stats.recovered_in += 1;
            let payload = range.end - payload.len()..range.end;
            return Some(PeerReceived::Recovered { ssrc, sequence, header, payload });
        }
        self.stats.rtp_in += 1;
        self.stats.rtp_bytes_in += (packet.len - header.header_len()) as u64;
        let at = match self.inbound.iter().position(|it| it.ssrc == header.ssrc.0) {
            Some(at) => at,
            None => {
                self.inbound.push(Inbound::new(header.ssrc.0, packet.index.0));
                self.inbound.len() - 1
            }
        };
        let wants_missing =
            self.setup.has_retransmission && self.repairs.values().any(|&it| it == header.ssrc.0);
        if let Some(stream) = self.inbound.get_mut(at) {
            stream.receive(now, packet.index.0, wants_missing);
        }
        Some(PeerReceived::Rtp { len: packet.len, header, index: packet.index })
    }

    fn handle_rtcp(&mut self, now: Instant, datagram: &mut [u8]) -> Option<PeerReceived> {
        let (_, receiver) = self.srtp.as_mut()?;
        let len = receiver.unprotect_rtcp(datagram).ok()?;
        self.stats.rtcp_in += 1;
        let mut found = Vec::new();
        feedback::read(datagram.get(..len)?, |it| found.push(it));
        for feedback in found {
            match feedback {
                Feedback::Nack { ssrc, sequence } => self.resend(ssrc, sequence),
                Feedback::KeyframeRequest { ssrc } => {
                    if let Some(stream) = self.outbound.iter().find(|it| it.ssrc == ssrc) {
                        self.stats.keyframe_requests_in += 1;
                        let (mid, rid) = (stream.mid.clone(), stream.rid.clone());
                        self.events.push_back(PeerEvent::KeyframeRequested { mid, rid });
                    }
                }
                Feedback::ReportBlock { ssrc } => {
                    if let Some(stream) = self.outbound.iter_mut().find(|it| it.ssrc == ssrc) {
                        stream.is_known = true;
                    }
                }
                Feedback::SenderReport { ssrc, ntp } => {
                    if let Some(stream) = self.inbound.iter_mut().find(|it| it.ssrc == ssrc) {
                        stream.note_sender_report(now, ntp);
                    }
                }
            }
        }
        Some(PeerReceived::Rtcp { len })
    }

    fn resend(&mut self, ssrc: u32, sequence: u16) {
        self.stats.nacks_in += 1;
        let (Some(stream), Some((sender, _))) =
            (self.outbound.iter_mut().find(|it| it.ssrc == ssrc), &mut self.srtp)
        else {
            return;
        };
        let all = [VideoCodec::Vp8, VideoCodec::Vp9, VideoCodec::H264, VideoCodec::Av1];
        let rtx_type =
            |media| all.iter().map(|it| it.payload_types()).find(|it| it.0 == media).map(|it| it.1);
        self.transport_sequence = self.transport_sequence.wrapping_add(1);
        if stream.resend(sequence, rtx_type, self.transport_sequence, &mut self.queue, sender) {
            self.stats.resent += 1;
        }
    }

    fn ask_for_missing(&mut self, now: Instant) {
        let Some((sender, _)) = &mut self.srtp else { return };
        let own = self.outbound.first().map_or(1, |it| it.ssrc);
        for stream in &mut self.inbound {
            if stream.deadline().is_some_and(|due| due <= now) {
                self.scratch.clear();
                stream.write_nack(now, own, &mut self.scratch);
                if !self.scratch.is_empty() && self.queue.push_rtcp(&self.scratch, sender).is_ok() {
                    self.stats.nacks_out += 1;
                }
            }
        }
    }

    fn report(&mut self, now: Instant) {
        let Some((sender, _)) = &mut self.srtp else { return };
        let Some(due) = self.next_report.filter(|&due| due <= now) else { return };
        self.next_report = Some((due + REPORT_INTERVAL).max(now));
        let time = ntp(self.started, now);
        self.scratch.clear();
        for stream in &self.outbound {
            stream.write_report(now, time, stream.clock_rate(), &mut self.scratch);
        }
        let own = self.outbound.first().map_or(1, |it| it.ssrc);
        feedback::write_receiver_report(now, own, &mut self.inbound, &mut self.scratch);
        // A full queue only means that this report is not sent.
        let _ = self.queue.push_rtcp(&self.scratch, sender);
    }

    /// Moves everything on: ICE → DTLS → SCTP and back down into the queue.
    fn drain(&mut self, now: Instant) {
        while let Some((path, datagram)) = self.ice.poll_transmit() {
            let _ = self.queue.push_control(path, &datagram);
        }
        let Some(dtls) = &mut self.dtls else { return };
        if self.ice.path().is_some()
            && !dtls.has_begun()
            && let Err(error) = dtls.connect(now, &self.setup.srtp_profiles)
        {
            self.events.push_back(PeerEvent::Failed(FailReason::Internal(error.to_string())));
        }
        while let Some(event) = dtls.poll_event() {
            match event {
                DtlsEvent::Connected(keys) => {
                    self.srtp = keys
                        .as_ref()
                        .and_then(|keys| Some((SrtpSender::new(keys).ok()?, SrtpReceiver::new(keys).ok()?)));
                    self.next_report = Some(now + REPORT_INTERVAL);
                    let srtp_profile = keys.map(|it| it.profile());
                    self.events.push_back(PeerEvent::Connected { srtp_profile });
                }
                DtlsEvent::Data(packet) => {
                    if let Some(data) = &mut self.data {
                        data.handle(now, &packet, &mut self.channel_events, &mut self.dropped);
                    }
                }
                DtlsEvent::Closed => {
                    self.is_over = true;
                    self.events.push_back(PeerEvent::Closed);
                }
                DtlsEvent::Failed(reason) => {
                    self.is_over = true;
                    self.events.push_back(PeerEvent::Failed(reason));
                }
            }
        }
        if let Some(data) = &mut self.data {
            if dtls.is_connected() && dtls.role() == DtlsRole::Client {
                data.connect();
            }
            if data.is_up() {
                for info in self.waiting_channels.drain(..) {
                    data.open(info);
                }
            }
            while let Some(packet) = data.poll_transmit(now, &mut self.dropped) {
                dtls.send(now, &packet);
            }
        }
        while let Some(event) = self.channel_events.pop_front() {
            self.events.extend(match event {
                TransportEvent::ChannelOpened(info) => Some(PeerEvent::ChannelOpened(info)),
                TransportEvent::ChannelClosed(key) => Some(PeerEvent::ChannelClosed(key)),
                TransportEvent::Message { channel, kind, payload } => {
                    Some(PeerEvent::Message { channel, kind, payload })
                }
                _ => None,
            });
        }
        if let Some(path) = self.ice.path() {
            while let Some(datagram) = dtls.poll_transmit() {
                let _ = self.queue.push_control(path, &datagram);
            }
        }
    }

    fn own_ssrc(&self) -> u32 {
        self.outbound.first().map_or(1, |it| it.ssrc)
    }
}

fn random_ssrc(crypto: &dyn RTCCryptoProvider) -> Result<u32, PeerError> {
    let mut bytes = [0; 4];
    crypto.random().fill(&mut bytes).map_err(PeerError::refused)?;
    Ok(u32::from_be_bytes(bytes).max(1))
}
