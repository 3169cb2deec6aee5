//! The peer: joins, publishes, receives, and tells.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use patchbay_protocol::{
    Answer, ClientRequest, Description, Joined, MediaKind, Mid, Participant, PublicationOffer, Reply, Resume,
    RoomName, ServerEvent, SlotOffer, SlotSource, TransportState,
};
use rtc::peer_connection::configuration::RTCOfferOptions;
use rtc::rtp_transceiver::rtp_sender::RtpCodecKind;
use tokio::sync::{mpsc, watch};
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::peer_connection::{
    PeerConnection, RTCConfigurationBuilder, RTCIceCandidateInit, RTCIceServer, RTCIceTransportPolicy,
    RTCSessionDescription, StatsSelector,
};
use webrtc::rtp_transceiver::{RTCRtpTransceiverDirection, RTCRtpTransceiverInit, RtpTransceiver};

use crate::http::{Request, request};
use crate::publish::Outgoing;
use crate::signaling::{self, Signaling};
use crate::stats::{ConnectionState, Ledger, PeerStats, RosterEntry};
use crate::topic::Topic;
use crate::{PeerConfig, PeerError, Publication, Way, connection};

/// How often a condition is looked at while somebody waits for it.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// One participant. Dropping it without [`Peer::leave`] leaves the room by silence of its transport.
pub struct Peer {
    connection: Arc<dyn PeerConnection>,
    signaling: Option<Signaling>,
    session: Option<Resume>,
    resource: Option<String>,
    ledger: Arc<Mutex<Ledger>>,
    state: watch::Receiver<ConnectionState>,
    topics: Vec<Topic>,
    config: PeerConfig,
}

impl Peer {
    /// Joins a room and negotiates, in one offer. Media starts by itself as soon as the transport is connected;
    /// [`Self::connected`] waits for that.
    pub async fn join(config: PeerConfig) -> Result<Self, PeerError> {
        let identity = config.identity.clone().unwrap_or_default();
        let ledger = Arc::new(Mutex::new(Ledger::new(&config.room, &identity)));
        let offers_levels = config
            .publications
            .iter()
            .any(|publication| matches!(publication, Publication::Audio { loudness: Some(_), .. }));
        let (state_sender, state) = watch::channel(ConnectionState::New);
        let connection =
            connection::open(config.bind, config.over_tcp, offers_levels, state_sender, Arc::clone(&ledger))
                .await?;
        let mut peer = Self {
            connection,
            signaling: None,
            session: None,
            resource: None,
            ledger,
            state,
            topics: Vec::new(),
            config,
        };
        match peer.negotiate().await {
            Ok(()) => Ok(peer),
            Err(error) => {
                let _ = peer.connection.close().await;
                Err(error)
            }
        }
    }

    async fn negotiate(&mut self) -> Result<(), PeerError> {
        let mut sending = Vec::new();
        let stream = self.config.identity.clone().unwrap_or_else(|| "patchbay-peer".to_owned());
        for (number, publication) in self.config.publications.iter().enumerate() {
            let outgoing = Outgoing::new(publication.clone(), &stream, number);
            let init = RTCRtpTransceiverInit {
                direction: RTCRtpTransceiverDirection::Sendonly,
                streams: vec![stream.clone()],
                send_encodings: outgoing.track.track().await.codings().to_vec(),
            };
            let track = Arc::clone(&outgoing.track) as Arc<dyn TrackLocal>;
            let transceiver = self.connection.add_transceiver_from_track(track, Some(init)).await?;
            sending.push((transceiver, outgoing));
        }
        let mut receiving = Vec::new();
        for (kind, sources) in
            [(MediaKind::Audio, &self.config.audio_slots), (MediaKind::Video, &self.config.video_slots)]
        {
            for source in sources {
                let codec_kind = match kind {
                    MediaKind::Audio => RtpCodecKind::Audio,
                    MediaKind::Video => RtpCodecKind::Video,
                };
                let init = RTCRtpTransceiverInit {
                    direction: RTCRtpTransceiverDirection::Recvonly,
                    streams: Vec::new(),
                    send_encodings: Vec::new(),
                };
                let transceiver = self.connection.add_transceiver_from_kind(codec_kind, Some(init)).await?;
                receiving.push((transceiver, kind, *source));
            }
        }
        for channel in &self.config.channels {
            self.topics.push(Topic::open(&self.connection, channel, &self.ledger).await?);
        }

        let offer = self.connection.create_offer(None).await?;
        let mut description = Description {
            sdp: offer.sdp.clone(),
            publications: Vec::new(),
            slots: Vec::new(),
            channels: Vec::new(),
        };
        for (transceiver, outgoing) in &sending {
            let mid = mid_of(transceiver).await?;
            self.ledger().stats.publications.push(outgoing.stats(&mid));
            description.publications.push(PublicationOffer {
                mid: Mid::from(mid.as_str()),
                source: outgoing.publication.source(),
                muted: false,
            });
        }
        for (transceiver, kind, source) in &receiving {
            let mid = mid_of(transceiver).await?;
            self.ledger().add_slot(&mid, *kind, *source);
            description.slots.push(SlotOffer { mid: Mid::from(mid.as_str()), source: *source, group: None });
        }
        self.ledger().stats.offers_made += 1;

        let answer = match self.config.way {
            Way::Signaling => self.join_by_signaling(description).await?,
            Way::Whip | Way::Whep => self.join_by_http(&offer.sdp).await?,
        };
        self.connection.set_local_description(offer).await?;
        self.apply_remote(answer).await?;

        for (at, (transceiver, outgoing)) in sending.into_iter().enumerate() {
            let Some(sender) = transceiver.sender().await? else { continue };
            let (ledger, mut state) = (Arc::clone(&self.ledger), self.state.clone());
            tokio::spawn(async move {
                if state.wait_for(|state| *state == ConnectionState::Connected).await.is_err() {
                    return;
                }
                if let Err(error) = outgoing.play(sender, at, Arc::clone(&ledger)).await {
                    let mut ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
                    ledger.stats.ended.get_or_insert_with(|| format!("publishing stopped: {error}"));
                }
            });
        }
        tokio::spawn(follow_state(self.state.clone(), Arc::clone(&self.ledger)));
        Ok(())
    }

    async fn join_by_signaling(&mut self, description: Description) -> Result<String, PeerError> {
        let (signaling, events) =
            signaling::connect(&self.config.server, self.config.token.as_deref(), self.config.patience)
                .await?;
        let reply = signaling
            .request(ClientRequest::Join {
                room: RoomName::from(self.config.room.as_str()),
                identity: self.config.identity.clone(),
                name: self.config.name.clone(),
                metadata: None,
                offer: Some(description),
            })
            .await?;
        let Reply::Joined(joined) = reply else {
            return Err(PeerError::Unexpected("a join that is not answered by joined".to_owned()));
        };
        let Joined { session, secret, participant, participants, ice_servers, answer, .. } = *joined;
        self.session = Some(Resume { session, secret, epoch: None, last_seq: 0 });
        let answer = answer.ok_or_else(|| PeerError::Unexpected("a join without an answer".to_owned()))?;
        {
            let mut ledger = self.ledger();
            ledger.stats.participant = Some(participant.number);
            ledger.stats.identity = participant.identity;
            ledger.stats.roster = participants.iter().map(roster_entry).collect();
            apply_answer(&mut ledger, &answer);
        }
        let ice_servers: Vec<RTCIceServer> = ice_servers
            .into_iter()
            .map(|server| RTCIceServer {
                urls: server.urls,
                username: server.username.unwrap_or_default(),
                credential: server.credential.unwrap_or_default(),
            })
            .collect();
        if !ice_servers.is_empty() {
            let policy =
                if self.config.relay { RTCIceTransportPolicy::Relay } else { RTCIceTransportPolicy::All };
            let configuration = RTCConfigurationBuilder::new()
                .with_ice_servers(ice_servers)
                .with_ice_transport_policy(policy)
                .build();
            self.connection.set_configuration(configuration).await?;
        }
        tokio::spawn(follow_events(events, Arc::clone(&self.ledger)));
        self.signaling = Some(signaling);
        Ok(answer.sdp)
    }

    async fn join_by_http(&mut self, sdp: &str) -> Result<String, PeerError> {
        let server = self.config.server.trim_end_matches('/');
        let path = if self.config.way == Way::Whip { "whip" } else { "whep" };
        let mut query = Vec::new();
        if let Some(identity) = &self.config.identity {
            query.push(format!("identity={identity}"));
        }
        if let Some(source) = &self.config.whep_source {
            query.push(format!("source={source}"));
        }
        let url = format!("{server}/{path}/{}?{}", self.config.room, query.join("&"));
        let response = request(Request {
            method: "POST",
            url: url.trim_end_matches('?'),
            headers: self.http_headers("application/sdp"),
            body: sdp.as_bytes(),
        })
        .await?
        .success()?;
        let location = response
            .header("location")
            .ok_or_else(|| PeerError::Unexpected("a resource without a Location".to_owned()))?;
        self.resource =
            Some(if location.starts_with('/') { format!("{server}{location}") } else { location.to_owned() });
        Ok(response.body)
    }

    fn http_headers(&self, content_type: &'static str) -> Vec<(&'static str, String)> {
        let mut headers = vec![("content-type", content_type.to_owned())];
        if let Some(token) = &self.config.token {
            headers.push(("authorization", format!("Bearer {token}")));
        }
        headers
    }

    /// Waits until media can flow, at most as long as the configured patience.
    pub async fn connected(&self) -> Result<(), PeerError> {
        self.wait(self.config.patience, "the transport", |stats| stats.state == ConnectionState::Connected)
            .await
            .map(|_| ())
    }

    /// The statistics as they are now.
    pub fn stats(&self) -> PeerStats {
        self.ledger().snapshot()
    }

    /// The same, with the NACKs that the stack sent, which only it knows.
    pub async fn full_stats(&self) -> PeerStats {
        let report = self.connection.get_stats(Instant::now(), StatsSelector::None).await;
        let mut stats = self.stats();
        for inbound in report.inbound_rtp_streams() {
            let ssrc = inbound.received_rtp_stream_stats.rtp_stream_stats.ssrc;
            if let Some(slot) = stats.slots.iter_mut().find(|slot| slot.ssrc == ssrc) {
                slot.nacks = u64::from(inbound.nack_count);
            }
        }
        stats
    }

    /// Waits until a condition holds, and returns the statistics it held for; fails at the deadline, with `what` in the error.
    pub async fn wait(
        &self,
        deadline: Duration,
        what: &str,
        mut condition: impl FnMut(&PeerStats) -> bool,
    ) -> Result<PeerStats, PeerError> {
        let started = Instant::now();
        loop {
            let stats = self.stats();
            if condition(&stats) {
                return Ok(stats);
            }
            if started.elapsed() >= deadline {
                return Err(PeerError::Timeout {
                    what: format!("{what} ({})", summary(&stats)),
                    waited_ms: deadline.as_millis() as u64,
                });
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// The media section of the n-th slot of a kind, from 0, in the order of the configuration.
    pub fn slot_mid(&self, kind: MediaKind, number: usize) -> Result<String, PeerError> {
        let ledger = self.ledger();
        let found = ledger.stats.slots_of(kind).nth(number).map(|slot| slot.mid.clone());
        found.ok_or_else(|| PeerError::Unknown(format!("{kind:?} slot {number}")))
    }

    /// Switches a slot to another source. No offer is made.
    pub async fn set_slot(&self, mid: &str, source: Option<SlotSource>) -> Result<(), PeerError> {
        self.request(ClientRequest::Slot { mid: Mid::from(mid), source }).await.map(|_| ())
    }

    /// Makes any request of the client protocol.
    pub async fn request(&self, request: ClientRequest) -> Result<Reply, PeerError> {
        let signaling =
            self.signaling.as_ref().ok_or_else(|| PeerError::Unknown("signaling connection".to_owned()))?;
        signaling.request(request).await
    }

    /// Its session, as another connection would take it up; `None` with WHIP and WHEP. Messages are not counted.
    pub fn session(&self) -> Option<&Resume> {
        self.session.as_ref()
    }

    /// The signaling connection, unless the peer came by WHIP or WHEP.
    pub fn signaling(&self) -> Option<&Signaling> {
        self.signaling.as_ref()
    }

    /// The WHIP or WHEP resource.
    pub fn resource(&self) -> Option<&str> {
        self.resource.as_deref()
    }

    /// Sends a text on a data channel.
    pub async fn send_text(&self, label: &str, text: &str) -> Result<(), PeerError> {
        self.topic(label)?.send_text(text).await
    }

    /// Sends bytes on a data channel.
    pub async fn send(&self, label: &str, bytes: &[u8]) -> Result<(), PeerError> {
        self.topic(label)?.send(bytes).await
    }

    fn topic(&self, label: &str) -> Result<&Topic, PeerError> {
        let found = self.topics.iter().find(|topic| topic.label == label);
        found.ok_or_else(|| PeerError::Unknown(format!("data channel {label}")))
    }

    /// The USERNAME of the peer's connectivity checks (RFC 8445 §7.2.2): the server's ufrag, a colon, its own.
    pub async fn ice_username(&self) -> Option<String> {
        let remote = self.connection.remote_description().await?;
        let local = self.connection.local_description().await?;
        Some(format!("{}:{}", ufrag(&remote.sdp)?, ufrag(&local.sdp)?))
    }

    /// Restarts ICE from new local sockets, as after a change of network: one more offer, the same sections and tracks.
    pub async fn restart_ice(&self) -> Result<(), PeerError> {
        let options = RTCOfferOptions { ice_restart: true };
        let offer = self.connection.create_offer(Some(options)).await?;
        let sdp = offer.sdp.clone();
        self.connection.set_local_description(offer).await?;
        let publications = {
            let mut ledger = self.ledger();
            ledger.stats.offers_made += 1;
            ledger
                .stats
                .publications
                .iter()
                .map(|publication| PublicationOffer {
                    mid: Mid::from(publication.mid.as_str()),
                    source: publication.source,
                    muted: false,
                })
                .collect()
        };
        let offer = Description { sdp, publications, slots: Vec::new(), channels: Vec::new() };
        let Reply::Answered(answer) = self.request(ClientRequest::Offer { offer }).await? else {
            return Err(PeerError::Unexpected("an offer that is not answered".to_owned()));
        };
        apply_answer(&mut self.ledger(), &answer);
        self.apply_remote(answer.sdp).await
    }

    async fn apply_remote(&self, sdp: String) -> Result<(), PeerError> {
        let addresses = candidate_addresses(&sdp);
        self.ledger().addresses = addresses;
        let sdp = match self.config.through {
            Some(relay) => lead_through(&sdp, relay),
            None => sdp,
        };
        if !self.config.over_tcp {
            self.connection.set_remote_description(RTCSessionDescription::answer(sdp)?).await?;
            return Ok(());
        }
        // The stack connects only to candidates that come by themselves.
        let is_candidate = |line: &&str| line.starts_with("a=candidate:");
        let rest: String =
            sdp.lines().filter(|line| !is_candidate(line)).map(|it| format!("{it}\r\n")).collect();
        self.connection.set_remote_description(RTCSessionDescription::answer(rest)?).await?;
        let mut seen = Vec::new();
        for line in sdp.lines().filter(is_candidate).filter(|line| line.contains(" tcptype passive")) {
            if !seen.contains(&line) {
                seen.push(line);
                let candidate = line.trim_start_matches("a=").to_owned();
                let init = RTCIceCandidateInit { candidate, sdp_mline_index: Some(0), ..Default::default() };
                self.connection.add_ice_candidate(init).await?;
            }
        }
        Ok(())
    }

    /// The server's UDP candidates, from its latest answer.
    pub fn server_addresses(&self) -> Vec<SocketAddr> {
        self.ledger().addresses.clone()
    }

    /// Leaves the room and closes everything.
    pub async fn leave(&self) -> Result<(), PeerError> {
        if let Some(signaling) = &self.signaling {
            let _ = signaling.request(ClientRequest::Leave {}).await;
            signaling.close();
        }
        if let Some(resource) = &self.resource {
            let headers = self.http_headers("application/sdp");
            let _ = request(Request { method: "DELETE", url: resource, headers, body: &[] }).await;
        }
        self.connection.close().await?;
        Ok(())
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn mid_of(transceiver: &Arc<dyn RtpTransceiver>) -> Result<String, PeerError> {
    transceiver.mid().await?.ok_or_else(|| PeerError::Unexpected("an offer without a mid".to_owned()))
}

fn ufrag(sdp: &str) -> Option<&str> {
    sdp.lines().find_map(|line| line.strip_prefix("a=ice-ufrag:"))
}

/// The addresses of the UDP candidates of an SDP (RFC 8839 §5.1).
fn candidate_addresses(sdp: &str) -> Vec<SocketAddr> {
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for line in sdp.lines().filter_map(|line| line.strip_prefix("a=candidate:")) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, _, protocol, _, ip, port, ..] = fields.as_slice() else { continue };
        if let (true, Ok(ip), Ok(port)) = (protocol.eq_ignore_ascii_case("udp"), ip.parse(), port.parse())
            && !addresses.contains(&SocketAddr::new(ip, port))
        {
            addresses.push(SocketAddr::new(ip, port));
        }
    }
    addresses
}

/// The same SDP with one candidate, the relay, in place of each section's own.
fn lead_through(sdp: &str, relay: SocketAddr) -> String {
    let mut led = String::with_capacity(sdp.len());
    let mut is_led = false;
    for line in sdp.lines() {
        is_led &= !line.starts_with("m=");
        if !line.starts_with("a=candidate:") {
            led.push_str(line);
        } else if !is_led {
            led.push_str(&format!("a=candidate:1 1 udp 2130706431 {} {} typ host", relay.ip(), relay.port()));
            is_led = true;
        } else {
            continue;
        }
        led.push_str("\r\n");
    }
    led
}

fn apply_answer(ledger: &mut Ledger, answer: &Answer) {
    for accepted in &answer.publications {
        if let Some(stats) =
            ledger.stats.publications.iter_mut().find(|stats| stats.mid == accepted.mid.as_str())
        {
            stats.track = Some(accepted.track);
        }
    }
    for accepted in &answer.slots {
        if let Some(slot) = ledger.slot_mut(accepted.mid.as_str()) {
            slot.ssrc = accepted.ssrc;
        }
    }
}

fn roster_entry(participant: &Participant) -> RosterEntry {
    RosterEntry {
        number: participant.number,
        identity: participant.identity.clone(),
        sources: participant.tracks.iter().map(|track| track.source).collect(),
    }
}

async fn follow_state(mut state: watch::Receiver<ConnectionState>, ledger: Arc<Mutex<Ledger>>) {
    loop {
        let now = *state.borrow_and_update();
        {
            let mut ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
            ledger.stats.state = now;
            if now == ConnectionState::Connected && ledger.stats.connected_ms.is_none() {
                ledger.stats.connected_ms = Some(ledger.elapsed_ms());
            }
        }
        if state.changed().await.is_err() {
            break;
        }
    }
}

async fn follow_events(mut events: mpsc::UnboundedReceiver<ServerEvent>, ledger: Arc<Mutex<Ledger>>) {
    while let Some(event) = events.recv().await {
        let mut ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
        apply_event(&mut ledger, event);
    }
    let mut ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
    ledger.stats.ended.get_or_insert_with(|| "signaling connection closed".to_owned());
}

fn apply_event(ledger: &mut Ledger, event: ServerEvent) {
    let stats = &mut ledger.stats;
    match event {
        ServerEvent::ParticipantJoined { participant } | ServerEvent::ParticipantUpdated { participant } => {
            stats.roster.retain(|entry| entry.number != participant.number);
            stats.roster.push(roster_entry(&participant));
        }
        ServerEvent::ParticipantLeft { participant, .. } => {
            stats.roster.retain(|entry| entry.number != participant);
        }
        ServerEvent::TrackPublished { participant, track } => {
            if let Some(entry) = stats.roster.iter_mut().find(|entry| entry.number == participant)
                && !entry.sources.contains(&track.source)
            {
                entry.sources.push(track.source);
            }
        }
        ServerEvent::Slot { mid, state } => {
            if let Some(slot) = ledger.slot_mut(mid.as_str()) {
                slot.source = state.source;
                slot.participant = state.participant;
                slot.track = state.track;
                slot.paused = state.paused;
            }
        }
        ServerEvent::Speakers { speakers } => stats.speakers = speakers,
        ServerEvent::Chat { .. } => stats.chat_lines += 1,
        ServerEvent::Transport { state: TransportState::Connected { srtp_profile } } => {
            stats.srtp_profile = Some(srtp_profile);
        }
        ServerEvent::Transport { state: TransportState::Failed { reason } } => stats.ended = Some(reason),
        ServerEvent::Left { reason } => stats.ended = Some(format!("removed: {reason:?}")),
        _ => {}
    }
}

/// The state of things in a line, for errors.
fn summary(stats: &PeerStats) -> String {
    let slots: Vec<String> = stats
        .slots
        .iter()
        .map(|slot| {
            let csrcs: Vec<u32> = slot.csrcs.iter().map(|number| number.0).collect();
            format!(
                "{}:{:?} {}p {}f csrc {csrcs:?} {:?}",
                slot.mid, slot.kind, slot.packets, slot.frames, slot.paused
            )
        })
        .collect();
    format!(
        "{} {:?}, {} others, sent {}, slots [{}], ended {:?}",
        stats.identity,
        stats.state,
        stats.roster.len(),
        stats.publications.iter().map(|publication| publication.packets).sum::<u64>(),
        slots.join("; "),
        stats.ended
    )
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::{Loudness, Picture};

    /// Takes one WHIP offer and answers it with a connection of the same stack.
    async fn answer_one(listener: TcpListener, ledger: Arc<Mutex<Ledger>>) -> Arc<dyn PeerConnection> {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut text = String::new();
        let offer = loop {
            let mut buffer = [0; 4096];
            let count = stream.read(&mut buffer).await.unwrap();
            text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            if body.len() == length.parse::<usize>().unwrap() {
                break body.to_owned();
            }
        };
        let (state, _) = watch::channel(ConnectionState::New);
        let connection = connection::open([127, 0, 0, 1].into(), false, true, state, ledger).await.unwrap();
        connection.set_remote_description(RTCSessionDescription::offer(offer).unwrap()).await.unwrap();
        let answer = connection.create_answer(None).await.unwrap();
        connection.set_local_description(answer).await.unwrap();
        let sdp = loop {
            let sdp = connection.local_description().await.unwrap().sdp;
            if sdp.contains("a=candidate") {
                break sdp;
            }
            tokio::task::yield_now().await;
        };
        let response = format!(
            "HTTP/1.1 201 Created\r\nlocation: /whip/r/1\r\ncontent-length: {}\r\n\r\n{sdp}",
            sdp.len()
        );
        stream.write_all(response.as_bytes()).await.unwrap();
        connection
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_a_peer_publishes_can_be_decoded_by_another() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        let ledger = Arc::new(Mutex::new(Ledger::new("r", "receiver")));
        ledger.lock().unwrap().add_slot("0", MediaKind::Audio, None);
        ledger.lock().unwrap().add_slot("1", MediaKind::Video, None);
        let answering = tokio::spawn(answer_one(listener, Arc::clone(&ledger)));
        let config = PeerConfig::new(server, "r")
            .way(Way::Whip)
            .identity("sender")
            .publish(Publication::microphone(Some(Loudness::constant(20))).unwrap())
            .publish(Publication::camera(Picture::Ball).unwrap());
        let peer = Peer::join(config).await.unwrap();
        let receiver = answering.await.unwrap();
        peer.connected().await.unwrap();
        let received = Arc::clone(&ledger);
        peer.wait(Duration::from_secs(20), "frames at the other end", |_| {
            received.lock().unwrap().stats.slots.iter().all(|slot| slot.frames > 40)
        })
        .await
        .unwrap();
        let stats = ledger.lock().unwrap().snapshot();
        assert_eq!(stats.slots[1].codec.as_deref(), Some("VP8"));
        assert!(stats.slots[1].keyframes >= 2, "{stats:?}");
        assert_eq!(stats.slots[1].lost, 0);
        assert!(peer.stats().publications.iter().all(|publication| publication.packets > 40));
        receiver.close().await.unwrap();
        peer.leave().await.unwrap();
    }
}
