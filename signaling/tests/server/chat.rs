//! Chat: acknowledged, told once, kept over restarts.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::{Client, TestServer};

/// A directory that goes with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("patchbay-chat-{:032x}", rand::random::<u128>()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// What is on the disk at this moment: what a kill would leave.
    fn as_killed(&self) -> Self {
        let copy = Self::new();
        for entry in std::fs::read_dir(&self.0).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), copy.0.join(entry.file_name())).unwrap();
        }
        copy
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn server(directory: &Path) -> TestServer {
    let directory = directory.to_owned();
    TestServer::start(move |config| config.state_dir = Some(directory)).await
}

fn texts(lines: &Value) -> Vec<(u64, &str)> {
    let line = |line| -> (u64, &str) {
        let line: &Value = line;
        (line["number"].as_u64().unwrap(), line["text"].as_str().unwrap())
    };
    lines.as_array().unwrap().iter().map(line).collect()
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_kill_and_is_not_said_twice() {
    let scratch = Scratch::new();
    let before = server(&scratch.0).await;
    let (mut ada, joined) = Client::join(&before, "demo", "ada").await;
    assert!(joined.get("chat").is_none());
    let (mut ben, _) = Client::join(&before, "demo", "ben").await;
    let (mut other, _) = Client::join(&before, "other", "eve").await;
    let said = ada.ok(json!({"type": "chat", "text": "one", "message_id": "m-1"})).await;
    assert_eq!((&said["type"], &said["line"]["number"]), (&json!("chatted"), &json!(1)));
    let heard = ben.event("chat").await;
    for field in ["number", "participant", "identity", "name", "text", "sent_at_ms", "message_id"] {
        assert_eq!(heard[field], said["line"][field], "{field}");
    }
    assert_eq!(heard["identity"], "ada");
    ben.ok(json!({"type": "chat", "text": "two"})).await;
    other.ok(json!({"type": "chat", "text": "elsewhere"})).await;

    let left = scratch.as_killed();
    let after = server(&left.0).await;
    let (mut ada, joined) = Client::join(&after, "demo", "ada").await;
    assert_eq!(texts(&joined["chat"]), [(1, "one"), (2, "two")]);
    let (mut ben, _) = Client::join(&after, "demo", "ben").await;
    // Whoever got no answer before the kill says it again.
    let again = ada.ok(json!({"type": "chat", "text": "one", "message_id": "m-1"})).await;
    assert_eq!(again["line"], said["line"]);
    let new = ada.ok(json!({"type": "chat", "text": "three", "message_id": "m-2"})).await;
    assert_eq!(new["line"]["number"], 3);
    assert_eq!(ben.event("chat").await["text"], "three", "the repetition was told to nobody");
    let page = ben.ok(json!({"type": "chat_history", "before": 3, "limit": 1})).await;
    assert_eq!((texts(&page["lines"]), &page["more"]), (vec![(2, "two")], &json!(true)));
}

#[tokio::test]
async fn many_write_at_once_and_everybody_hears_the_same_in_the_same_order() {
    let scratch = Scratch::new();
    let server = server(&scratch.0).await;
    let mut clients = Vec::new();
    for index in 0..5 {
        clients.push(Client::join(&server, "demo", &format!("p{index}")).await.0);
    }
    for (index, client) in clients.iter_mut().enumerate() {
        for line in 0..12 {
            client.send(json!({"type": "chat", "text": format!("{index}/{line}")})).await;
        }
    }
    let mut heard: Vec<Vec<(u64, String)>> = Vec::new();
    for client in &mut clients {
        let mut lines = Vec::new();
        while lines.len() < 60 {
            let line = client.event("chat").await;
            lines.push((line["number"].as_u64().unwrap(), line["text"].as_str().unwrap().to_owned()));
        }
        heard.push(lines);
    }
    assert!(heard.windows(2).all(|pair| pair[0] == pair[1]));
    assert!(heard[0].iter().map(|(number, _)| *number).eq(1..=60));
}

#[tokio::test]
async fn a_broken_store_costs_chat_and_nothing_else() {
    let scratch = Scratch::new();
    // Where the file should be, nothing can be written.
    std::fs::create_dir(scratch.0.join("rooms.redb")).unwrap();
    let server = server(&scratch.0).await;
    let (mut ada, joined) = Client::join(&server, "demo", "ada").await;
    assert_eq!(joined["participant"]["identity"], "ada");
    let (mut ben, _) = Client::join(&server, "demo", "ben").await;
    assert_eq!(ada.refusal(json!({"type": "chat", "text": "lost"})).await, "internal");
    ada.ok(json!({"type": "update", "name": "Ada L."})).await;
    assert_eq!(ben.event("participant_updated").await["participant"]["name"], "Ada L.");

    std::fs::remove_dir(scratch.0.join("rooms.redb")).unwrap();
    let repaired =
        async { while ada.request(json!({"type": "chat", "text": "kept"})).await["type"] != "ok" {} };
    tokio::time::timeout(crate::support::PATIENCE, repaired).await.expect("it is opened again by itself");
    assert_eq!(ben.event("chat").await["text"], "kept");
}

#[tokio::test]
async fn without_a_place_to_keep_it_chat_lives_as_long_as_its_room() {
    let server = TestServer::start(|_| {}).await;
    let (mut ada, _) = Client::join(&server, "demo", "ada").await;
    ada.ok(json!({"type": "chat", "text": "one"})).await;
    let (_, joined) = Client::join(&server, "demo", "ben").await;
    assert_eq!(texts(&joined["chat"]), [(1, "one")]);
}
