//! Who takes part, with which channels, and what he may do.

use patchbay_protocol::TopicGrant;

use super::limit::{Bucket, PARTICIPANT_BYTES, PARTICIPANT_MESSAGES};
use crate::{ChannelKey, TransportKey};

/// One way to topics: a transport, or one that goes over signaling.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) transport: TransportKey,
    pub(super) participant: u32,
    pub(super) is_allowed: bool,
    pub(super) grants: Vec<TopicGrant>,
    /// Its channels on topics.
    pub(super) channels: Vec<(ChannelKey, u32)>,
}

/// A participant, who may have several ways to topics.
#[derive(Debug)]
pub(super) struct Person {
    pub(super) members: u32,
    pub(super) messages: Bucket,
    pub(super) bytes: Bucket,
}

impl Member {
    pub(super) fn new(transport: TransportKey, participant: u32) -> Self {
        Self { transport, participant, is_allowed: true, grants: Vec::new(), channels: Vec::new() }
    }

    /// Whether it may publish and subscribe on a topic. The first grant that matches decides; none at all allow everything.
    pub(super) fn rights(&self, label: &str) -> (bool, bool) {
        if !self.is_allowed {
            return (false, false);
        }
        if self.grants.is_empty() {
            return (true, true);
        }
        let grant = self.grants.iter().find(|grant| grant.matches(label));
        grant.map_or((false, false), |grant| (grant.publish, grant.subscribe))
    }

    pub(super) fn channel(&self, key: ChannelKey) -> Option<u32> {
        self.channels.iter().find(|(known, _)| *known == key).map(|(_, channel)| *channel)
    }
}

impl Person {
    pub(super) fn new() -> Self {
        let (messages, bytes) = (Bucket::new(PARTICIPANT_MESSAGES), Bucket::new(PARTICIPANT_BYTES));
        Self { members: 0, messages, bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_grant_that_matches_decides() {
        let mut member = Member::new(TransportKey(1), 1);
        assert_eq!(member.rights("anything"), (true, true));
        let grant =
            |topic: &str, publish, subscribe| TopicGrant { topic: topic.to_owned(), publish, subscribe };
        member.grants =
            vec![grant("game.admin", false, false), grant("game.*", true, true), grant("news", false, true)];
        assert_eq!(member.rights("game.admin"), (false, false));
        assert_eq!(member.rights("game.moves"), (true, true));
        assert_eq!(member.rights("news"), (false, true));
        assert_eq!(member.rights("news.local"), (false, false));
        member.is_allowed = false;
        assert_eq!(member.rights("news"), (false, false));
    }
}
