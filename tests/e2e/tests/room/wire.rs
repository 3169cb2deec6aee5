//! The signaling wire under input that is malformed, too large, or out of order.

use std::time::Duration;

use patchbay_e2e::{Mode, Outcome, Server};
use patchbay_peer::{Loudness, Peer, PeerError, Picture, Publication, Request, connect_signaling, request};
use patchbay_protocol::{
    ClientRequest, Description, ErrorCode, Mid, Reply, RequestId, RoomName, ServerEvent, SlotSource, TrackId,
};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

fn code(result: Result<Reply, PeerError>) -> Option<ErrorCode> {
    match result {
        Err(PeerError::Refused(error)) => Some(error.code),
        _ => None,
    }
}

fn join(room: &str, offer: Option<Description>) -> ClientRequest {
    ClientRequest::Join { room: RoomName::from(room), identity: None, name: None, metadata: None, offer }
}

pub(crate) async fn bad_messages_get_their_own_error_and_the_session_goes_on(mode: Mode) -> Outcome {
    let mut server = Server::start(mode, "wire").await?;
    let (signaling, mut events) = connect_signaling(server.url(), None, PATIENCE).await?;
    for text in ["", "{", "[]", "null", "{\"id\":\"x\",\"type\":\"ping\"}", "{\"type\":\"ping\"}"] {
        signaling.send_text(text.to_owned())?;
        let event = timeout(PATIENCE, events.recv()).await?.ok_or("closed")?;
        let ServerEvent::Error { error, .. } = event else { return Err(format!("{text}: {event:?}").into()) };
        assert_eq!(error.code, ErrorCode::MalformedMessage, "{text}");
    }
    signaling.send_text("{\"id\":4000000000,\"type\":\"teleport\"}".to_owned())?;
    let event = timeout(PATIENCE, events.recv()).await?.ok_or("closed")?;
    let ServerEvent::Error { id, error } = event else { return Err(format!("{event:?}").into()) };
    assert_eq!((id, error.code), (Some(RequestId(4_000_000_000)), ErrorCode::UnknownType));

    let slot = ClientRequest::Slot { mid: Mid::from("0"), source: None };
    assert_eq!(code(signaling.request(slot.clone()).await), Some(ErrorCode::NotJoined));
    assert_eq!(code(signaling.request(join("no/such room", None)).await), Some(ErrorCode::InvalidArgument));
    assert!(matches!(signaling.request(join("wire", None)).await?, Reply::Joined(_)));
    assert_eq!(code(signaling.request(join("wire", None)).await), Some(ErrorCode::AlreadyJoined));
    assert_eq!(code(signaling.request(slot).await), Some(ErrorCode::UnknownSlot));
    let mute = ClientRequest::Mute { track: TrackId(77), muted: true };
    assert_eq!(code(signaling.request(mute).await), Some(ErrorCode::UnknownTrack));
    assert_eq!(signaling.request(ClientRequest::Ping {}).await?, Reply::Done {});
    server.check()?;
    Ok(())
}

pub(crate) async fn bad_sdp_is_refused_and_the_call_goes_on(mode: Mode) -> Outcome {
    let mut server = Server::start(mode, "bad-sdp").await?;
    let _publisher = Peer::join(
        server
            .peer("bad-sdp", "ada")
            .publish(Publication::microphone(Some(Loudness::constant(25)))?)
            .publish(Publication::camera(Picture::Ball)?),
    )
    .await?;
    let ben = Peer::join(server.peer("bad-sdp", "ben").hear(1).see(1)).await?;
    ben.wait(PATIENCE, "media", |stats| stats.slots.iter().all(|slot| slot.frames > 20)).await?;

    let section = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=rtpmap:96 VP8/90000\r\n";
    let head = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n";
    let giant = format!("{head}{}", section.repeat(4_000));
    let texts = [
        String::new(),
        "v=0".to_owned(),
        "not sdp at all \u{0}\u{1}".to_owned(),
        head.to_owned(),
        format!("{head}m=video 99999999999 X 300\r\n"),
        format!("{head}{}", "a=x\r\n".repeat(20_000)),
        giant,
    ];
    for (number, sdp) in texts.into_iter().enumerate() {
        let (signaling, _events) = connect_signaling(server.url(), None, PATIENCE).await?;
        let offer = Description {
            sdp: sdp.clone(),
            publications: Vec::new(),
            slots: Vec::new(),
            channels: Vec::new(),
        };
        let reply = signaling.request(join("bad-sdp", Some(offer))).await;
        let code = code(reply);
        assert!(
            matches!(code, Some(ErrorCode::InvalidSdp | ErrorCode::InvalidArgument)),
            "text {number}: {code:?}"
        );
        assert_eq!(signaling.request(ClientRequest::Ping {}).await?, Reply::Done {}, "the session goes on");
        let url = format!("{}/whip/bad-sdp", server.url());
        let headers = vec![("content-type", "application/sdp".to_owned())];
        let response = request(Request { method: "POST", url: &url, headers, body: sdp.as_bytes() }).await?;
        assert!((400..500).contains(&response.status), "WHIP, text {number}: {}", response.status);
    }
    // Over the size of any message: the connection may end, the server may not.
    let (signaling, _events) = connect_signaling(server.url(), None, PATIENCE).await?;
    let offer = Description {
        sdp: "a=x\r\n".repeat(400_000),
        publications: Vec::new(),
        slots: Vec::new(),
        channels: Vec::new(),
    };
    assert!(signaling.request(join("bad-sdp", Some(offer))).await.is_err());

    let before = ben.stats();
    ben.wait(PATIENCE, "the call to go on", |stats| {
        stats.slots.iter().zip(&before.slots).all(|(slot, before)| slot.frames > before.frames + 60)
    })
    .await?;
    // A slot that asks for the impossible is paused, not an error of the transport.
    let mid = ben.slot_mid(patchbay_protocol::MediaKind::Video, 0)?;
    ben.set_slot(&mid, Some(SlotSource::Track { track: TrackId(9_999) })).await.or_else(
        |error| match error {
            PeerError::Refused(error) if error.code == ErrorCode::UnknownTrack => Ok(()),
            other => Err(other),
        },
    )?;
    server.check()?;
    Ok(())
}
