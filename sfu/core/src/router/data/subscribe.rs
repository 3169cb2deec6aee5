//! What receivers want, in *interest* mode.

use std::time::Instant;

use patchbay_frame::{Filter, Filters, Mode, TopicError, limit::FILTERS};

use super::DataPlane;
use crate::Egress;
use crate::router::Counters;

/// Values that one message's worth of a participant's rate pays to look through.
const VALUES_PER_MESSAGE: usize = 256;

impl DataPlane {
    pub(super) fn subscribe(
        &mut self,
        now: Instant,
        index: u32,
        replace: bool,
        filters: Filters<'_>,
        out: &mut impl Egress,
        counters: &mut Counters,
    ) {
        if !self.may_choose(now, index, out, counters) {
            return;
        }
        let Self { channels, topics, touched, .. } = self;
        let Some(channel) = channels.get_mut(index as usize) else { return };
        let Some(topic) = topics.get_mut(channel.topic) else { return };
        if replace {
            channel.wants.clear(index, &mut topic.interest);
        }
        let mut is_too_many = false;
        for filter in filters.iter() {
            if channel.wants.len() >= FILTERS {
                is_too_many = true;
                break;
            }
            channel.wants.add(filter, index, &mut topic.interest);
        }
        if replace {
            channel.forget_unwanted(Mode::Interest, &topic.store);
        }
        channel.owe_snapshot(Mode::Interest, &mut topic.store);
        if !channel.is_touched {
            channel.is_touched = true;
            touched.push(index);
        }
        if is_too_many {
            self.complain(now, index, TopicError::TooManyFilters, "more than 64 filters", out, counters);
        }
    }

    pub(super) fn unsubscribe(
        &mut self,
        now: Instant,
        index: u32,
        filters: Filters<'_>,
        out: &mut impl Egress,
        counters: &mut Counters,
    ) {
        if !self.may_choose(now, index, out, counters) {
            return;
        }
        let Some(channel) = self.channels.get_mut(index as usize) else { return };
        let Some(topic) = self.topics.get_mut(channel.topic) else { return };
        let mut is_any = false;
        for filter in filters.iter() {
            let filter: Filter<'_> = filter;
            channel.wants.remove(filter, index, &mut topic.interest);
            is_any = true;
        }
        if !is_any {
            channel.wants.clear(index, &mut topic.interest);
        }
        channel.forget_unwanted(Mode::Interest, &topic.store);
    }

    /// Whether a channel may say what it wants, and pays for the search.
    fn may_choose(
        &mut self,
        now: Instant,
        index: u32,
        out: &mut impl Egress,
        counters: &mut Counters,
    ) -> bool {
        let Some(channel) = self.channels.get(index as usize) else { return false };
        let Some(topic) = self.topics.get(channel.topic) else { return false };
        if topic.settings.mode != Mode::Interest {
            return false;
        }
        let (participant, cost) = (channel.participant, topic.store.len() / VALUES_PER_MESSAGE);
        if !channel.may_subscribe {
            let text = "subscribing is not granted";
            self.complain(now, index, TopicError::NotAllowed, text, out, counters);
            return false;
        }
        let is_allowed = self.allow(now, participant, cost as u64, 0);
        if !is_allowed {
            let text = "too many messages or bytes";
            self.complain(now, index, TopicError::RateLimited, text, out, counters);
        }
        is_allowed
    }
}
