//! When receivers are given what they are owed.

use std::time::Instant;

use patchbay_frame::{Mode, TopicError};

use super::DataPlane;
use super::channel::Progress;
use super::limit::{BATCH_TIME, BLOCKED_RETRY};
use crate::router::Counters;
use crate::{ChannelKey, Egress, TransportKey};

/// What a receiver that is cut off is told.
const TOO_SLOW: &str = "this receiver did not keep up";

impl DataPlane {
    /// When `handle_timeout` wants to be called.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match (self.drain_at, self.sweep_at) {
            (Some(drain), Some(sweep)) => Some(drain.min(sweep)),
            (drain, sweep) => drain.or(sweep),
        }
    }

    /// Does what is due: batches, rates, values that expire.
    pub(crate) fn handle_timeout(&mut self, now: Instant, out: &mut impl Egress, counters: &mut Counters) {
        if self.sweep_at.take_if(|due| *due <= now).is_some() {
            self.sweep(now, counters);
        }
        if self.drain_at.take_if(|due| *due <= now).is_some() {
            let mut pending = std::mem::take(&mut self.pending);
            for index in pending.drain(..) {
                if let Some(channel) = self.channels.get_mut(index as usize) {
                    channel.is_pending = false;
                    self.drain(now, index, out, counters);
                }
            }
            // What was put on the list meanwhile stays; the buffer is used again.
            std::mem::swap(&mut self.pending, &mut pending);
            self.pending.append(&mut pending);
        }
        self.finish(now, out, counters);
    }

    /// A channel that had no room has some.
    pub(crate) fn handle_writable(
        &mut self,
        now: Instant,
        transport: TransportKey,
        key: ChannelKey,
        out: &mut impl Egress,
        counters: &mut Counters,
    ) {
        let member = self.find(transport).ok().and_then(|at| self.members.get(at));
        if let Some(index) = member.and_then(|member| member.channel(key)) {
            self.drain(now, index, out, counters);
            self.finish(now, out, counters);
        }
    }

    /// After anything was handled: who was idle gets what it was given at once, the others when the timer says so.
    pub(super) fn finish(&mut self, now: Instant, out: &mut impl Egress, counters: &mut Counters) {
        loop {
            while let Some(index) = self.touched.pop() {
                let Some(channel) = self.channels.get_mut(index as usize) else { continue };
                channel.is_touched = false;
                if channel.is_blocked {
                    self.wait(index, now + BLOCKED_RETRY);
                } else if channel.is_idle(now) {
                    self.drain(now, index, out, counters);
                } else if !channel.is_pending {
                    self.wait(index, now + BATCH_TIME);
                }
            }
            let Some(index) = self.slow.pop() else { return };
            self.cut(now, index, TopicError::TooSlow, TOO_SLOW, out, counters);
        }
    }

    /// Sends what a channel is owed, as far as it goes.
    pub(super) fn drain(&mut self, now: Instant, index: u32, out: &mut impl Egress, counters: &mut Counters) {
        let Some(channel) = self.channels.get_mut(index as usize) else { return };
        let topic_index = channel.topic;
        let Some(topic) = self.topics.get_mut(topic_index) else { return };
        let (settings, waits) = (topic.settings, topic.waits());
        let progress = channel.drain(now, settings.mode, settings.rate, &mut topic.store, out, counters);
        let is_behind = channel.is_behind();
        if settings.mode == Mode::Relay && is_behind && !waits {
            self.slow.push(index);
            return;
        }
        if waits && is_behind != channel.is_stalled {
            channel.is_stalled = is_behind;
            if is_behind {
                topic.stalled += 1;
            } else {
                self.unstall(topic_index);
            }
        }
        if let Progress::Until(due) = progress {
            self.wait(index, due);
        }
    }

    /// A receiver no longer holds anybody up. After the last one, the channels that were held go on.
    pub(super) fn unstall(&mut self, topic_index: usize) {
        let Some(topic) = self.topics.get_mut(topic_index) else { return };
        topic.stalled = topic.stalled.saturating_sub(1);
        if topic.stalled > 0 {
            return;
        }
        for index in std::mem::take(&mut topic.held) {
            if let Some(channel) = self.channels.get(index as usize) {
                self.releases.push_back((channel.transport, channel.key));
            }
        }
    }

    fn wait(&mut self, index: u32, due: Instant) {
        let Some(channel) = self.channels.get_mut(index as usize) else { return };
        if !channel.is_pending {
            channel.is_pending = true;
            self.pending.push(index);
        }
        self.drain_at = Some(self.drain_at.map_or(due, |at| at.min(due)));
    }

    fn sweep(&mut self, now: Instant, counters: &mut Counters) {
        let due: Vec<usize> = self
            .topics
            .iter()
            .filter(|(_, topic)| topic.sweep_at.is_some_and(|due| due <= now))
            .map(|(index, _)| index)
            .collect();
        for index in due {
            let expired = self.topics.get_mut(index).map(|topic| topic.sweep(now)).unwrap_or_default();
            for id in expired {
                self.end_value(now, index, id, None, counters);
                counters.data_expired += 1;
            }
        }
        self.sweep_at = self.topics.iter().filter_map(|(_, topic)| topic.sweep_at).min();
    }
}
