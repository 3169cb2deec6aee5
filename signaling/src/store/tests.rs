use std::sync::mpsc::{Receiver, channel};

use patchbay_protocol::ParticipantNumber;

use super::*;

/// A directory that goes with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("patchbay-store-{:016x}", rand::random::<u64>()));
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn line(text: &str) -> ChatLine {
    ChatLine {
        number: 1,
        participant: ParticipantNumber(1),
        identity: "ada".into(),
        name: "Ada".into(),
        text: text.into(),
        sent_at_ms: 1,
        message_id: None,
    }
}

fn limit() -> StoreLimit {
    StoreLimit { history: HistoryLimit { lines: 3, bytes: 10_000 }, rooms: 2, bytes: 20_000, bans: 2 }
}

fn submit(store: &Store, room: &str, write: StoreWrite) -> Receiver<Written> {
    let (sender, receiver) = channel();
    store.submit(&RoomName::new(room), write, move |written| sender.send(written).unwrap());
    receiver
}

fn write(store: &Store, room: &str, write: StoreWrite) -> Written {
    submit(store, room, write).recv_timeout(Duration::from_secs(10)).expect("exactly one answer")
}

async fn texts(store: &Store, room: &str) -> Vec<(u64, String)> {
    let kept = store.load(&RoomName::new(room)).await;
    kept.lines.into_iter().map(|line| (line.number, line.text)).collect()
}

#[tokio::test]
async fn what_was_written_is_there_after_a_restart_and_numbers_go_on() {
    let scratch = Scratch::new();
    let store = Store::with_limit(Some(&scratch.0), limit());
    assert_eq!(store.load(&RoomName::new("a")).await.next_number, 1);
    assert_eq!(write(&store, "a", StoreWrite::Line(line("one"))), Ok(1));
    assert_eq!(write(&store, "a", StoreWrite::Line(line("two"))), Ok(2));
    assert_eq!(write(&store, "ab", StoreWrite::Line(line("other"))), Ok(1));
    assert_eq!(write(&store, "a", StoreWrite::Ban("eve".into())), Ok(0));
    assert_eq!(write(&store, "ab", StoreWrite::Ban("mallory".into())), Ok(0));
    // Nothing is closed in order: this is what a kill leaves.
    let copy = Scratch::new();
    std::fs::create_dir_all(&copy.0).unwrap();
    std::fs::copy(scratch.0.join(STORE_FILE), copy.0.join(STORE_FILE)).unwrap();
    let store = Store::with_limit(Some(&copy.0), limit());
    let kept = store.load(&RoomName::new("a")).await;
    assert_eq!(kept.bans, ["eve"]);
    assert_eq!(kept.next_number, 3);
    assert_eq!(kept.lines[0], ChatLine { number: 1, ..line("one") });
    assert_eq!(write(&store, "a", StoreWrite::Line(line("three"))), Ok(3));
    assert_eq!(write(&store, "a", StoreWrite::Unban("eve".into())), Ok(0));
    assert_eq!(store.load(&RoomName::new("a")).await.bans, [""; 0]);
    assert_eq!(texts(&store, "ab").await, [(1, "other".to_owned())]);
}

#[tokio::test]
async fn the_oldest_goes_first() {
    let scratch = Scratch::new();
    let store = Store::with_limit(Some(&scratch.0), limit());
    for index in 1..=5 {
        assert_eq!(write(&store, "a", StoreWrite::Line(line(&index.to_string()))), Ok(index));
    }
    let numbers: Vec<u64> = texts(&store, "a").await.into_iter().map(|(number, _)| number).collect();
    assert_eq!(numbers, [3, 4, 5], "three lines of a room");
    for _ in 0..2 {
        write(&store, "a", StoreWrite::Line(line(&"x".repeat(5_000)))).unwrap();
    }
    let numbers: Vec<u64> = texts(&store, "a").await.into_iter().map(|(number, _)| number).collect();
    assert_eq!(numbers, [7], "ten thousand bytes of a room");
    write(&store, "b", StoreWrite::Line(line("b"))).unwrap();
    write(&store, "a", StoreWrite::Line(line("again"))).unwrap();
    write(&store, "c", StoreWrite::Line(line("c"))).unwrap();
    assert_eq!(texts(&store, "b").await, [], "two rooms, and b was silent for longest");
    assert_eq!(texts(&store, "c").await, [(1, "c".to_owned())]);
    assert_eq!(texts(&store, "a").await.len(), 2);

    assert_eq!(write(&store, "a", StoreWrite::Ban("one".into())), Ok(0));
    assert_eq!(write(&store, "a", StoreWrite::Ban("two".into())), Ok(0));
    assert_eq!(write(&store, "a", StoreWrite::Ban("two".into())), Ok(0));
    assert_eq!(write(&store, "a", StoreWrite::Ban("three".into())), Err(StoreError::Full));
}

#[tokio::test]
async fn all_bytes_together_are_bounded() {
    let scratch = Scratch::new();
    let store = Store::with_limit(Some(&scratch.0), StoreLimit { rooms: 100, ..limit() });
    for room in ["a", "b", "c", "d"] {
        write(&store, room, StoreWrite::Line(line(&"x".repeat(6_000)))).unwrap();
    }
    assert_eq!(texts(&store, "a").await, []);
    assert_eq!(texts(&store, "b").await.len(), 1);
}

#[tokio::test]
async fn a_file_that_is_no_database_costs_every_write_an_error_and_nothing_else() {
    let scratch = Scratch::new();
    std::fs::create_dir_all(&scratch.0).unwrap();
    let path = scratch.0.join(STORE_FILE);
    std::fs::write(&path, "not a database, but longer than any header would be".repeat(200)).unwrap();
    let store = Store::with_limit(Some(&scratch.0), limit());
    assert_eq!(write(&store, "a", StoreWrite::Line(line("x"))), Err(StoreError::Unavailable));
    assert_eq!(store.load(&RoomName::new("a")).await, Kept::default());

    std::fs::remove_file(&path).unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while write(&store, "a", StoreWrite::Line(line("x"))).is_err() {
        assert!(std::time::Instant::now() < deadline, "it is opened again by itself");
    }
    assert_eq!(texts(&store, "a").await.len(), 1);
}

#[tokio::test]
async fn many_writes_share_a_flush() {
    let scratch = Scratch::new();
    let store = Store::open(Some(&scratch.0));
    write(&store, "a", StoreWrite::Line(line("first"))).unwrap();
    let start = std::time::Instant::now();
    let waiting: Vec<_> = (0..2_000).map(|_| submit(&store, "a", StoreWrite::Line(line("text")))).collect();
    let numbers: Vec<u64> = waiting
        .into_iter()
        .map(|done| done.recv_timeout(Duration::from_secs(60)).unwrap().unwrap())
        .collect();
    let took = start.elapsed();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "in order");
    println!("FIGURE store_lines_per_second {:.0} lines/s", 2_000.0 / took.as_secs_f64());
    let start = std::time::Instant::now();
    for _ in 0..20 {
        write(&store, "a", StoreWrite::Line(line("text"))).unwrap();
    }
    println!("FIGURE store_lone_write {:.2} ms", start.elapsed().as_secs_f64() * 1_000.0 / 20.0);
}
