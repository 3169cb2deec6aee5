//! SIGTERM: nobody new, everybody told, no request dropped, exit code 0.

use std::time::{Duration, Instant};

use patchbay_e2e::{Mode, Outcome, Server, figure, until};
use patchbay_peer::{Loudness, Peer, PeerError, Publication, Request, Signaling, connect_signaling, request};
use patchbay_protocol::{ClientRequest, ErrorCode, MediaKind, Reply, RoomName, ServerEvent};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

const PATIENCE: Duration = Duration::from_secs(20);
/// Clients that send requests all the time.
const CLIENTS: usize = 40;
const ROOMS: usize = 10;
/// Replies that every client has had before the server is told to end.
const WARM: u64 = 20;

fn join(room: &str) -> ClientRequest {
    ClientRequest::Join { room: RoomName::new(room), identity: None, name: None, metadata: None, offer: None }
}

/// One request after the other until the client is told to move and its time has come. Every request must have its reply.
/// Returns how many there were and the time it was told.
async fn load(
    signaling: Signaling,
    mut events: mpsc::UnboundedReceiver<ServerEvent>,
    progress: watch::Sender<u64>,
) -> Result<(u64, u64), PeerError> {
    let mut told = None;
    let mut replies = 0_u64;
    loop {
        while let Ok(event) = events.try_recv() {
            if let ServerEvent::GoingAway { reconnect_in_ms } = event {
                let again =
                    told.replace((Instant::now() + Duration::from_millis(reconnect_in_ms), reconnect_in_ms));
                assert_eq!(again, None, "told twice");
            }
        }
        if let Some((time, reconnect_in_ms)) = told
            && Instant::now() >= time
        {
            signaling.close();
            return Ok((replies, reconnect_in_ms));
        }
        signaling.request(ClientRequest::Chat { text: format!("line {replies}"), message_id: None }).await?;
        replies += 1;
        progress.send_replace(replies);
        // Within the rate that one session has.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_no_request_is_dropped_everybody_is_told_and_the_exit_code_is_0() -> Outcome {
    let arguments = ["--drain-spread", "2s", "--drain-timeout", "20s"];
    let mut server = Server::start_with(Mode::Embedded, "drain", &arguments).await?;
    let mut clients = JoinSet::new();
    let mut progress = Vec::new();
    for number in 0..CLIENTS {
        let (signaling, events) = connect_signaling(server.url(), None, PATIENCE).await?;
        signaling.request(join(&format!("drain-{}", number % ROOMS))).await?;
        let (sender, receiver) = watch::channel(0);
        progress.push(receiver);
        clients.spawn(load(signaling, events, sender));
    }
    let (early, _early_events) = connect_signaling(server.url(), None, PATIENCE).await?;
    for replies in &mut progress {
        tokio::time::timeout(PATIENCE, replies.wait_for(|replies| *replies >= WARM)).await??;
    }

    server.signal(0, "TERM")?;
    let ready = format!("{}/readyz", server.url());
    until(PATIENCE, "/readyz to say 503", || async {
        let response = request(Request { method: "GET", url: &ready, ..Request::default() }).await;
        response.is_ok_and(|response| response.status == 503).then_some(())
    })
    .await?;
    // Alive all the same, and measured.
    let alive = format!("{}/healthz", server.url());
    assert_eq!(request(Request { method: "GET", url: &alive, ..Request::default() }).await?.status, 200);
    assert_eq!(server.metric("patchbay_draining").await?, 1.0);
    // Nobody new: no session, no join of a session that was there, no resource.
    let refused = |result: Result<Reply, PeerError>| match result {
        Err(PeerError::Refused(error)) => {
            assert_eq!(error.code, ErrorCode::Draining);
            assert!(error.retry_after_ms.is_some());
        }
        other => panic!("{other:?} instead of a refusal"),
    };
    refused(early.request(join("drain-late")).await);
    refused(connect_signaling(server.url(), None, PATIENCE).await.map(|_| Reply::Done {}));
    let (whip, hello) = (format!("{}/whip/drain-late", server.url()), format!("{}/v1/hello", server.url()));
    for (url, kind, body) in [
        (&whip, "application/sdp", "v=0\r\n".as_bytes()),
        (&hello, "application/json", br#"{"id":1,"type":"hello","version":1}"#),
    ] {
        let headers = vec![("content-type", kind.to_owned())];
        let response = request(Request { method: "POST", url, headers, body }).await?;
        assert_eq!(response.status, 503, "{url}: {}", response.body);
        assert!(
            response.header("retry-after").is_some() && response.body.contains("draining"),
            "{}",
            response.body
        );
    }
    drop(early);

    let (mut replies, mut times) = (0, Vec::new());
    while let Some(client) = clients.join_next().await {
        let (count, reconnect_in_ms) = client??;
        replies += count;
        times.push(reconnect_in_ms);
    }
    let status = server.ended(0, PATIENCE).await?;
    assert_eq!(status.code(), Some(0), "{status}");
    times.sort_unstable();
    assert!(times.last().is_some_and(|last| *last < 2_000), "{times:?}");
    // Forty at random within two seconds: all within one of them would be a chance of one in 10^10.
    assert!(times[0] < 1_000 && times[CLIENTS - 1] >= 1_000, "not spread: {times:?}");
    figure("drain_clients_told", times.len(), "clients");
    figure("drain_requests_answered", replies, "requests");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_does_not_go_is_sent_away() -> Outcome {
    let arguments = ["--drain-spread", "1s", "--drain-timeout", "15s"];
    let mut server = Server::start_with(Mode::Embedded, "drain-deaf", &arguments).await?;
    let (deaf, mut events) = connect_signaling(server.url(), None, PATIENCE).await?;
    deaf.request(join("deaf")).await?;
    server.signal(0, "TERM")?;
    let mut was_told = false;
    while let Some(event) = tokio::time::timeout(PATIENCE, events.recv()).await? {
        was_told |= matches!(event, ServerEvent::GoingAway { .. });
    }
    assert!(was_told);
    let status = server.ended(0, PATIENCE).await?;
    assert_eq!(status.code(), Some(0), "{status}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_sigterm_ends_it_at_once() -> Outcome {
    let arguments = ["--drain-spread", "60s", "--drain-timeout", "120s"];
    let mut server = Server::start_with(Mode::Embedded, "drain-twice", &arguments).await?;
    let (client, mut events) = connect_signaling(server.url(), None, PATIENCE).await?;
    client.request(join("twice")).await?;
    server.signal(0, "TERM")?;
    while !matches!(tokio::time::timeout(PATIENCE, events.recv()).await?, Some(ServerEvent::GoingAway { .. }))
    {
    }
    server.signal(0, "TERM")?;
    let status = server.ended(0, PATIENCE).await?;
    assert_eq!(status.code(), Some(143), "{status}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_drains_keeps_media_takes_nothing_new_and_ends_when_it_is_empty() -> Outcome {
    let mut server = Server::start(Mode::TwoProcesses, "drain-node").await?;
    let tone = Publication::microphone(Some(Loudness::constant(25)))?;
    let publisher = Peer::join(server.peer("stays", "publisher").publish(tone)).await?;
    let watcher = Peer::join(server.peer("stays", "watcher").hear(1)).await?;
    let heard = |stats: &patchbay_peer::PeerStats| {
        stats.slots_of(MediaKind::Audio).map(|slot| slot.frames).sum::<u64>()
    };
    watcher.wait(PATIENCE, "media", |stats| heard(stats) > 20).await?;

    server.signal(1, "TERM")?;
    until(PATIENCE, "signaling to know", || async {
        (server.metric("patchbay_node_draining").await.ok()? == 1.0).then_some(())
    })
    .await?;
    let before = heard(&watcher.stats());
    watcher.wait(PATIENCE, "media that goes on", |stats| heard(stats) > before + 50).await?;
    match Peer::join(server.peer("elsewhere", "late").hear(1)).await {
        Err(PeerError::Refused(error)) => assert_eq!(error.code, ErrorCode::NoNode),
        other => panic!("a room was placed: {}", other.is_ok()),
    }
    publisher.leave().await?;
    watcher.leave().await?;
    let status = server.ended(1, PATIENCE).await?;
    assert_eq!(status.code(), Some(0), "{status}");
    Ok(())
}
