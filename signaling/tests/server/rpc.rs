//! Calls between participants, and topics where there is no media path.

use patchbay_protocol::node::{NodeCommand, NodeEvent};
use serde_json::json;

use crate::support::{Client, TestServer};

#[tokio::test]
async fn two_clients_call_each_other() {
    let server = TestServer::start(|_| {}).await;
    let (mut ada, _) = Client::join(&server, "demo", "ada").await;
    let (mut ben, _) = Client::join(&server, "demo", "ben").await;
    // Several at once, answered in another order.
    let mut asked = Vec::new();
    for index in 0..3 {
        let call = json!({"type": "rpc", "to": 2, "method": "square", "payload": index.to_string()});
        asked.push(ada.send(call).await);
    }
    let mut requests = Vec::new();
    for _ in 0..3 {
        requests.push(ben.event("rpc_request").await);
    }
    for request in requests.iter().rev() {
        assert_eq!((&request["from"], &request["method"]), (&json!(1), &json!("square")));
        let number: u32 = request["payload"].as_str().unwrap().parse().unwrap();
        let answer =
            json!({"type": "rpc_reply", "call": request["call"], "payload": (number * number).to_string()});
        assert_eq!(ben.ok(answer).await["type"], "done");
    }
    for (id, expected) in asked.into_iter().zip(["0", "1", "4"]).rev() {
        let reply = ada.reply(id).await;
        assert_eq!(reply["result"], json!({"type": "rpc_done", "payload": expected}));
    }

    let failing = ben.send(json!({"type": "rpc", "to": 1, "method": "fail", "payload": ""})).await;
    let request = ada.event("rpc_request").await;
    ada.ok(json!({"type": "rpc_reply", "call": request["call"], "error": "not today"})).await;
    let reply = ben.reply(failing).await;
    assert_eq!((&reply["code"], &reply["message"]), (&json!("rpc_failed"), &json!("not today")));

    let slow = json!({"type": "rpc", "to": 2, "method": "wait", "payload": "", "timeout_ms": 50});
    assert_eq!(ada.refusal(slow).await, "rpc_timeout");
    let late = ben.event("rpc_request").await;
    let answer = json!({"type": "rpc_reply", "call": late["call"], "payload": "too late"});
    assert_eq!(ben.refusal(answer).await, "unknown_call");

    let left = ada.send(json!({"type": "rpc", "to": 2, "method": "wait", "payload": ""})).await;
    ben.event("rpc_request").await;
    ben.ok(json!({"type": "leave"})).await;
    assert_eq!(ada.reply(left).await["code"], "rpc_failed");
    let nobody = json!({"type": "rpc", "to": 2, "method": "x", "payload": ""});
    assert_eq!(ada.refusal(nobody).await, "unknown_participant");
}

#[tokio::test]
async fn a_topic_over_signaling_reaches_the_node_and_comes_back() {
    let (server, mut node) = TestServer::with_node(|_| {}).await;
    let (mut ada, joined) = Client::join(&server, "demo", "ada").await;
    let open = json!({"type": "topic_open", "label": "game", "protocol": "patchbay?mode=latest"});
    let opened = ada.ok(open).await;
    assert_eq!(opened["type"], "topic_opened");
    let (transport, participant) = node
        .expect(|command| match command {
            NodeCommand::AttachData { transport, participant, .. } => Some((*transport, *participant)),
            _ => None,
        })
        .await;
    assert_eq!(json!(participant), joined["participant"]["number"]);
    let channel = node
        .expect(|command| match command {
            NodeCommand::OpenTopic { transport: of, channel, label, .. } if *of == transport => {
                assert_eq!(label, "game");
                Some(*channel)
            }
            _ => None,
        })
        .await;
    assert_eq!(opened["channel"], channel);
    ada.ok(json!({"type": "topic_send", "channel": channel, "messages": ["AAEC", "AwQF"]})).await;
    let sent = node
        .expect(|command| match command {
            NodeCommand::SendData { messages, .. } => Some(messages.clone()),
            _ => None,
        })
        .await;
    assert_eq!(sent, ["AAEC", "AwQF"]);
    node.say(NodeEvent::Data { transport, channel, messages: vec!["BgcI".into()] }).await;
    let heard = ada.event("topic").await;
    assert_eq!((&heard["channel"], &heard["messages"]), (&json!(channel), &json!(["BgcI"])));
    node.say(NodeEvent::TopicClosed { transport, channel, reason: "too slow".into() }).await;
    assert_eq!(ada.event("topic_closed").await["reason"], "too slow");
    let send = json!({"type": "topic_send", "channel": channel, "messages": ["AAEC"]});
    assert_eq!(ada.refusal(send).await, "unknown_topic");
    let ended = node.expect(|command| match command {
        NodeCommand::CloseTransport { transport } => Some(*transport),
        _ => None,
    });
    assert_eq!(ended.await, transport);
}
