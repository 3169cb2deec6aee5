//! A client whose connection is cut again and again, wherever it hurts, misses nothing and does nothing twice.

use std::collections::BTreeMap;
use std::time::Duration;

use patchbay_signaling::Rate;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::support::{Client, Kind, Lost, PATIENCE, TestServer, Wanderer};

/// Cuts in an ordinary run; `PATCHBAY_CUTS` asks for more.
const CUTS: u32 = 10;
/// From one cut to the next, in the mean.
const BETWEEN: Duration = Duration::from_millis(290);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_cut_off_at_random_sees_everything_once_and_in_order() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let cuts = number("PATCHBAY_CUTS").map_or(CUTS, |cuts: u64| u32::try_from(cuts).unwrap());
    let seed = number("PATCHBAY_SEED").unwrap_or_else(rand::random);
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);

    let (server, _node) =
        TestServer::with_node(|config| config.rate = Rate { per_second: 10_000, burst: 10_000 }).await;
    let (mut witness, _) = Client::join(&server, "demo", "witness").await;
    let is_end = |event: &Value| event["text"] == "the end";
    let listening = tokio::spawn(async move {
        let mut lines = Vec::new();
        while !lines.last().is_some_and(is_end) {
            // For as long as anybody else has something to say.
            lines.push(witness.event("chat").await);
        }
        lines
    });
    let (stop, stopping) = watch::channel(false);
    let mut talkers = Vec::new();
    for name in ["ada", "grace", "alan"] {
        let (mut talker, _) = Client::join(&server, "demo", name).await;
        let mut stopping = stopping.clone();
        let mut pauses = StdRng::seed_from_u64(random.random());
        talkers.push(tokio::spawn(async move {
            let mut count = 0;
            while !*stopping.borrow() {
                talker.ok(json!({"type": "chat", "text": format!("{name} {count}")})).await;
                count += 1;
                let pause = Duration::from_millis(pauses.random_range(0..80));
                let _ = timeout_at(Instant::now() + pause, stopping.wait_for(|stop| *stop)).await;
            }
            count
        }));
    }

    let kinds = [Kind::Socket, Kind::Sse, Kind::Poll];
    let mut wanderer = Wanderer::begin(server.address, Kind::Socket).await;
    wanderer.ok(json!({"type": "join", "room": "demo", "identity": "wanderer"})).await;
    let (mut said, mut resumes, mut taken_over) = (0, Vec::new(), 0);
    for cut in 0..cuts {
        let kind = kinds[random.random_range(0..3)];
        let started = Instant::now();
        let deadline = started + BETWEEN * random.random_range(0..200) / 100;
        // Whatever is said may be the last thing that gets through.
        let mut line = match random.random_range(0..10) {
            0 => {
                wanderer.hello_and_away(kind).await;
                Err(Lost::Broken)
            }
            _ => tokio::time::timeout(PATIENCE, wanderer.connect(kind)).await.expect("a resume in time"),
        };
        if line.is_ok() {
            resumes.push(started.elapsed());
        }
        let mut next_line = Instant::now();
        while Instant::now() < deadline {
            line = match line {
                Ok(()) => tokio::select! {
                    step = wanderer.step() => step.map(|_| ()),
                    () = sleep_until(next_line.min(deadline)) => {
                        next_line = Instant::now() + Duration::from_millis(random.random_range(1..60));
                        said += 1;
                        wanderer.send(json!({"type": "chat", "text": format!("wanderer {said}")})).await.1
                    }
                },
                // A hello that was held up took over; or the connection broke by itself.
                Err(Lost::Closed(4410) | Lost::Broken) => {
                    taken_over += 1;
                    wanderer.connect(kind).await
                }
                Err(lost) => panic!("seed {seed}, cut {cut}: {lost:?}"),
            };
        }
        if line.is_ok() && random.random_bool(0.3) {
            said += 1;
            let request = json!({"type": "chat", "text": format!("wanderer {said}")});
            if random.random_bool(0.5) {
                wanderer.send_part(request, random.random()).await;
            } else {
                // All of it, and nobody reads the answer.
                let _ = wanderer.send(request).await;
            }
        }
        wanderer.cut();
    }

    stop.send_replace(true);
    let mut counts = BTreeMap::from([("wanderer", said)]);
    for (name, talker) in ["ada", "grace", "alan"].into_iter().zip(talkers) {
        counts.insert(name, talker.await.unwrap());
    }
    while let Err(lost) = wanderer.connect(Kind::Socket).await {
        assert_eq!(lost, Lost::Closed(4410), "seed {seed}");
    }
    wanderer.ok(json!({"type": "chat", "text": "the end"})).await;
    while !wanderer.events.iter().any(is_end) {
        wanderer.step().await.unwrap();
    }
    let lines = listening.await.unwrap();

    let words = |events: &[Value]| -> Vec<Value> {
        let chat = events.iter().filter(|event| event["type"] == "chat");
        chat.map(|event| json!([event["participant"], event["text"]])).collect()
    };
    let seen = words(&wanderer.events);
    // Those who talked before the wanderer came are not its business.
    let all = words(&lines);
    let heard = &all[all.len() - seen.len()..];
    assert_eq!(seen, heard, "seed {seed}: it saw what somebody saw who was there all the time");
    let texts: Vec<&str> = lines.iter().filter_map(|line| line["text"].as_str()).collect();
    for (name, count) in counts {
        let first = if name == "wanderer" { 1 } else { 0 };
        let own: Vec<&str> =
            texts.iter().copied().filter(|text| text.starts_with(&format!("{name} "))).collect();
        let expected: Vec<String> = (first..first + count).map(|index| format!("{name} {index}")).collect();
        assert_eq!(own, expected, "seed {seed}: each line was said once and in order");
    }
    resumes.sort();
    println!("{said} lines said, {} seen, {taken_over} times connected once more", seen.len());
    println!("FIGURE signaling_resume_cuts {cuts} cuts");
    println!("FIGURE signaling_resume_p50 {:.2} ms", resumes[resumes.len() / 2].as_secs_f64() * 1e3);
}
