//! Topics against receivers whose room the test decides.

mod keep;
mod latest;
mod limits;
mod relay;
mod wants;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use patchbay_frame::{
    ClientFrame, Filter, Filters, Publish, ServerFrame, Targets, TopicError, Welcome, server_frames,
};

use super::super::Counters;
use super::super::clock::WallClock;
use super::{DataPlane, Intake};
use crate::transport::{ChannelInfo, MessageKind, Reliability};
use crate::{ChannelKey, DataMessage, Egress, OutgoingRtp, Repetition, SendOutcome, TransportKey};

/// Receivers: every one takes everything, unless it was given a limit.
#[derive(Default)]
struct Ends {
    heard: Vec<(u32, u16, Bytes)>,
    /// Whether each of those is repeated until it arrives.
    repeated: Vec<bool>,
    /// Bytes that a channel still takes.
    room: BTreeMap<(u32, u16), usize>,
    gone: Vec<(u32, u16)>,
}

impl Egress for Ends {
    fn send_rtp(&mut self, _: TransportKey, _: &OutgoingRtp<'_>) {}
    fn send_rtcp(&mut self, _: TransportKey, _: &[u8]) {}

    fn send_message(
        &mut self,
        to: TransportKey,
        channel: ChannelKey,
        message: DataMessage<'_>,
        repetition: Repetition,
    ) -> SendOutcome {
        let (DataMessage::Text(bytes) | DataMessage::Binary(bytes)) = message;
        if self.gone.contains(&(to.0, channel.0)) {
            return SendOutcome::Gone;
        }
        if let Some(room) = self.room.get_mut(&(to.0, channel.0)) {
            if *room == 0 {
                return SendOutcome::Full;
            }
            *room = room.saturating_sub(bytes.len());
        }
        self.heard.push((to.0, channel.0, bytes.clone()));
        self.repeated.push(repetition == Repetition::UntilItArrives);
        SendOutcome::Queued
    }

    fn channel_room(&self, to: TransportKey, channel: ChannelKey) -> usize {
        self.room.get(&(to.0, channel.0)).copied().unwrap_or(1_000_000)
    }
}

/// A room in which transport n belongs to participant n.
struct Room {
    now: Instant,
    plane: DataPlane,
    ends: Ends,
    counters: Counters,
}

/// What a receiver was told, in short.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    Welcome,
    /// Sender, key, payload.
    Value(u32, String, Vec<u8>),
    Tombstone(u32, String),
    Left(u32, String),
    Begin(u32),
    End,
    Error(TopicError),
    Pong(u64),
}

impl Room {
    fn new() -> Self {
        let now = Instant::now();
        let plane = DataPlane::new(WallClock::new(now, 1_800_000_000_000_000_000));
        Self { now, plane, ends: Ends::default(), counters: Counters::default() }
    }

    fn join(&mut self, member: u32) {
        self.plane.attach(TransportKey(member), member);
    }

    fn open_as(&mut self, member: u32, channel: u16, label: &str, protocol: &str, how: Reliability) -> bool {
        self.join(member);
        let info = ChannelInfo {
            key: ChannelKey(channel),
            label: label.to_owned(),
            protocol: protocol.to_owned(),
            is_ordered: true,
            reliability: how,
        };
        self.plane.open(self.now, TransportKey(member), &info, &mut self.ends, &mut self.counters)
    }

    /// Opens channel 0, reliable, on the topic "game".
    fn open(&mut self, member: u32, protocol: &str) {
        assert!(self.open_as(member, 0, "game", protocol, Reliability::Reliable));
    }

    fn close(&mut self, member: u32) {
        let (now, out) = (self.now, &mut self.ends);
        self.plane.close(now, TransportKey(member), ChannelKey(0), out, &mut self.counters);
    }

    fn send(&mut self, member: u32, message: &[u8]) -> Intake {
        self.send_on(member, 0, MessageKind::Binary, message)
    }

    fn send_on(&mut self, member: u32, channel: u16, kind: MessageKind, message: &[u8]) -> Intake {
        let (from, key) = (TransportKey(member), ChannelKey(channel));
        let message = Bytes::copy_from_slice(message);
        let (out, counters) = (&mut self.ends, &mut self.counters);
        self.plane.handle_message(self.now, from, key, kind, &message, out, counters)
    }

    fn frame(&mut self, member: u32, frame: &ClientFrame<'_>) {
        let mut message = Vec::new();
        frame.write(&mut message);
        assert_eq!(self.send(member, &message), Intake::Taken);
    }

    fn publish(&mut self, member: u32, key: &str, payload: &[u8]) {
        self.frame(member, &ClientFrame::Publish(Publish { key: Some(key), payload, ..Publish::default() }));
    }

    fn bury(&mut self, member: u32, key: &str) {
        let publish = Publish { key: Some(key), is_tombstone: true, ..Publish::default() };
        self.frame(member, &ClientFrame::Publish(publish));
    }

    fn publish_to(&mut self, member: u32, targets: &[u32], payload: &[u8]) {
        let targets = Some(Targets::List(targets));
        self.frame(member, &ClientFrame::Publish(Publish { targets, payload, ..Publish::default() }));
    }

    fn subscribe(&mut self, member: u32, replace: bool, filters: &[Filter<'_>]) {
        let filters = Filters::List(filters);
        self.frame(member, &ClientFrame::Subscribe { replace, filters });
    }

    /// Lets time pass, doing what is due when it is.
    fn pass(&mut self, by: Duration) {
        let end = self.now + by;
        while let Some(due) = self.plane.deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.plane.handle_timeout(self.now, &mut self.ends, &mut self.counters);
        }
        self.now = end;
    }

    fn set_room(&mut self, member: u32, bytes: usize) {
        self.ends.room.insert((member, 0), bytes);
    }

    fn writable(&mut self, member: u32, bytes: usize) {
        self.set_room(member, bytes);
        let (now, out) = (self.now, &mut self.ends);
        self.plane.handle_writable(now, TransportKey(member), ChannelKey(0), out, &mut self.counters);
    }

    /// What came on channel 0 of a member since the last time.
    fn told(&mut self, member: u32) -> Vec<Told> {
        self.messages(member).iter().flat_map(|message| server_frames(message).map(told)).collect()
    }

    fn messages(&mut self, member: u32) -> Vec<Bytes> {
        let (of, rest) =
            std::mem::take(&mut self.ends.heard).into_iter().partition(|heard| heard.0 == member);
        self.ends.heard = rest;
        let of: Vec<(u32, u16, Bytes)> = of;
        of.into_iter().map(|(_, _, message)| message).collect()
    }

    fn welcome(&mut self, member: u32) -> Welcome {
        let messages = self.messages(member);
        let mut frames = messages.iter().flat_map(|message| server_frames(message));
        let welcome = frames.find_map(|frame| match frame {
            Ok(ServerFrame::Welcome(welcome)) => Some(welcome),
            _ => None,
        });
        welcome.unwrap()
    }
}

fn told(frame: Result<ServerFrame<'_>, patchbay_frame::FrameError>) -> Told {
    match frame.unwrap() {
        ServerFrame::Welcome(_) => Told::Welcome,
        ServerFrame::SnapshotBegin { count } => Told::Begin(count),
        ServerFrame::SnapshotEnd => Told::End,
        ServerFrame::Error { code, .. } => Told::Error(TopicError::from_code(code).unwrap()),
        ServerFrame::Pong { token, .. } => Told::Pong(token),
        ServerFrame::Message(message) => {
            let key = message.key.unwrap_or_default().to_owned();
            match (message.is_tombstone, message.is_left) {
                (true, _) => Told::Tombstone(message.sender, key),
                (_, true) => Told::Left(message.sender, key),
                _ => Told::Value(message.sender, key, message.payload.to_vec()),
            }
        }
    }
}

fn value(sender: u32, key: &str, payload: &[u8]) -> Told {
    Told::Value(sender, key.to_owned(), payload.to_vec())
}

const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}
