//! *Interest* against brute force: a receiver knows exactly what its filters match.

use patchbay_frame::{Area, Cell};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

const PROTOCOL: &str = "patchbay?mode=interest";

fn area(x: i16, y: i16, side: i16) -> Area {
    Area { from: Cell { x, y }, to: Cell { x: x + side - 1, y: y + side - 1 } }
}

fn place(room: &mut Room, member: u32, key: &str, x: i16, y: i16, payload: &[u8]) {
    let publish = Publish { key: Some(key), cell: Some(Cell { x, y }), payload, ..Publish::default() };
    room.frame(member, &ClientFrame::Publish(publish));
}

#[test]
fn nothing_comes_before_it_is_wanted_and_then_what_is_there() {
    let mut room = Room::new();
    (1..=2).for_each(|member| room.open(member, PROTOCOL));
    assert_eq!(room.told(2), [Told::Welcome], "no snapshot of nothing");
    place(&mut room, 1, "ship", 3, 4, b"1");
    room.publish(1, "score.red", b"7");
    room.pass(ms(10));
    assert!(room.told(2).is_empty());
    room.subscribe(2, false, &[Filter::Area(area(0, 0, 5))]);
    assert_eq!(room.told(2), [Told::Begin(1), value(1, "ship", b"1"), Told::End]);
    room.pass(ms(10));
    room.subscribe(2, false, &[Filter::Prefix("score.")]);
    assert_eq!(room.told(2), [Told::Begin(1), value(1, "score.red", b"7"), Told::End]);
    room.pass(ms(10));
    place(&mut room, 1, "ship", 4, 4, b"2");
    assert_eq!(room.told(2), [value(1, "ship", b"2")]);
    room.pass(ms(10));
    place(&mut room, 1, "ship", 5, 4, b"3");
    assert_eq!(room.told(2), [Told::Left(1, "ship".to_owned())]);
    room.pass(ms(10));
    place(&mut room, 1, "ship", 6, 4, b"4");
    room.pass(ms(10));
    assert!(room.told(2).is_empty());
    room.subscribe(2, true, &[Filter::Area(area(4, 0, 5))]);
    assert_eq!(room.told(2), [Told::Begin(1), value(1, "ship", b"4"), Told::End]);
    room.pass(ms(10));
    room.publish(1, "score.red", b"8");
    room.frame(2, &ClientFrame::Unsubscribe { filters: Filters::List(&[]) });
    place(&mut room, 1, "ship", 7, 4, b"5");
    room.pass(ms(10));
    assert!(room.told(2).is_empty(), "what is no longer wanted just stops");
}

#[test]
fn filters_have_a_bound() {
    let mut room = Room::new();
    room.open(1, PROTOCOL);
    room.messages(1);
    let keys: Vec<String> = (0..70).map(|key| key.to_string()).collect();
    for keys in keys.chunks(35) {
        let filters: Vec<Filter<'_>> = keys.iter().map(|key| Filter::Key(key)).collect();
        room.subscribe(1, false, &filters);
    }
    room.pass(ms(10));
    assert!(room.told(1).contains(&Told::Error(TopicError::TooManyFilters)));
    room.subscribe(1, true, &[Filter::Key("0")]);
    room.pass(ms(10));
    assert_eq!(room.told(1), [Told::Begin(0), Told::End]);
}

/// The filters of one receiver, as the test keeps them.
#[derive(Clone, PartialEq)]
enum Want {
    Prefix(String),
    Key(String),
    Area(Area),
}

impl Want {
    fn filter(&self) -> Filter<'_> {
        match self {
            Self::Prefix(prefix) => Filter::Prefix(prefix),
            Self::Key(key) => Filter::Key(key),
            Self::Area(area) => Filter::Area(*area),
        }
    }

    fn matches(&self, key: &str, cell: Cell) -> bool {
        match self {
            Self::Prefix(prefix) => key.starts_with(prefix.as_str()),
            Self::Key(wanted) => wanted == key,
            Self::Area(area) => area.contains(cell),
        }
    }
}

#[test]
fn receivers_know_what_brute_force_says() {
    for seed in 0..30 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut room = Room::new();
        (1..=6).for_each(|member| room.open(member, PROTOCOL));
        room.ends.heard.clear();
        let mut truth: BTreeMap<(u32, String), (Cell, Vec<u8>)> = BTreeMap::new();
        let mut wants: Vec<Vec<Want>> = vec![Vec::new(); 7];
        let mut states: Vec<BTreeMap<(u32, String), Vec<u8>>> = vec![BTreeMap::new(); 7];
        let matches = |wants: &[Want], key: &str, cell| wants.iter().any(|want| want.matches(key, cell));
        for number in 0..800u32 {
            let member = rng.random_range(1..=6u32);
            let key = format!("{}{}", ["a", "b"][rng.random_range(0..2)], rng.random_range(0..3));
            let mine = &mut wants[member as usize];
            match rng.random_range(0..100) {
                0..60 => {
                    let cell = Cell { x: rng.random_range(0..12), y: rng.random_range(0..12) };
                    let payload = number.to_be_bytes().to_vec();
                    place(&mut room, member, &key, cell.x, cell.y, &payload);
                    truth.insert((member, key), (cell, payload));
                }
                60..66 if truth.remove(&(member, key.clone())).is_some() => room.bury(member, &key),
                66..80 => {
                    let (x, y) = (rng.random_range(0..12), rng.random_range(0..12));
                    let side = if rng.random_bool(0.1) { 200 } else { rng.random_range(1..5) };
                    let want = match rng.random_range(0..5) {
                        0 => Want::Prefix(key[..1].to_owned()),
                        1 => Want::Key(key),
                        _ => Want::Area(area(x, y, side)),
                    };
                    let replaces = rng.random_bool(0.4);
                    if replaces {
                        mine.clear();
                    }
                    if !mine.contains(&want) {
                        mine.push(want.clone());
                    }
                    room.subscribe(member, replaces, &[want.filter()]);
                }
                80..84 if !mine.is_empty() => {
                    let want = mine.remove(rng.random_range(0..mine.len()));
                    room.frame(
                        member,
                        &ClientFrame::Unsubscribe { filters: Filters::List(&[want.filter()]) },
                    );
                }
                84..88 => room.set_room(member, rng.random_range(0..300)),
                88..92 => room.writable(member, 1_000_000),
                _ => room.pass(ms(rng.random_range(0..20))),
            }
        }
        (1..=6).for_each(|member| room.set_room(member, 1_000_000));
        room.pass(ms(1_000));
        for member in 1..=6u32 {
            let state = &mut states[member as usize];
            for told in room.told(member) {
                match told {
                    Told::Value(sender, key, payload) => drop(state.insert((sender, key), payload)),
                    // What was unsubscribed from may have ended since without a word.
                    Told::Tombstone(sender, key) | Told::Left(sender, key) => {
                        drop(state.remove(&(sender, key)))
                    }
                    Told::Begin(_) | Told::End => {}
                    other => panic!("{other:?}"),
                }
            }
            let wants = &wants[member as usize];
            let expected: BTreeMap<_, _> = truth
                .iter()
                .filter(|((sender, key), (cell, _))| *sender != member && matches(wants, key, *cell))
                .map(|(name, (_, payload))| (name.clone(), payload.clone()))
                .collect();
            // What is no longer wanted stays as it was, and its owner knows.
            let known: BTreeMap<_, _> = state
                .iter()
                .filter(|(name, _)| truth.get(*name).is_some_and(|(cell, _)| matches(wants, &name.1, *cell)))
                .map(|(name, payload)| (name.clone(), payload.clone()))
                .collect();
            assert_eq!(known, expected, "seed {seed}, member {member}");
        }
        let (_, topic) = room.plane.topics.iter().next().unwrap();
        assert_eq!((topic.store.len(), topic.store.ended()), (truth.len(), 0), "seed {seed}");
    }
}
