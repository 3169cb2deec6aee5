//! What is known of a topic, and what waits to be sent: data only, one lock around it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use patchbay_frame::{
    ClientFrame, Filters, Message as Frame, Mode, ServerFrame, TopicError, Welcome, server_frames,
};

use super::{Message, TopicCounters, Want};
use crate::ServerClock;

/// Messages that wait for a reader who reads too slowly; the oldest go first.
const UNREAD: usize = 4_096;
/// Messages that wait for room on a reliable topic.
const UNSENT: usize = 1_024;
/// Values whose end is remembered, for what an unordered channel brings behind it.
const ENDED: usize = 1_024;
/// How long a snapshot may take to answer a subscription before it is said again.
const ANSWER_TIME: Duration = Duration::from_millis(500);
/// Pings whose answer is waited for.
const PINGS: usize = 16;

type Name = (u32, String);

/// What became of something that was to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It is on its way, or will be as soon as there is room.
    Queued,
    /// It takes the place of an older value that had not left yet.
    Replaced,
    /// There was no room for it, on a topic where things may get lost.
    Dropped,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) welcome: Option<Welcome>,
    /// Whether there is a carrier that takes messages.
    pub(super) is_carried: bool,
    pub(super) is_fallback: bool,
    pub(super) is_closed: bool,
    /// The carrier is about to take a message.
    is_sending: bool,
    pub(super) wants: Vec<Want>,
    /// Subscriptions that no snapshot has answered, and when the last one left.
    unanswered: u32,
    subscribed_at: Option<Instant>,
    pub(super) unread: VecDeque<Message>,
    pub(super) errors: VecDeque<(String, String)>,
    pub(super) counters: TopicCounters,
    values: BTreeMap<Name, Message>,
    ended: BTreeMap<Name, u32>,
    /// Values that were told on the carrier in use, until its first snapshot is complete.
    told: BTreeSet<Name>,
    is_stale: bool,
    sequences: BTreeMap<u32, u32>,
    floor: BTreeMap<u32, u32>,
    /// What waits for room: messages in order, and the newest of each key.
    unsent: VecDeque<Vec<u8>>,
    unsent_values: BTreeMap<String, Vec<u8>>,
    pings: VecDeque<(u64, Instant)>,
    next_ping: u64,
}

impl State {
    pub(super) fn mode(&self, asked: Mode) -> Mode {
        self.welcome.map_or(asked, |welcome| welcome.settings.mode)
    }

    /// Takes a message to be sent. `key`: by which a newer one may replace it. `None`: there is no room and none may be lost.
    pub(super) fn offer(&mut self, message: Vec<u8>, key: Option<String>, is_reliable: bool) -> Option<Sent> {
        if let Some(key) = key {
            let sent = if self.unsent_values.insert(key, message).is_some() {
                self.counters.conflated += 1;
                Sent::Replaced
            } else {
                Sent::Queued
            };
            return Some(sent);
        }
        if self.unsent.len() >= UNSENT {
            if is_reliable {
                return None;
            }
            self.unsent.pop_front();
            self.counters.dropped += 1;
        }
        self.unsent.push_back(message);
        Some(Sent::Queued)
    }

    pub(super) fn has_room(&self) -> bool {
        self.is_carried && self.unsent.len() < UNSENT / 4
    }

    /// The next message for the carrier.
    pub(super) fn next_outgoing(&mut self) -> Option<Vec<u8>> {
        let message = self.unsent.pop_front().or_else(|| Some(self.unsent_values.pop_first()?.1));
        self.is_sending = message.is_some();
        self.counters.sent += u64::from(self.is_sending);
        message
    }

    /// Whether something waits that its carrier could take.
    pub(super) fn has_unsent(&self) -> bool {
        self.is_carried && (self.is_sending || !self.unsent.is_empty() || !self.unsent_values.is_empty())
    }

    /// Another carrier is in use from here on. Returns what has to be said on it first.
    pub(super) fn begin_carrier(&mut self, is_fallback: bool) -> Option<Vec<u8>> {
        self.is_carried = true;
        self.is_fallback = is_fallback;
        self.floor = std::mem::take(&mut self.sequences);
        self.ended.clear();
        self.told.clear();
        self.is_stale = true;
        self.unanswered = 0;
        (!self.wants.is_empty()).then(|| self.subscribe())
    }

    /// A subscription that should have been answered by now, to be said again: a channel that loses things may have lost it, and
    /// then nobody would be seen.
    pub(super) fn subscribe_again(&mut self, now: Instant) -> Option<Vec<u8>> {
        let is_overdue = self.subscribed_at.is_some_and(|at| now.duration_since(at) >= ANSWER_TIME);
        let is_interest = self.welcome.is_some_and(|welcome| welcome.settings.mode == Mode::Interest);
        if !(self.is_carried && is_interest && is_overdue && self.unanswered > 0) {
            return None;
        }
        self.unanswered = 0;
        Some(self.subscribe())
    }

    fn subscribe(&mut self) -> Vec<u8> {
        self.unanswered += 1;
        self.subscribed_at = Some(Instant::now());
        subscription(&self.wants)
    }

    pub(super) fn end_carrier(&mut self) {
        self.is_carried = false;
        self.is_sending = false;
        self.welcome = None;
    }

    /// A question about the server's time, if it makes sense to ask now.
    pub(super) fn ping(&mut self, now: Instant) -> Option<Vec<u8>> {
        if !self.is_carried || !self.unsent.is_empty() {
            return None;
        }
        self.next_ping += 1;
        self.pings.push_back((self.next_ping, now));
        if self.pings.len() > PINGS {
            self.pings.pop_front();
        }
        let mut message = Vec::new();
        ClientFrame::Ping { token: self.next_ping }.write(&mut message);
        Some(message)
    }

    /// What the server said.
    pub(super) fn receive(&mut self, bytes: &[u8], clock: &ServerClock) {
        for frame in server_frames(bytes).map_while(Result::ok) {
            match frame {
                ServerFrame::Welcome(welcome) => {
                    clock.hint(welcome.time);
                    self.welcome = Some(welcome);
                }
                ServerFrame::Message(message) => self.receive_message(message),
                ServerFrame::SnapshotBegin { .. } => {}
                ServerFrame::SnapshotEnd => self.end_snapshot(),
                ServerFrame::Pong { token, time } => {
                    if let Some(at) = self.pings.iter().position(|(known, _)| *known == token)
                        && let Some((_, asked)) = self.pings.remove(at)
                    {
                        clock.add(asked, time);
                    }
                }
                ServerFrame::Error { code, text } => {
                    self.counters.errors += 1;
                    let name = TopicError::from_code(code).map_or("unknown", TopicError::name);
                    self.errors.push_back((name.to_owned(), text.to_owned()));
                    if self.errors.len() > 64 {
                        self.errors.pop_front();
                    }
                }
            }
        }
    }

    /// The newest of each sender and key.
    pub(super) fn values(&self) -> impl Iterator<Item = &Message> {
        self.values.values()
    }

    /// What is no longer wanted is no longer known.
    pub(super) fn set_wants(&mut self, wants: Vec<Want>) -> Vec<u8> {
        self.values.retain(|(_, key), value| wants.iter().any(|want| want.matches(key, value.cell)));
        self.wants = wants;
        self.subscribe()
    }

    fn receive_message(&mut self, frame: Frame<'_>) {
        let mode = self.welcome.map_or(Mode::Relay, |welcome| welcome.settings.mode);
        let is_kept = mode != Mode::Relay && !frame.is_targeted;
        // The carrier before may have brought it. Sequences wrap.
        if mode == Mode::Relay
            && self.floor.get(&frame.sender).is_some_and(|floor| !is_newer(frame.sequence, *floor))
        {
            return;
        }
        self.sequences.insert(frame.sender, frame.sequence);
        let message = Message::from(frame);
        if is_kept {
            let name = (message.sender, message.key.clone().unwrap_or_default());
            if self.is_stale {
                self.told.insert(name.clone());
            }
            let newest =
                self.values.get(&name).map(|value| value.sequence).or(self.ended.get(&name).copied());
            if newest.is_some_and(|newest| is_newer(newest, message.sequence)) {
                return;
            }
            if message.is_deleted || message.has_left {
                self.values.remove(&name);
                self.ended.insert(name, message.sequence);
                if self.ended.len() > ENDED {
                    self.ended.pop_first();
                }
            } else {
                self.values.insert(name, message.clone());
            }
        }
        self.counters.received += 1;
        self.unread.push_back(message);
        if self.unread.len() > UNREAD {
            self.unread.pop_front();
            self.counters.dropped += 1;
        }
    }

    fn end_snapshot(&mut self) {
        self.unanswered = self.unanswered.saturating_sub(1);
        // In *interest* each subscription has a snapshot of its own; only the first one on a carrier is of everything.
        if std::mem::take(&mut self.is_stale) {
            let told = std::mem::take(&mut self.told);
            self.values.retain(|name, _| told.contains(name));
        }
    }
}

/// Whether a sequence number came after another; they wrap.
fn is_newer(number: u32, than: u32) -> bool {
    number.wrapping_sub(than).cast_signed() > 0
}

fn subscription(wants: &[Want]) -> Vec<u8> {
    let filters: Vec<_> = wants.iter().map(Want::filter).collect();
    let mut message = Vec::new();
    ClientFrame::Subscribe { replace: true, filters: Filters::List(&filters) }.write(&mut message);
    message
}

#[cfg(test)]
mod tests {
    use patchbay_frame::Settings;

    use super::*;

    fn welcome(mode: Mode) -> Vec<u8> {
        let mut bytes = Vec::new();
        ServerFrame::Welcome(Welcome::new(1, 1, Settings { mode, ..Settings::default() })).write(&mut bytes);
        bytes
    }

    fn message(sender: u32, sequence: u32, key: &str, change: impl Fn(&mut Frame<'_>)) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut frame = Frame { sender, sequence, key: Some(key), payload: b"x", ..Frame::default() };
        change(&mut frame);
        ServerFrame::Message(frame).write(&mut bytes);
        bytes
    }

    fn snapshot_end() -> Vec<u8> {
        let mut bytes = Vec::new();
        ServerFrame::SnapshotEnd.write(&mut bytes);
        bytes
    }

    fn keys(state: &State) -> Vec<&str> {
        state.values().filter_map(|value| value.key.as_deref()).collect()
    }

    #[test]
    fn the_newest_value_stays_until_its_end() {
        let (mut state, clock) = (State::default(), ServerClock::new());
        state.begin_carrier(false);
        state.receive(&welcome(Mode::Latest), &clock);
        state.receive(&message(2, 5, "k", |_| ()), &clock);
        state.receive(&message(2, 4, "k", |_| ()), &clock);
        assert_eq!(state.unread.len(), 1, "what is older than what is known is not told");
        state.receive(&message(2, 6, "k", |frame| frame.is_tombstone = true), &clock);
        state.receive(&message(2, 5, "k", |_| ()), &clock);
        assert_eq!(keys(&state), Vec::<&str>::new());
        state.receive(&message(2, 7, "k", |_| ()), &clock);
        assert_eq!(keys(&state), ["k"]);
    }

    #[test]
    fn what_ended_between_two_carriers_is_forgotten() {
        let (mut state, clock) = (State::default(), ServerClock::new());
        for (carrier, told) in [["a", "b"], ["b", "c"]].into_iter().enumerate() {
            state.begin_carrier(false);
            state.receive(&welcome(Mode::Latest), &clock);
            for key in told {
                state.receive(&message(2, 10 + carrier as u32, key, |_| ()), &clock);
            }
            state.receive(&snapshot_end(), &clock);
        }
        assert_eq!(keys(&state), ["b", "c"]);
    }

    #[test]
    fn a_relay_says_nothing_twice_when_the_carrier_changes() {
        let (mut state, clock) = (State::default(), ServerClock::new());
        state.begin_carrier(true);
        state.receive(&welcome(Mode::Relay), &clock);
        state.receive(&message(2, u32::MAX, "", |_| ()), &clock);
        state.begin_carrier(false);
        state.receive(&message(2, u32::MAX, "", |_| ()), &clock);
        state.receive(&message(2, 0, "", |_| ()), &clock);
        assert_eq!(state.unread.iter().map(|it| it.sequence).collect::<Vec<_>>(), [u32::MAX, 0]);
    }

    #[test]
    fn a_subscription_that_nobody_answers_is_said_again() {
        let (mut state, clock) = (State::default(), ServerClock::new());
        assert_eq!(state.begin_carrier(false), None);
        state.receive(&welcome(Mode::Interest), &clock);
        let said = state.set_wants(vec![Want::Key("k".into())]);
        let now = Instant::now();
        assert_eq!(state.subscribe_again(now), None, "too early");
        let late = now + ANSWER_TIME;
        assert_eq!(state.subscribe_again(late), Some(said));
        state.receive(&snapshot_end(), &clock);
        assert_eq!(state.subscribe_again(late + 2 * ANSWER_TIME), None, "it was answered");
    }

    #[test]
    fn without_room_values_conflate_and_the_rest_is_bounded() {
        let mut state = State::default();
        assert_eq!(state.offer(vec![1], Some("k".into()), true), Some(Sent::Queued));
        assert_eq!(state.offer(vec![2], Some("k".into()), true), Some(Sent::Replaced));
        for _ in 0..UNSENT {
            assert_eq!(state.offer(vec![3], None, true), Some(Sent::Queued));
        }
        assert_eq!(state.offer(vec![4], None, true), None);
        assert_eq!(state.offer(vec![4], None, false), Some(Sent::Queued));
        assert_eq!(state.counters.dropped, 1);
        let all: Vec<Vec<u8>> = std::iter::from_fn(|| state.next_outgoing()).collect();
        assert_eq!((all.len(), all.last()), (UNSENT + 1, Some(&vec![2])));
    }
}
