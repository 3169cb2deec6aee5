//! Rooms: joining, the roster, negotiation, slots, chat.

use std::time::Duration;

use patchbay_protocol::node::{NodeCommand, NodeEvent};
use patchbay_protocol::{
    Mid, ParticipantNumber, RoomId, SlotSource, SlotState, Source, TrackId, TransportState,
};
use serde_json::{Value, json};

use crate::support::{Client, ScriptedNode, TestServer, offer};

fn camera_and_microphone() -> Value {
    json!({
        "sdp": offer(&[("video", "sendonly"), ("audio", "sendonly"), ("video", "recvonly")]),
        "publications": [{"mid": "0", "source": "camera"}, {"mid": "1", "source": "microphone", "muted": true}],
        "slots": [{"mid": "2", "source": {"speaker": 1}}],
    })
}

/// Joins with media; returns the reply and the transport.
async fn join_with_media(
    server: &TestServer,
    node: &mut ScriptedNode,
    identity: &str,
) -> (Client, Value, patchbay_protocol::TransportId) {
    let mut client = Client::connect(server).await;
    client.hello().await;
    let request =
        json!({"type": "join", "room": "demo", "identity": identity, "offer": camera_and_microphone()});
    let joined = client.ok(request).await;
    let transport = node.expect_transport().await;
    (client, joined, transport)
}

#[tokio::test]
async fn joining_is_one_round_trip_and_others_learn_of_it_with_its_tracks() {
    let (server, mut node) = TestServer::with_node(|_| {}).await;
    let (mut ada, joined, _) = join_with_media(&server, &mut node, "ada").await;
    assert_eq!(joined["participant"]["number"], 1);
    assert!(joined["answer"]["sdp"].as_str().unwrap().starts_with("v=0"));
    assert_eq!(joined["answer"]["publications"][0], json!({"mid": "0", "track": 1, "source": "camera"}));
    assert_eq!(joined["answer"]["slots"][0]["mid"], "2");
    assert_eq!(joined["secret"].as_str().unwrap().len(), 43);

    let (_grace, joined, _) = join_with_media(&server, &mut node, "grace").await;
    assert_eq!(joined["participants"][0]["identity"], "ada");
    assert_eq!(joined["participants"][0]["tracks"][1]["muted"], true);
    let event = ada.next().await;
    assert_eq!(event["type"], "participant_joined");
    assert_eq!(event["participant"]["identity"], "grace");
    assert_eq!(
        event["participant"]["tracks"][0],
        json!({"id": 3, "source": "camera", "kind": "video", "muted": false})
    );
}

#[tokio::test]
async fn hello_and_join_may_be_sent_together_and_identities_are_minted() {
    let (server, _node) = TestServer::with_node(|_| {}).await;
    let mut client = Client::connect(&server).await;
    client.send(json!({"type": "hello", "version": 1})).await;
    let join = client.send(json!({"type": "join", "room": "demo"})).await;
    let joined = client.reply(join).await;
    let identity = joined["result"]["participant"]["identity"].as_str().unwrap().to_owned();
    assert!(identity.starts_with("guest-"), "{identity}");
    assert_eq!(joined["result"]["participant"]["name"], identity.as_str());
    assert_eq!(client.refusal(json!({"type": "join", "room": "demo"})).await, "already_joined");
    client.ok(json!({"type": "leave"})).await;
    assert_eq!(client.refusal(json!({"type": "chat", "text": "x"})).await, "not_joined");
    client.ok(json!({"type": "join", "room": "other"})).await;
}

#[tokio::test]
async fn what_breaks_a_bound_is_refused() {
    let (server, _node) = TestServer::with_node(|config| config.room_capacity = 2).await;
    let mut client = Client::connect(&server).await;
    client.hello().await;
    let long = "x".repeat(129);
    let sdp = offer(&[("audio", "sendonly")]);
    for (request, code) in [
        (json!({"type": "join", "room": "../etc"}), "invalid_argument"),
        (json!({"type": "join", "room": ""}), "invalid_argument"),
        (json!({"type": "join", "room": "demo", "identity": long}), "invalid_argument"),
        (json!({"type": "join", "room": "demo", "identity": "a\nb"}), "invalid_argument"),
        (json!({"type": "join", "room": "demo", "name": ""}), "invalid_argument"),
        (json!({"type": "join", "room": "demo", "metadata": "x".repeat(5_000)}), "invalid_argument"),
        (json!({"type": "join", "room": "demo", "offer": {"sdp": "x".repeat(300_000)}}), "invalid_sdp"),
        (json!({"type": "join", "room": "demo", "offer": {"sdp": "refuse me"}}), "invalid_sdp"),
        (
            json!({"type": "join", "room": "demo", "offer": {"sdp": sdp, "slots": [{"mid": "0", "source": {"speaker": 65}}]}}),
            "invalid_argument",
        ),
        (
            json!({"type": "join", "room": "demo", "offer": {"sdp": sdp, "publications": [
                {"mid": "0", "source": "camera"}, {"mid": "1", "source": "camera"}]}}),
            "invalid_argument",
        ),
        (
            json!({"type": "join", "room": "demo", "offer": {"sdp": sdp, "publications": [
                {"mid": "0", "source": "camera"}], "slots": [{"mid": "0"}]}}),
            "invalid_argument",
        ),
    ] {
        assert_eq!(client.refusal(request.clone()).await, code, "{request}");
    }
    client.ok(json!({"type": "join", "room": "demo"})).await;
    for (request, code) in [
        (json!({"type": "chat", "text": ""}), "invalid_argument"),
        (json!({"type": "chat", "text": "x".repeat(4_097)}), "invalid_argument"),
        (json!({"type": "update", "name": long}), "invalid_argument"),
        (json!({"type": "update", "metadata": "x".repeat(5_000)}), "invalid_argument"),
        (json!({"type": "mute", "track": 99, "muted": true}), "unknown_track"),
        (json!({"type": "slot", "mid": "0", "source": null}), "unknown_slot"),
        (json!({"type": "candidate", "candidate": "candidate:1"}), "invalid_argument"),
    ] {
        assert_eq!(client.refusal(request.clone()).await, code, "{request}");
    }
    let (_second, _) = Client::join(&server, "demo", "second").await;
    let mut third = Client::connect(&server).await;
    third.hello().await;
    assert_eq!(third.refusal(json!({"type": "join", "room": "demo"})).await, "room_full");
    third.ok(json!({"type": "join", "room": "elsewhere"})).await;
}

#[tokio::test]
async fn without_a_node_a_room_has_no_media_and_says_so() {
    let server = TestServer::start(|_| {}).await;
    let mut client = Client::connect(&server).await;
    client.hello().await;
    let request = json!({"type": "join", "room": "demo", "offer": camera_and_microphone()});
    assert_eq!(client.refusal(request).await, "no_node");
    client.ok(json!({"type": "join", "room": "demo"})).await;
}

#[tokio::test]
async fn text_travels_verbatim() {
    let (server, _node) = TestServer::with_node(|_| {}).await;
    let (mut ada, _) = Client::join(&server, "demo", "ada").await;
    let (mut grace, _) = Client::join(&server, "demo", "grace").await;
    ada.event("participant_joined").await;
    let text = "<script>alert(1)</script> &amp; \u{0645}\u{0631}\u{062d}\u{0628}\u{0627} \u{1F44B} \"quoted\"\n\tline";
    let name = "<img src=x onerror=alert(1)>";
    grace.ok(json!({"type": "update", "name": name, "metadata": {"html": text}, "hand_raised": true})).await;
    let updated = ada.event("participant_updated").await;
    assert_eq!(updated["participant"]["name"], name);
    assert_eq!(updated["participant"]["metadata"]["html"], text);
    assert_eq!(updated["participant"]["hand_raised"], true);
    grace.ok(json!({"type": "chat", "text": text})).await;
    for client in [&mut ada, &mut grace] {
        let chat = client.event("chat").await;
        assert_eq!((&chat["text"], &chat["name"]), (&json!(text), &json!(name)));
        assert!(chat["sent_at_ms"].as_u64().unwrap() > 1_600_000_000_000);
    }
}

#[tokio::test]
async fn further_offers_publish_and_unpublish() {
    let (server, mut node) = TestServer::with_node(|_| {}).await;
    let (mut ada, _, transport) = join_with_media(&server, &mut node, "ada").await;
    let (mut grace, _) = Client::join(&server, "demo", "grace").await;
    let request = json!({
        "type": "offer",
        "sdp": offer(&[("video", "sendonly"), ("audio", "inactive"), ("video", "recvonly"), ("video", "sendonly")]),
        "publications": [{"mid": "0", "source": "camera"}, {"mid": "3", "source": "screen"}],
    });
    let answered = ada.ok(request).await;
    assert_eq!(answered["publications"][0]["track"], 1, "a track that stays keeps its id");
    let again = node.expect_transport().await;
    assert_eq!(again, transport);
    assert_eq!(grace.next().await["type"], "track_unpublished");
    let published = grace.next().await;
    assert_eq!(
        (&published["type"], &published["track"]["source"]),
        (&json!("track_published"), &json!("screen"))
    );

    assert_eq!(ada.refusal(json!({"type": "offer", "sdp": "refuse me"})).await, "invalid_sdp");
    ada.ok(json!({"type": "mute", "track": 1, "muted": true})).await;
    let muted = node
        .expect(|command| match command {
            NodeCommand::SetMuted { track, muted, .. } => Some((*track, *muted)),
            _ => None,
        })
        .await;
    assert_eq!(muted, (TrackId(1), true));
    let event = grace.event("track_muted").await;
    assert_eq!((&event["track"], &event["muted"]), (&json!(1), &json!(true)));
}

#[tokio::test]
async fn slots_are_switched_by_a_message() {
    let (server, mut node) = TestServer::with_node(|_| {}).await;
    let (mut ada, _, transport) = join_with_media(&server, &mut node, "ada").await;
    let (_grace, _, _) = join_with_media(&server, &mut node, "grace").await;
    let wanted = json!({"participant": 2, "source": "camera"});
    ada.ok(json!({"type": "slot", "mid": "2", "source": wanted})).await;
    let source = node
        .expect(|command| match command {
            NodeCommand::SetSlot { transport: of, source, .. } if *of == transport => Some(*source),
            _ => None,
        })
        .await;
    let expected = SlotSource::Participant { participant: ParticipantNumber(2), source: Source::Camera };
    assert_eq!(source, Some(expected));
    let state =
        SlotState { source, participant: Some(ParticipantNumber(2)), track: Some(TrackId(3)), paused: None };
    node.say(NodeEvent::Slot { transport, mid: Mid::new("2"), state }).await;
    let event = ada.event("slot").await;
    assert_eq!((&event["mid"], &event["track"], &event["source"]), (&json!("2"), &json!(3), &wanted));

    for (source, code) in [
        (json!({"track": 99}), "unknown_track"),
        (json!({"participant": 99, "source": "camera"}), "unknown_participant"),
        (json!({"speaker": 0}), "invalid_argument"),
    ] {
        let request = json!({"type": "slot", "mid": "2", "source": source});
        assert_eq!(ada.refusal(request).await, code);
    }
    assert_eq!(ada.refusal(json!({"type": "slot", "mid": "missing", "source": null})).await, "unknown_slot");
}

#[tokio::test]
async fn the_node_speaks_to_those_it_concerns() {
    let (server, mut node) = TestServer::with_node(|_| {}).await;
    let mut client = Client::connect(&server).await;
    client.hello().await;
    client
        .ok(json!({"type": "join", "room": "demo", "identity": "ada", "offer": camera_and_microphone()}))
        .await;
    let (transport, room) = node
        .expect(|command| match command {
            NodeCommand::Negotiate { transport, room, .. } => Some((*transport, *room)),
            _ => None,
        })
        .await;
    let state = TransportState::Connected { srtp_profile: "AEAD_AES_128_GCM".into() };
    node.say(NodeEvent::Transport { transport, state }).await;
    assert_eq!(client.event("transport").await["srtp_profile"], "AEAD_AES_128_GCM");
    node.say(NodeEvent::Candidate { transport, candidate: "candidate:1".into() }).await;
    assert_eq!(client.event("candidate").await["candidate"], "candidate:1");
    let speakers = vec![ParticipantNumber(1), ParticipantNumber(77)];
    node.say(NodeEvent::Speakers { room, speakers }).await;
    assert_eq!(client.event("speakers").await["speakers"], json!([1]), "only who is in the roster");
    node.say(NodeEvent::Speakers { room: RoomId(1), speakers: Vec::new() }).await;
    let (mut late, _) = Client::join(&server, "demo", "late").await;
    assert_eq!(late.event("speakers").await["speakers"], json!([1]), "who comes late learns who speaks");
    client.ok(json!({"type": "candidate", "candidate": "candidate:2"})).await;
    let candidate = node
        .expect(|command| match command {
            NodeCommand::Candidate { candidate, .. } => Some(candidate.clone()),
            _ => None,
        })
        .await;
    assert_eq!(candidate, "candidate:2");
}

#[tokio::test]
async fn leaving_losing_and_failing_each_have_their_reason() {
    let (server, mut node) =
        TestServer::with_node(|config| config.resume_window = Duration::from_millis(200)).await;
    let (mut watcher, _) = Client::join(&server, "demo", "watcher").await;

    let (mut leaver, _, transport) = join_with_media(&server, &mut node, "leaver").await;
    leaver.ok(json!({"type": "leave"})).await;
    assert_eq!(watcher.event("participant_left").await["reason"], "left");
    let closed = node
        .expect(|command| match command {
            NodeCommand::CloseTransport { transport } => Some(*transport),
            _ => None,
        })
        .await;
    assert_eq!(closed, transport);

    let (lost, _, _) = join_with_media(&server, &mut node, "lost").await;
    lost.drop_connection();
    assert_eq!(watcher.event("participant_left").await["reason"], "connection_lost");

    let (mut failing, joined, transport) = join_with_media(&server, &mut node, "failing").await;
    let state = TransportState::Failed { reason: "nothing came for 15 s".into() };
    node.say(NodeEvent::Transport { transport, state }).await;
    let left = watcher.event("participant_left").await;
    assert_eq!(
        (&left["reason"], &left["participant"]),
        (&json!("transport_lost"), &joined["participant"]["number"])
    );
    assert_eq!(failing.event("left").await["reason"], "transport_lost");
    let again = failing.ok(json!({"type": "join", "room": "demo", "identity": "failing"})).await;
    assert_ne!(
        again["participant"]["number"], joined["participant"]["number"],
        "numbers are never used again"
    );

    let (_second, _) = Client::join(&server, "demo", "failing").await;
    assert_eq!(watcher.event("participant_left").await["reason"], "replaced");
    let (code, messages) = failing.close_code().await;
    assert_eq!(code, 4409);
    assert_eq!(messages.last().unwrap()["reason"], "replaced");
}

#[tokio::test]
async fn an_empty_room_ends_on_its_node() {
    let (server, mut node) =
        TestServer::with_node(|config| config.room_linger = std::time::Duration::from_millis(50)).await;
    let (mut ada, _, _) = join_with_media(&server, &mut node, "ada").await;
    ada.ok(json!({"type": "leave"})).await;
    node.expect(|command| matches!(command, NodeCommand::CloseRoom { .. }).then_some(())).await;
    ada.ok(json!({"type": "join", "room": "demo", "identity": "ada"})).await;
}
