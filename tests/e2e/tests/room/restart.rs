//! Signaling is killed while its SFU runs on as a process of its own: media does not notice, and everybody comes back.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use patchbay_e2e::{Mode, Outcome, Server, figure, until};
use patchbay_peer::{Loudness, Peer, Picture, Publication};
use patchbay_protocol::{
    ClientMessage, ClientRequest, Description, ErrorCode, MediaKind, PROTOCOL_VERSION, Reply, RequestId,
    Resume, Resumed, ServerEvent, ServerMessage, SlotSource, Source, WEBSOCKET_PROTOCOL,
};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

const PATIENCE: Duration = Duration::from_secs(20);
/// How long signaling stays away: long enough that a dead node link or a stuck worker would show.
const AWAY: Duration = Duration::from_secs(3);

/// A directory of this test's own, which goes with it.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("patchbay-e2e-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The longest time in which nothing came in some slot of some peer.
fn watch_for_gaps(peers: &[Arc<Peer>], stop: &Arc<AtomicBool>) -> Arc<AtomicU64> {
    let longest = Arc::new(AtomicU64::new(0));
    for peer in peers {
        let (peer, stop, longest) = (Arc::clone(peer), Arc::clone(stop), Arc::clone(&longest));
        tokio::spawn(async move {
            let mut seen: Vec<(u64, Instant)> = Vec::new();
            while !stop.load(Ordering::SeqCst) {
                let stats = peer.stats();
                let now = Instant::now();
                seen.resize(stats.slots.len(), (0, now));
                for (slot, (packets, since)) in stats.slots.iter().zip(&mut seen) {
                    if slot.packets != *packets {
                        (*packets, *since) = (slot.packets, now);
                    }
                    let gap = u64::try_from(now.duration_since(*since).as_millis()).unwrap_or(u64::MAX);
                    longest.fetch_max(gap, Ordering::SeqCst);
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
    }
    longest
}

/// A bare connection, which takes a session up.
struct Returned {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    last_id: u32,
    events: VecDeque<ServerEvent>,
}

impl Returned {
    /// Connects and resumes, if both can be done now.
    async fn new(server: &str, session: &Resume) -> Result<(Self, Resumed), String> {
        let url = format!("{}/v1/ws", server.replacen("http", "ws", 1));
        let mut request = url.into_client_request().map_err(|error| error.to_string())?;
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static(WEBSOCKET_PROTOCOL));
        let (socket, _) = connect_async(request).await.map_err(|error| error.to_string())?;
        let mut returned = Self { socket, last_id: 0, events: VecDeque::new() };
        let (version, resume) = (PROTOCOL_VERSION, Some(session.clone()));
        match returned.request(ClientRequest::Hello { version, client: None, resume }).await? {
            Ok(Reply::Resumed(resumed)) => Ok((returned, resumed)),
            other => Err(format!("{other:?}")),
        }
    }

    async fn next(&mut self) -> Result<ServerEvent, String> {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.socket.next()).await;
            match message.map_err(|_| "nothing comes")? {
                Some(Ok(Message::Text(text))) => {
                    let message: ServerMessage =
                        serde_json::from_str(&text).map_err(|error| error.to_string())?;
                    return Ok(message.event);
                }
                Some(Ok(_)) => {}
                other => return Err(format!("the connection ended: {other:?}")),
            }
        }
    }

    async fn request(&mut self, request: ClientRequest) -> Result<Result<Reply, ErrorCode>, String> {
        self.last_id += 1;
        let id = RequestId(self.last_id);
        let text = serde_json::to_string(&ClientMessage { id, ack: None, request })
            .map_err(|error| error.to_string())?;
        self.socket.send(Message::Text(text.into())).await.map_err(|error| error.to_string())?;
        loop {
            match self.next().await? {
                ServerEvent::Ok { id: of, result } if of == id => return Ok(Ok(result)),
                ServerEvent::Error { id: Some(of), error } if of == id => return Ok(Err(error.code)),
                event => self.events.push_back(event),
            }
        }
    }

    /// The next event that `choose` takes; others are skipped.
    async fn event(&mut self, choose: impl Fn(&ServerEvent) -> bool) -> Result<ServerEvent, String> {
        loop {
            let event = match self.events.pop_front() {
                Some(event) => event,
                None => self.next().await?,
            };
            if choose(&event) {
                return Ok(event);
            }
        }
    }
}

/// Comes back like a client that tries again and again, and says what it got.
async fn come_back(server: &str, session: &Resume) -> Result<Resumed, String> {
    let (mut returned, resumed) =
        until(PATIENCE, "a session to be taken up", || async { Returned::new(server, session).await.ok() })
            .await?;
    // What flows in the slots is told again, as its client may have missed it.
    for _ in 0..2 {
        returned.event(|event| matches!(event, ServerEvent::Slot { .. })).await?;
    }
    let metadata = Some(serde_json::json!({"is": "back"}));
    let update = ClientRequest::Update { name: None, metadata, attributes: None, hand_raised: None };
    returned.request(update).await?.map_err(|code| format!("refused: {code:?}"))?;
    Ok(resumed)
}

pub(crate) async fn signaling_is_killed_and_media_does_not_notice() -> Outcome {
    let directory = Directory::new("restart");
    let state = directory.0.to_str().ok_or("a path")?;
    let mut server = Server::start_with(Mode::TwoProcesses, "restart", &["--state-dir", state]).await?;
    let mut peers = Vec::new();
    for identity in ["ada", "grace", "linus", "edsger"] {
        let config = server
            .peer("restart", identity)
            .publish(Publication::microphone(Some(Loudness::constant(30)))?)
            .publish(Publication::camera(Picture::Ball)?)
            .hear(3)
            .see(3);
        peers.push(Arc::new(Peer::join(config).await?));
    }
    for peer in &peers {
        peer.connected().await?;
        peer.wait(PATIENCE, "everybody's pictures", |stats| {
            stats.slots_of(MediaKind::Video).filter(|slot| slot.frames > 20).count() == 3
                && stats.slots_of(MediaKind::Audio).filter(|slot| slot.frames > 20).count() >= 1
        })
        .await?;
    }
    // The room knows something that the node does not.
    let update = ClientRequest::Update {
        name: Some("Ada L".into()),
        metadata: None,
        attributes: None,
        hand_raised: Some(true),
    };
    peers[0].request(update).await?;
    let chat = ClientRequest::Chat { text: "before".into(), message_id: None };
    let Reply::Chatted { .. } = peers[1].request(chat).await? else { return Err("no line".into()) };
    let sessions: Vec<Resume> = peers.iter().filter_map(|peer| peer.session().cloned()).collect();
    assert_eq!(sessions.len(), 4);
    let epoch = || -> Result<u64, Box<dyn std::error::Error + Send + Sync>> {
        Ok(std::fs::read_to_string(directory.0.join("epoch"))?.trim().parse()?)
    };
    let first_epoch = epoch()?;
    // All slots show whom they show: pinned, so that nothing switches by itself while it is measured.
    let before: Vec<_> = peers.iter().map(|peer| peer.stats()).collect();
    for (peer, stats) in peers.iter().zip(&before) {
        for (kind, source) in [(MediaKind::Audio, Source::Microphone), (MediaKind::Video, Source::Camera)] {
            for (number, other) in stats.roster.iter().enumerate() {
                let mid = peer.slot_mid(kind, number)?;
                let source = SlotSource::Participant { participant: other.number, source };
                peer.set_slot(&mid, Some(source)).await?;
            }
        }
    }
    for peer in &peers {
        let frames: Vec<u64> = peer.stats().slots.iter().map(|slot| slot.frames).collect();
        peer.wait(PATIENCE, "the pinned slots to flow", |stats| {
            stats.slots.iter().zip(&frames).all(|(slot, frames)| slot.frames > frames + 30)
        })
        .await?;
    }
    // Changes are stored within a tenth of a second, or so.
    let stored = Instant::now() + Duration::from_millis(500);
    tokio::time::sleep_until(stored.into()).await;

    let before: Vec<_> = peers.iter().map(|peer| peer.stats()).collect();
    let stop = Arc::new(AtomicBool::new(false));
    let longest = watch_for_gaps(&peers, &stop);
    server.kill_first()?;
    tokio::time::sleep(AWAY).await;
    let restarted = Instant::now();
    server.restart_first("restart")?;
    let url = server.url().to_owned();
    let back: Vec<_> = sessions
        .iter()
        .map(|session| {
            let (url, session) = (url.clone(), session.clone());
            tokio::spawn(async move { come_back(&url, &session).await })
        })
        .collect();
    let mut snapshots = Vec::new();
    for back in back {
        snapshots.push(back.await??);
    }
    figure("signaling_restart_back_ms", restarted.elapsed().as_millis(), "ms");

    for ((resumed, session), stats) in snapshots.iter().zip(&sessions).zip(&before) {
        assert!(resumed.epoch.0 > first_epoch && resumed.epoch.0 == epoch()?, "{resumed:?}");
        let joined = resumed.snapshot.as_deref().ok_or("no snapshot")?;
        assert_eq!((&joined.session, joined.participants.len()), (&session.session, 3));
        assert_eq!(Some(joined.participant.number), stats.participant, "everybody keeps its number");
        let tracks: Vec<_> = joined.participant.tracks.iter().map(|track| Some(track.id)).collect();
        let own: Vec<_> = stats.publications.iter().map(|publication| publication.track).collect();
        assert_eq!(tracks, own, "and its tracks");
        assert_eq!(joined.chat.last().map(|line| line.text.as_str()), Some("before"), "chat is intact");
    }
    let ada = snapshots[1].snapshot.as_deref().and_then(|joined| {
        joined.participants.iter().find(|participant| participant.identity == "ada").cloned()
    });
    let ada = ada.ok_or("ada is not there")?;
    assert_eq!((ada.name.as_str(), ada.hand_raised), ("Ada L", true));

    // A while later still, with the room rebuilt.
    for peer in &peers {
        let frames: Vec<u64> = peer.stats().slots.iter().map(|slot| slot.frames).collect();
        peer.wait(PATIENCE, "media after the restart", |stats| {
            stats.slots.iter().zip(&frames).all(|(slot, frames)| slot.frames > frames + 30)
        })
        .await?;
    }
    stop.store(true, Ordering::SeqCst);
    let (mut packets, mut lost) = (0, 0);
    for (peer, before) in peers.iter().zip(&before) {
        let after = peer.stats();
        for (now, then) in after.slots.iter().zip(&before.slots) {
            packets += now.packets - then.packets;
            lost += now.lost.saturating_sub(then.lost);
            assert_eq!(now.csrc, then.csrc, "slot {} shows somebody else", now.mid);
        }
        for (now, then) in after.publications.iter().zip(&before.publications) {
            assert_eq!(now.keyframe_requests, then.keyframe_requests, "nobody had to ask for a keyframe");
        }
    }
    figure("signaling_restart_packets", packets, "packets");
    figure("signaling_restart_packets_lost", lost, "packets");
    figure("signaling_restart_longest_gap_ms", longest.load(Ordering::SeqCst), "ms");
    assert_eq!(lost, 0, "of {packets} packets");
    assert!(packets > 4 * 3 * 50 * AWAY.as_secs(), "{packets} packets");
    server.check()?;
    Ok(())
}

/// Not only those who were there: somebody who comes right then is in the same room.
pub(crate) async fn a_newcomer_after_a_restart_meets_those_who_were_there() -> Outcome {
    let directory = Directory::new("newcomer");
    let state = directory.0.to_str().ok_or("a path")?;
    let mut server = Server::start_with(Mode::TwoProcesses, "newcomer", &["--state-dir", state]).await?;
    let config = server.peer("newcomer", "ada").publish(Publication::camera(Picture::Ball)?);
    let ada = Peer::join(config).await?;
    ada.connected().await?;
    let session = ada.session().cloned().ok_or("no session")?;
    server.kill_first()?;
    server.restart_first("newcomer")?;
    let config = server.peer("newcomer", "grace").see(1);
    let grace =
        until(PATIENCE, "a join after the restart", || async { Peer::join(config.clone()).await.ok() })
            .await?;
    grace
        .wait(PATIENCE, "ada's picture", |stats| {
            stats.roster_entry("ada").is_some()
                && stats.slots_of(MediaKind::Video).any(|slot| slot.frames > 20)
        })
        .await?;
    let (mut returned, resumed) = Returned::new(server.url(), &session).await?;
    let joined = resumed.snapshot.ok_or("no snapshot")?;
    assert_eq!(joined.participants.len(), 1);
    assert_eq!(joined.participants[0].identity, "grace");
    // Over the restart, ada's transport can still be negotiated with: an offer that can't be read is its own fault.
    let (publications, slots, channels) = Default::default();
    let offer = Description { sdp: "nonsense".into(), publications, slots, channels };
    let refused = returned.request(ClientRequest::Offer { offer }).await?;
    assert!(matches!(refused, Err(ErrorCode::InvalidSdp)), "{refused:?}");
    server.check()?;
    Ok(())
}
