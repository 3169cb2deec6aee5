//! One join is one trace, from what the client asks to media that flows, through both processes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use patchbay_e2e::{Mode, Outcome, Server, until};
use patchbay_peer::Peer;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const PATIENCE: Duration = Duration::from_secs(20);

type Spans = Arc<Mutex<Vec<Span>>>;

/// A collector: as much of OTLP over HTTP as keeps what it is sent.
async fn collector() -> Result<(String, Spans), std::io::Error> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let spans = Spans::default();
    let kept = spans.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(take(stream, kept.clone()));
        }
    });
    Ok((url, spans))
}

async fn take(mut stream: TcpStream, spans: Spans) -> Outcome {
    let mut request = Vec::new();
    let head = loop {
        if let Some(end) = request.windows(4).position(|it| it == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut request).await? == 0 {
            return Err("no request".into());
        }
    };
    let text = String::from_utf8_lossy(&request[..head]).to_lowercase();
    assert!(
        text.starts_with("post /v1/traces http/1.1") && text.contains("content-type: application/x-protobuf"),
        "{text}"
    );
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")).ok_or("no length")?;
    let length: usize = length.trim().parse()?;
    while request.len() < head + length {
        if stream.read_buf(&mut request).await? == 0 {
            return Err("a short request".into());
        }
    }
    let export = ExportTraceServiceRequest::decode(&request[head..])?;
    let found = export.resource_spans.into_iter().flat_map(|it| it.scope_spans).flat_map(|it| it.spans);
    spans.lock().unwrap_or_else(PoisonError::into_inner).extend(found);
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await?;
    Ok(())
}

fn attribute(span: &Span, key: &str) -> Option<String> {
    let found = span.attributes.iter().find(|it| it.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_join_is_one_trace_through_signaling_and_node() -> Outcome {
    let (url, spans) = collector().await?;
    let mut server = Server::start_with_both(Mode::TwoProcesses, "trace", &["--otlp-endpoint", &url]).await?;
    let peer = Peer::join(server.peer("traced", "ada").hear(1)).await?;
    peer.connected().await?;
    let names = ["join", "room", "link", "node", "negotiate", "connect"];
    let found = until(PATIENCE, "every span of the join", || async {
        let spans = spans.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let by_name: BTreeMap<String, Span> = spans.iter().map(|it| (it.name.clone(), it.clone())).collect();
        (by_name.len() == names.len()).then_some(by_name)
    })
    .await
    .map_err(|error| {
        format!(
            "{error}: {:?}",
            spans.lock().map(|it| it.iter().map(|it| it.name.clone()).collect::<Vec<_>>())
        )
    })?;
    assert!(names.iter().all(|name| found.contains_key(*name)), "{:?}", found.keys());
    assert_eq!(
        spans.lock().unwrap_or_else(PoisonError::into_inner).len(),
        names.len(),
        "one join, one trace"
    );

    let join = &found["join"];
    assert!(join.parent_span_id.is_empty() && join.trace_id.len() == 16);
    assert_eq!(attribute(join, "room").as_deref(), Some("traced"));
    assert!(attribute(join, "session").is_some());
    for (child, parent) in
        [("room", "join"), ("link", "room"), ("node", "link"), ("negotiate", "node"), ("connect", "node")]
    {
        let (child, parent) = (&found[child], &found[parent]);
        assert_eq!(child.trace_id, join.trace_id, "{}", child.name);
        assert_eq!(child.parent_span_id, parent.span_id, "{} is not of {}", child.name, parent.name);
        assert!(child.start_time_unix_nano >= parent.start_time_unix_nano, "{}", child.name);
    }
    // The trace holds what came of it, and nothing that is secret or somebody's address.
    let keys: Vec<&str> = found.values().flat_map(|it| &it.attributes).map(|it| it.key.as_str()).collect();
    assert!(
        !keys.iter().any(|key| key.contains("secret") || key.contains("token") || key.contains("sdp")),
        "{keys:?}"
    );
    peer.leave().await?;
    server.check()?;
    Ok(())
}
