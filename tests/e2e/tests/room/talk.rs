//! What participants say without media: chat over a kill of the server, calls, and topics over signaling.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use patchbay_e2e::{Mode, Outcome, Server, until};
use patchbay_frame::{ClientFrame, Publish, ServerFrame, server_frames};
use patchbay_peer::{Signaling, connect_signaling};
use patchbay_protocol::{ClientRequest, Joined, Reply, RoomName, ServerEvent};
use tokio::sync::mpsc;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

type Events = mpsc::UnboundedReceiver<ServerEvent>;

/// Joins without media.
async fn join(
    server: &Server,
    room: &str,
    identity: &str,
) -> Result<(Signaling, Events, Joined), Box<dyn std::error::Error + Send + Sync>> {
    let (signaling, events) = connect_signaling(server.url(), None, PATIENCE).await?;
    let join = ClientRequest::Join {
        room: RoomName::from(room),
        identity: Some(identity.to_owned()),
        name: None,
        metadata: None,
        offer: None,
    };
    match signaling.request(join).await? {
        Reply::Joined(joined) => Ok((signaling, events, *joined)),
        other => Err(format!("{other:?}").into()),
    }
}

/// The first event that `choose` takes.
async fn expect<T>(events: &mut Events, choose: impl Fn(ServerEvent) -> Option<T>) -> Result<T, String> {
    let find = async {
        loop {
            match events.recv().await {
                Some(event) => {
                    if let Some(found) = choose(event) {
                        return Ok(found);
                    }
                }
                None => return Err("the connection ended".to_owned()),
            }
        }
    };
    timeout(PATIENCE, find).await.map_err(|_| "nothing came".to_owned())?
}

fn chat(text: &str, message_id: &str) -> ClientRequest {
    ClientRequest::Chat { text: text.into(), message_id: Some(message_id.into()) }
}

pub(crate) async fn chat_is_there_after_a_kill(mode: Mode) -> Outcome {
    let directory = std::env::temp_dir().join(format!("patchbay-e2e-chat-{mode:?}-{}", std::process::id()));
    let path = directory.to_string_lossy().into_owned();
    let mut server = Server::start_with(mode, "chat", &["--state-dir", &path]).await?;
    let (ada, ..) = join(&server, "chat", "ada").await?;
    for index in 0..20 {
        ada.request(chat(&format!("line {index}"), &format!("m{index}"))).await?;
    }
    server.kill_first()?;
    server.restart_first("chat")?;
    let (ada, _, joined) =
        until(PATIENCE, "the server to be back", || async { join(&server, "chat", "ada").await.ok() })
            .await?;
    let texts: Vec<String> = joined.chat.iter().map(|line| line.text.clone()).collect();
    let expected: Vec<String> = (0..20).map(|index| format!("line {index}")).collect();
    assert_eq!(texts, expected);
    let Reply::Chatted { line } = ada.request(chat("line 19", "m19")).await? else {
        return Err("no line".into());
    };
    assert_eq!(line, joined.chat[19], "what was said is not said twice");
    let Reply::Chatted { line } = ada.request(chat("more", "m20")).await? else {
        return Err("no line".into());
    };
    assert_eq!(line.number, 21);
    server.check()?;
    let _ = std::fs::remove_dir_all(directory);
    Ok(())
}

pub(crate) async fn topics_work_without_a_media_path(mode: Mode) -> Outcome {
    let mut server = Server::start(mode, "signaled").await?;
    let (ada, mut to_ada, own) = join(&server, "signaled", "ada").await?;
    let (ben, mut to_ben, _) = join(&server, "signaled", "ben").await?;
    let open = || ClientRequest::TopicOpen { label: "game".into(), protocol: "patchbay".into() };
    let Reply::TopicOpened { channel } = ada.request(open()).await? else { return Err("not opened".into()) };
    let Reply::TopicOpened { channel: bens } = ben.request(open()).await? else {
        return Err("not opened".into());
    };
    let welcome = |event| match event {
        ServerEvent::Topic { messages, .. } => Some(messages),
        _ => None,
    };
    for events in [&mut to_ada, &mut to_ben] {
        let messages = expect(events, welcome).await?;
        let bytes = STANDARD.decode(&messages[0])?;
        let first = server_frames(&bytes).next().ok_or("no frame")?;
        assert!(matches!(first, Ok(ServerFrame::Welcome(_))), "{first:?}");
    }
    let mut message = Vec::new();
    ClientFrame::Publish(Publish { payload: b"\x00\x01\xff move", ..Publish::default() }).write(&mut message);
    let send = ClientRequest::TopicSend {
        channel,
        messages: vec![STANDARD.encode(&message), STANDARD.encode(&message)],
    };
    assert_eq!(ada.request(send).await?, Reply::Done {});
    let mut heard = 0;
    while heard < 2 {
        let messages = expect(&mut to_ben, |event| match event {
            ServerEvent::Topic { channel, messages } if channel == bens => Some(messages),
            _ => None,
        })
        .await?;
        for text in messages {
            let bytes = STANDARD.decode(text)?;
            for frame in server_frames(&bytes) {
                let frame = frame.map_err(|error| format!("{error:?}"))?;
                let ServerFrame::Message(message) = frame else { return Err(format!("{frame:?}").into()) };
                assert_eq!(message.payload, b"\x00\x01\xff move");
                assert_eq!(message.sender, own.participant.number.0);
                heard += 1;
                assert_eq!(message.sequence, heard);
            }
        }
    }
    assert_eq!(ben.request(ClientRequest::TopicClose { channel: bens }).await?, Reply::Done {});
    server.check()?;
    Ok(())
}
