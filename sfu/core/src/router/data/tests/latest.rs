//! *Latest* against a model: whatever happens, a receiver ends with the newest values.

use std::collections::btree_map::Entry;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

type State = BTreeMap<(u32, String), Vec<u8>>;

/// What a client makes of what it is told.
#[derive(Default)]
struct Model {
    state: State,
    snapshots: (u32, u32),
}

impl Model {
    fn hear(&mut self, told: Vec<Told>) {
        for told in told {
            match told {
                Told::Value(sender, key, payload) => {
                    let former = self.state.insert((sender, key), payload.clone());
                    let is_newer = former.is_none_or(|former| former <= payload);
                    assert!(is_newer, "an older value came after a newer one");
                }
                Told::Tombstone(sender, key) | Told::Left(sender, key) => {
                    assert!(self.state.remove(&(sender, key)).is_some(), "the end of what never was there");
                }
                Told::Begin(_) => self.snapshots.0 += 1,
                Told::End => self.snapshots.1 += 1,
                Told::Welcome => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn receivers_end_with_the_newest_values() {
    for seed in 0..40 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut room = Room::new();
        let rate = [0, 0, 30][rng.random_range(0..3)];
        let protocol = format!("patchbay?mode=latest&rate={rate}");
        // Nobody but 1 to 4 sends; what they sent is the truth.
        let mut truth: State = BTreeMap::new();
        let mut models: BTreeMap<u32, Model> = BTreeMap::new();
        let mut number = 0u32;
        for member in 1..=6 {
            room.open(member, &protocol);
            models.insert(member, Model::default());
        }
        for _ in 0..600 {
            let member = rng.random_range(1..=4);
            let key = format!("k{}", rng.random_range(0..6));
            match rng.random_range(0..100) {
                0..55 if models.contains_key(&member) => {
                    number += 1;
                    // Longer and longer numbers compare as what they are.
                    let payload = number.to_be_bytes().to_vec();
                    room.publish(member, &key, &payload);
                    truth.insert((member, key), payload);
                }
                55..65 if truth.remove(&(member, key.clone())).is_some() => room.bury(member, &key),
                65..75 => room.set_room(rng.random_range(1..=8), rng.random_range(0..400)),
                75..82 => {
                    let member = rng.random_range(1..=8);
                    if models.contains_key(&member) {
                        room.writable(member, 100_000);
                    }
                }
                82..86 => {
                    let member = rng.random_range(1..=8);
                    if models.remove(&member).is_some() {
                        room.close(member);
                        room.messages(member);
                        truth.retain(|(sender, _), _| *sender != member);
                    }
                }
                86..92 => {
                    let member = rng.random_range(1..=8);
                    if let Entry::Vacant(entry) = models.entry(member) {
                        room.set_room(member, rng.random_range(0..2_000));
                        room.open(member, &protocol);
                        entry.insert(Model::default());
                    }
                }
                _ => room.pass(ms(rng.random_range(0..40))),
            }
            for (member, model) in &mut models {
                model.hear(room.told(*member));
            }
        }
        for member in 1..=8 {
            room.set_room(member, 1_000_000);
        }
        room.pass(ms(1_000));
        for (member, model) in &mut models {
            model.hear(room.told(*member));
            let expected: State = truth
                .iter()
                .filter(|((sender, _), _)| sender != member)
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect();
            assert_eq!(model.state, expected, "seed {seed}, member {member}");
            assert_eq!(model.snapshots, (1, 1), "seed {seed}, member {member}");
        }
        assert_eq!(room.counters.data_cut, 0);
        if let Some((_, topic)) = room.plane.topics.iter().next() {
            assert_eq!((topic.store.len(), topic.store.ended()), (truth.len(), 0), "seed {seed}");
        }
    }
}
