//! What the log holds, and what it never does.

use std::collections::BTreeSet;
use std::time::Duration;

use patchbay_e2e::{Mode, Outcome, Server, until};
use patchbay_peer::connect_signaling;
use patchbay_protocol::{ClientRequest, Reply, RoomName};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(20);
const KEY: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
const TURN_SECRET: &str = "turn-secret-0123456789abcdef";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_carry_room_and_session_and_no_secret_even_at_trace() -> Outcome {
    let keys = format!("main:{KEY}");
    let arguments = [
        "--keys",
        &keys,
        "--turn-server",
        "turn:127.0.0.1:3478",
        "--turn-secret",
        TURN_SECRET,
        "--log",
        "patchbay=trace,patchbay_signaling=trace,patchbay_sfu=debug,info",
        "--log-format",
        "json",
    ];
    let server = Server::start_with(Mode::Embedded, "log", &arguments).await?;
    let token = patchbay_e2e::token(&["--keys", &keys, "--room", "logged", "--identity", "ada"])?;
    let (client, _events) = connect_signaling(server.url(), Some(&token), PATIENCE).await?;
    let join = ClientRequest::Join {
        room: RoomName::new("logged"),
        identity: None,
        name: None,
        metadata: None,
        offer: None,
    };
    let Reply::Joined(joined) = client.request(join).await? else { return Err("no joined".into()) };
    let chat = ClientRequest::Chat { text: "words for the room alone".into(), message_id: None };
    client.request(chat).await?;
    client.request(ClientRequest::Leave {}).await?;
    let text = until(PATIENCE, "the log of the leaving", || async {
        Some(server.log(0)).filter(|text| text.contains("room closed"))
    })
    .await?;

    let signature = token.rsplit('.').next().unwrap_or_default();
    let mut secrets = vec![KEY, TURN_SECRET, &token, signature, &joined.secret, "words for the room alone"];
    secrets.extend(joined.ice_servers.iter().filter_map(|server| server.credential.as_deref()));
    assert!(secrets.len() > 6, "a TURN credential was issued");
    for secret in secrets {
        assert!(!secret.is_empty() && !text.contains(secret), "the log shows {secret}");
    }

    let mut fields = BTreeSet::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).map_err(|error| format!("{error}: {line}"))?;
        let spans = line.get("spans").and_then(Value::as_array).cloned().unwrap_or_default();
        for span in spans.iter().filter_map(Value::as_object) {
            fields.extend(
                span.iter()
                    .filter(|(_, value)| **value == "logged" || *value == joined.session.as_str())
                    .map(|(name, _)| name.clone()),
            );
        }
    }
    let expected: BTreeSet<String> = ["room".to_owned(), "session".to_owned()].into();
    assert!(fields.is_superset(&expected), "spans carry {fields:?}");
    Ok(())
}
