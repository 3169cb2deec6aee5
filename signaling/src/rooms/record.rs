//! What a room has stored on its node to be rebuilt from after a restart of signaling, and what is to be stored anew.
//!
//! A room's records are compared with what was stored, by hash: nobody has to say what changed. That costs a pass over all
//! members, so it is done at most once in [`Records::interval`]; a change after a rest is stored at once. What must not wait
//! (a member, before it is told that it joined) is stored by itself.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

/// How often a small room looks for changes at most.
const INTERVAL: Duration = Duration::from_millis(100);
/// And how much longer for each member, so that a room of 1,000 spends under a hundredth of a core on it.
const INTERVAL_PER_MEMBER: Duration = Duration::from_millis(1);
/// Bytes of one command, about.
const COMMAND_BYTES: usize = 256 * 1024;

/// Texts to be stored, by key; without a text: to be forgotten.
pub(super) type Changes = BTreeMap<String, Option<String>>;

/// Hashes of what was stored.
#[derive(Debug, Default)]
pub(super) struct Records {
    stored: HashMap<String, u64>,
    is_dirty: bool,
    last: Option<Instant>,
}

impl Records {
    /// What the node holds by now, as it says itself.
    pub(super) fn holding(blobs: &BTreeMap<String, String>) -> Self {
        let stored = blobs.iter().map(|(key, text)| (key.clone(), hash(text))).collect();
        Self { stored, is_dirty: true, last: None }
    }

    /// Something may have changed.
    pub(super) fn mark(&mut self) {
        self.is_dirty = true;
    }

    /// When to look for changes.
    pub(super) fn due(&self, now: Instant, members: usize) -> Option<Instant> {
        let interval = INTERVAL + INTERVAL_PER_MEMBER * u32::try_from(members).unwrap_or(u32::MAX);
        self.is_dirty.then(|| self.last.map_or(now, |last| last + interval))
    }

    /// Texts of which some may be new, and no others are looked at.
    pub(super) fn some(&mut self, texts: impl IntoIterator<Item = (String, String)>) -> Changes {
        let mut changes = Changes::new();
        for (key, text) in texts {
            let hash = hash(&text);
            if self.stored.insert(key.clone(), hash) != Some(hash) {
                changes.insert(key, Some(text));
            }
        }
        changes
    }

    /// All texts there are: what was stored besides is forgotten. In commands that are not too large; the room's own texts
    /// come before any that are forgotten, as they tell how far numbers were given.
    pub(super) fn all(
        &mut self,
        now: Instant,
        texts: impl IntoIterator<Item = (String, String)>,
    ) -> Vec<Changes> {
        self.is_dirty = false;
        self.last = Some(now);
        let texts: BTreeMap<String, String> = texts.into_iter().collect();
        let gone: Vec<String> = self.stored.keys().filter(|key| !texts.contains_key(*key)).cloned().collect();
        let mut commands = vec![Changes::new()];
        let mut bytes = 0;
        for (key, text) in self.some(texts) {
            bytes += key.len() + text.as_ref().map_or(0, String::len);
            if bytes > COMMAND_BYTES {
                commands.push(Changes::new());
                bytes = 0;
            }
            if let Some(last) = commands.last_mut() {
                last.insert(key, text);
            }
        }
        for key in gone {
            self.stored.remove(&key);
            if let Some(last) = commands.last_mut() {
                last.insert(key, None);
            }
        }
        commands.retain(|changes| !changes.is_empty());
        commands
    }

    /// These were not stored after all.
    pub(super) fn take_back(&mut self, changes: &Changes) {
        for key in changes.keys() {
            self.stored.remove(key);
        }
        self.is_dirty = true;
    }
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts<const N: usize>(texts: [(&str, &str); N]) -> Vec<(String, String)> {
        texts.map(|(key, text)| (key.to_owned(), text.to_owned())).to_vec()
    }

    #[test]
    fn only_what_changed_is_stored_and_what_is_gone_is_forgotten() {
        let now = Instant::now();
        let mut records = Records::default();
        let first = records.all(now, texts([("room", "a"), ("member/1", "b")]));
        assert_eq!(first.iter().map(Changes::len).sum::<usize>(), 2);
        assert!(records.all(now, texts([("room", "a"), ("member/1", "b")])).is_empty());
        assert_eq!(records.some(texts([("member/1", "c")])).len(), 1);
        assert!(records.some(texts([("member/1", "c")])).is_empty());
        let second = records.all(now, texts([("room", "a")]));
        assert_eq!(second, [Changes::from([("member/1".to_owned(), None)])]);
    }

    #[test]
    fn what_the_node_says_it_holds_is_what_counts() {
        let now = Instant::now();
        let held =
            BTreeMap::from([("room".to_owned(), "old".to_owned()), ("member/9".to_owned(), "x".to_owned())]);
        let mut records = Records::holding(&held);
        let changes = records.all(now, texts([("room", "new"), ("member/1", "b")]));
        let expected = [("member/1", Some("b")), ("member/9", None), ("room", Some("new"))];
        let expected = expected.map(|(key, text)| (key.to_owned(), text.map(str::to_owned)));
        assert_eq!(changes, [Changes::from(expected)]);
    }

    #[test]
    fn the_first_change_after_a_rest_is_due_at_once_and_the_next_ones_wait() {
        let now = Instant::now();
        let mut records = Records::default();
        assert_eq!(records.due(now, 3), None);
        records.mark();
        assert_eq!(records.due(now, 3), Some(now));
        records.all(now, texts([]));
        assert_eq!(records.due(now, 3), None);
        records.mark();
        assert_eq!(records.due(now, 0), Some(now + INTERVAL));
        assert!(records.due(now, 1_000) > Some(now + Duration::from_secs(1)));
        let rested = now + Duration::from_secs(60);
        assert!(records.due(rested, 1_000) <= Some(rested));
    }

    #[test]
    fn what_was_not_taken_is_stored_again_and_much_goes_in_several_commands() {
        let now = Instant::now();
        let mut records = Records::default();
        let large = "x".repeat(COMMAND_BYTES / 3);
        let many: Vec<(String, String)> = (0..20).map(|key| (key.to_string(), large.clone())).collect();
        let commands = records.all(now, many.clone());
        assert!(commands.len() >= 5, "{} commands", commands.len());
        let bytes = |changes: &Changes| changes.values().flatten().map(String::len).sum::<usize>();
        assert!(commands.iter().all(|changes| bytes(changes) <= 2 * COMMAND_BYTES));
        records.take_back(&commands[0]);
        assert!(records.due(now, 0).is_some());
        assert_eq!(records.all(now, many).iter().map(Changes::len).sum::<usize>(), commands[0].len());
    }
}
