//! The golden binaries: every frame is written as they have it, and read as `frames.json` says.

use std::path::{Path, PathBuf};

use patchbay_frame::{
    Area, Cell, ClientFrame, Departure, Filter, Filters, FrameError, Message, Mode, Publish, ServerFrame,
    Settings, SlowReceiver, Targets, TopicError, Welcome, client_frames, server_frames,
};
use serde_json::Value;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

fn entries() -> Vec<(Value, Vec<u8>)> {
    let text = std::fs::read_to_string(golden().join("frames.json")).unwrap();
    let entries: Vec<Value> = serde_json::from_str(&text).unwrap();
    let binary = |entry: &Value| std::fs::read(golden().join(entry["file"].as_str().unwrap())).unwrap();
    entries.into_iter().map(|entry| (entry.clone(), binary(&entry))).collect()
}

/// What a frame of `frames.json` borrows from.
struct Owned {
    payload: Vec<u8>,
    targets: Vec<u32>,
    filters: Vec<OwnedFilter>,
}

enum OwnedFilter {
    Key(String),
    Prefix(String),
    Area(Area),
}

fn owned(frame: &Value) -> Owned {
    let payload = if let Some(text) = frame["payload_text"].as_str() {
        text.as_bytes().to_vec()
    } else if let Some(repeat) = frame["payload_repeat"].as_object() {
        vec![repeat["byte"].as_u64().unwrap() as u8; repeat["count"].as_u64().unwrap() as usize]
    } else {
        let hex = frame["payload"].as_str().unwrap_or_default();
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    };
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let filter = |filter: &Value| {
        if let Some(key) = filter["key"].as_str() {
            return OwnedFilter::Key(key.to_owned());
        }
        if let Some(prefix) = filter["prefix"].as_str() {
            return OwnedFilter::Prefix(prefix.to_owned());
        }
        let area: Vec<i16> = list(&filter["area"]).iter().map(|it| it.as_i64().unwrap() as i16).collect();
        let (from, to) = (Cell { x: area[0], y: area[1] }, Cell { x: area[2], y: area[3] });
        OwnedFilter::Area(Area { from, to })
    };
    Owned {
        payload,
        targets: list(&frame["targets"]).iter().map(|it| it.as_u64().unwrap() as u32).collect(),
        filters: list(&frame["filters"]).iter().map(filter).collect(),
    }
}

fn filters(owned: &Owned) -> Vec<Filter<'_>> {
    let filter = |filter| match filter {
        &OwnedFilter::Area(area) => Filter::Area(area),
        OwnedFilter::Key(key) => Filter::Key(key),
        OwnedFilter::Prefix(prefix) => Filter::Prefix(prefix),
    };
    owned.filters.iter().map(filter).collect()
}

fn is(frame: &Value, name: &str) -> bool {
    frame[name].as_bool().unwrap_or_default()
}

fn number(frame: &Value, name: &str) -> u64 {
    frame[name].as_u64().unwrap()
}

fn cell(frame: &Value) -> Option<Cell> {
    let cell = frame["cell"].as_array()?;
    Some(Cell { x: cell[0].as_i64().unwrap() as i16, y: cell[1].as_i64().unwrap() as i16 })
}

fn client_frame<'a>(frame: &'a Value, owned: &'a Owned, filters: &'a [Filter<'a>]) -> ClientFrame<'a> {
    match frame["type"].as_str().unwrap() {
        "publish" => ClientFrame::Publish(Publish {
            is_text: is(frame, "text"),
            is_tombstone: is(frame, "tombstone"),
            targets: (!owned.targets.is_empty()).then_some(Targets::List(&owned.targets)),
            key: frame["key"].as_str(),
            cell: cell(frame),
            payload: &owned.payload,
        }),
        "subscribe" => {
            ClientFrame::Subscribe { replace: is(frame, "replace"), filters: Filters::List(filters) }
        }
        "unsubscribe" => ClientFrame::Unsubscribe { filters: Filters::List(filters) },
        "ping" => ClientFrame::Ping { token: number(frame, "token") },
        other => panic!("a client sends no {other}"),
    }
}

fn server_frame<'a>(frame: &'a Value, owned: &'a Owned) -> ServerFrame<'a> {
    match frame["type"].as_str().unwrap() {
        "welcome" => {
            let mode = [Mode::Relay, Mode::Latest, Mode::Interest].into_iter();
            let settings = Settings {
                mode: mode.clone().find(|mode| mode.name() == frame["mode"]).unwrap(),
                rate: number(frame, "rate") as u32,
                ttl_ms: number(frame, "ttl_ms") as u32,
                slow: if frame["slow"] == "wait" { SlowReceiver::Wait } else { SlowReceiver::Cut },
                departure: if frame["leave"] == "keep" { Departure::Keep } else { Departure::Drop },
            };
            ServerFrame::Welcome(Welcome {
                version: number(frame, "version") as u8,
                may_publish: is(frame, "may_publish"),
                may_subscribe: is(frame, "may_subscribe"),
                ..Welcome::new(number(frame, "participant") as u32, number(frame, "time"), settings)
            })
        }
        "message" => ServerFrame::Message(Message {
            is_text: is(frame, "text"),
            is_tombstone: is(frame, "tombstone"),
            is_targeted: is(frame, "targeted"),
            is_left: is(frame, "left"),
            sender: number(frame, "sender") as u32,
            sequence: number(frame, "sequence") as u32,
            time: number(frame, "time"),
            key: frame["key"].as_str(),
            cell: cell(frame),
            payload: &owned.payload,
        }),
        "snapshot_begin" => ServerFrame::SnapshotBegin { count: number(frame, "count") as u32 },
        "snapshot_end" => ServerFrame::SnapshotEnd,
        "error" => {
            let error = TopicError::ALL.into_iter().find(|error| error.name() == frame["error"]).unwrap();
            error.frame(frame["text"].as_str().unwrap())
        }
        "pong" => ServerFrame::Pong { token: number(frame, "token"), time: number(frame, "time") },
        other => panic!("a server sends no {other}"),
    }
}

fn error(entry: &Value) -> Option<FrameError> {
    Some(match entry["error"].as_str()? {
        "truncated" => FrameError::Truncated,
        "short_body" => FrameError::ShortBody,
        "bad_length" => FrameError::BadLength,
        "bad_key" => FrameError::BadKey,
        "bad_targets" => FrameError::BadTargets,
        "bad_filter" => FrameError::BadFilter,
        "bad_value" => FrameError::BadValue,
        other => panic!("no error is called {other}"),
    })
}

#[test]
fn frames_are_read_and_written_as_the_golden_files_have_them() {
    for (entry, binary) in entries() {
        let name = entry["name"].as_str().unwrap();
        let described = entry["frames"].as_array().unwrap();
        let owned: Vec<Owned> = described.iter().map(owned).collect();
        let filters: Vec<_> = owned.iter().map(filters).collect();
        let mut written = Vec::new();
        if entry["from"] == "client" {
            let parts = described.iter().zip(&owned).zip(&filters);
            let frames: Vec<_> =
                parts.map(|((it, owned), filters)| client_frame(it, owned, filters)).collect();
            frames.iter().for_each(|frame| frame.write(&mut written));
            let expected = frames.into_iter().map(Ok).chain(error(&entry).map(Err));
            assert_eq!(client_frames(&binary).collect::<Vec<_>>(), expected.collect::<Vec<_>>(), "{name}");
        } else {
            let frames: Vec<_> =
                described.iter().zip(&owned).map(|(it, owned)| server_frame(it, owned)).collect();
            for frame in &frames {
                let before = written.len();
                frame.write(&mut written);
                if let ServerFrame::Message(message) = frame {
                    assert_eq!(written.len() - before, message.encoded_len(), "{name}");
                }
            }
            let expected = frames.into_iter().map(Ok).chain(error(&entry).map(Err));
            assert_eq!(server_frames(&binary).collect::<Vec<_>>(), expected.collect::<Vec<_>>(), "{name}");
        }
        assert!(is(&entry, "only_read") || written == binary, "{name} is written as {written:02x?}");
    }
}

#[test]
fn a_message_of_100_bytes_has_a_header_of_20() {
    let (_, binary) = entries().into_iter().find(|(entry, _)| entry["name"] == "message-100-bytes").unwrap();
    assert_eq!(binary.len(), 120);
}

#[test]
fn every_error_has_a_golden_frame() {
    let names: Vec<_> = entries().into_iter().map(|(entry, _)| entry["name"].to_string()).collect();
    for error in TopicError::ALL {
        assert_eq!(TopicError::from_code(error.code()), Some(error));
        let name = format!("\"error-{}\"", error.name().replace('_', "-"));
        assert!(names.contains(&name), "{name}");
    }
    assert_eq!((TopicError::from_code(0), TopicError::from_code(200)), (None, None));
}

#[test]
fn what_is_too_long_is_cut_where_it_is_written() {
    let key = "é".repeat(40);
    let targets: Vec<u32> = (0..200).collect();
    let mut written = Vec::new();
    let publish = Publish { key: Some(&key), targets: Some(Targets::List(&targets)), ..Publish::default() };
    ClientFrame::Publish(publish).write(&mut written);
    let mut frames = client_frames(&written);
    let Some(Ok(ClientFrame::Publish(read))) = frames.next() else { panic!("it is not read") };
    assert_eq!((read.key, read.targets.unwrap().iter().count()), (Some(&key[..64]), 128));
    assert!(frames.next().is_none());
}
