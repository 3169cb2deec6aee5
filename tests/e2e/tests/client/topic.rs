//! What goes over topics, and to whom.

use patchbay_client::{Area, Cell, Mode, Outgoing, RoomEvent, TopicOptions, Want};
use patchbay_e2e::{Mode as Processes, Outcome, Server, figure, until};

use crate::{PATIENCE, bytes, event, join, next, options, soon};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_carries_text_and_bytes_of_every_size_in_order() -> Outcome {
    let mut server = Server::start(Processes::TwoProcesses, "client-relay").await?;
    let (ada, ben) = (join(&server, "relay", "ada").await?, join(&server, "relay", "ben").await?);
    event(&ada, "ben's coming", |event| matches!(event, RoomEvent::Joined(it) if it.identity == "ben"))
        .await?;
    let topics = [&ada, &ben].map(|room| room.topic("all", TopicOptions::reliable()));
    for topic in &topics {
        soon("an open topic", topic.opened()).await??;
        assert!(!topic.is_fallback());
    }
    let [here, there] = topics;
    here.send(Outgoing::text("Grüße, 世界"))?;
    let message = next(&there).await?;
    assert_eq!((message.sender, message.text()), (ada.number().0, Some("Grüße, 世界")));
    let sizes = [0, 1, 63, 64, 1_100, 16_000, 16_384, 65_536, 200_000, 261_120];
    for (number, size) in sizes.into_iter().enumerate() {
        here.send(Outgoing::bytes(bytes(size, number as u8)).key(format!("k{number}")))?;
        soon("room", here.ready()).await??;
    }
    let mut last = message.sequence;
    for (number, size) in sizes.into_iter().enumerate() {
        let message = next(&there).await?;
        assert_eq!(message.payload, bytes(size, number as u8), "message {number} of {size} bytes");
        assert_eq!(message.key.as_deref(), Some(format!("k{number}").as_str()));
        assert!(!message.is_text && message.time > 1_700_000_000_000_000);
        assert_eq!(message.sequence, last + 1);
        last = message.sequence;
    }
    assert!(here.send(Outgoing::bytes(bytes(261_121, 0))).is_err(), "one byte too much");
    there.send(Outgoing::text("still there"))?;
    assert_eq!(next(&here).await?.text(), Some("still there"));
    server.check()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn latest_keeps_the_newest_tells_it_to_who_comes_late_and_ends_it_with_a_tombstone() -> Outcome {
    let mut server = Server::start(Processes::Embedded, "client-latest").await?;
    let (ada, ben) = (join(&server, "latest", "ada").await?, join(&server, "latest", "ben").await?);
    let latest = || TopicOptions::unreliable().mode(Mode::Latest);
    let (here, there) = (ada.topic("game", latest()), ben.topic("game", TopicOptions::reliable()));
    soon("an open topic", here.opened()).await??;
    soon("an open topic", there.opened()).await??;
    assert_eq!(there.settings().map(|settings| settings.mode), Some(Mode::Latest), "as the first one has it");
    for number in 0..200_u8 {
        here.send(Outgoing::bytes([number]).key(if number % 2 == 0 { "even" } else { "odd" }))?;
    }
    let newest = |topic: &patchbay_client::Topic| {
        topic
            .values()
            .iter()
            .map(|value| (value.key.clone().unwrap_or_default(), value.payload.clone()))
            .collect::<Vec<_>>()
    };
    let wanted = vec![("even".to_owned(), vec![198]), ("odd".to_owned(), vec![199])];
    until(PATIENCE, "the newest values", || async { (newest(&there) == wanted).then_some(()) }).await?;

    let eve = join(&server, "latest", "eve").await?;
    let late = eve.topic("game", latest());
    soon("an open topic", late.opened()).await??;
    let opened = std::time::Instant::now();
    until(PATIENCE, "the snapshot", || async { (newest(&late) == wanted).then_some(()) }).await?;
    figure("client_snapshot_after_open_ms", opened.elapsed().as_millis(), "ms");

    here.delete(Some("even"))?;
    let wanted = vec![("odd".to_owned(), vec![199])];
    for topic in [&there, &late] {
        until(PATIENCE, "the tombstone", || async { (newest(topic) == wanted).then_some(()) }).await?;
    }
    let mut ended = 0;
    while let Some(message) = late.try_next() {
        ended += usize::from(message.is_deleted && message.key.as_deref() == Some("even"));
    }
    assert_eq!(ended, 1);
    ada.leave().await;
    until(PATIENCE, "the end of ada's values", || async { there.values().is_empty().then_some(()) }).await?;
    server.check()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interest_brings_what_is_wanted_and_tells_what_goes() -> Outcome {
    let mut server = Server::start(Processes::Embedded, "client-interest").await?;
    let (ada, ben) = (join(&server, "world", "ada").await?, join(&server, "world", "ben").await?);
    let interest = || TopicOptions::reliable().mode(Mode::Interest);
    let (here, there) = (ada.topic("world", interest()), ben.topic("world", interest()));
    soon("an open topic", here.opened()).await??;
    there.want(vec![
        Want::Area(Area { from: Cell { x: 0, y: 0 }, to: Cell { x: 3, y: 3 } }),
        Want::Prefix("door/".into()),
    ])?;
    soon("an open topic", there.opened()).await??;
    here.send(Outgoing::text("far").key("a").cell(9, 9))?;
    here.send(Outgoing::text("near").key("b").cell(3, 0))?;
    here.send(Outgoing::text("open").key("door/1"))?;
    here.send(Outgoing::text("on").key("lamp/1"))?;
    let heard = [next(&there).await?, next(&there).await?];
    let mut texts: Vec<_> = heard.iter().filter_map(|message| message.text()).collect();
    texts.sort_unstable();
    assert_eq!(texts, ["near", "open"]);
    here.send(Outgoing::text("gone").key("b").cell(4, 0))?;
    let left = next(&there).await?;
    assert!(left.has_left && left.key.as_deref() == Some("b"), "{left:?}");
    there.want(vec![Want::Key("lamp/1".into())])?;
    assert_eq!(next(&there).await?.text(), Some("on"), "what is there already comes at once");
    until(PATIENCE, "nothing but the lamp", || async { (there.values().len() == 1).then_some(()) }).await?;
    server.check()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn targets_alone_hear_what_is_for_them_over_whatever_carries_them() -> Outcome {
    let mut server = Server::start(Processes::Embedded, "client-targets").await?;
    let (ada, ben) = (join(&server, "targets", "ada").await?, join(&server, "targets", "ben").await?);
    // Nothing but the signaling connection.
    let eve =
        patchbay_client::Room::join(server.url(), options("targets", "eve").without_datagrams()).await?;
    let topics = [&ada, &ben, &eve].map(|room| room.topic("talk", TopicOptions::reliable()));
    for topic in &topics {
        soon("an open topic", topic.opened()).await??;
    }
    let [a, b, e] = &topics;
    assert_eq!([a, b, e].map(|topic| topic.is_fallback()), [false, false, true]);
    a.send(Outgoing::text("for ben").to([ben.number().0]))?;
    a.send(Outgoing::text("for eve").to([eve.number().0]))?;
    a.send(Outgoing::text("for all"))?;
    for (topic, own) in [(b, "for ben"), (e, "for eve")] {
        let (first, second) = (next(topic).await?, next(topic).await?);
        assert_eq!((first.text(), first.is_targeted), (Some(own), true));
        assert_eq!((second.text(), second.is_targeted), (Some("for all"), false));
    }
    let large = bytes(200_000, 7);
    e.send(Outgoing::bytes(large.clone()))?;
    for topic in [a, b] {
        let message = next(topic).await?;
        assert_eq!((message.sender, message.payload.len()), (eve.number().0, large.len()));
        assert!(message.payload == large, "another message");
    }
    for number in 0..500_u32 {
        e.send(Outgoing::bytes(number.to_be_bytes()))?;
        b.send(Outgoing::bytes(number.to_be_bytes()))?;
        soon("room", e.ready()).await??;
    }
    let mut counts = [0_u32; 2];
    for _ in 0..1_000 {
        let message = next(a).await?;
        let who = usize::from(message.sender == ben.number().0);
        assert_eq!(message.payload, counts[who].to_be_bytes(), "in order, each of them");
        counts[who] += 1;
    }
    for (topic, sender) in [(e, &ben), (b, &eve)] {
        for number in 0..500_u32 {
            let message = next(topic).await?;
            assert_eq!((message.sender, message.payload), (sender.number().0, number.to_be_bytes().to_vec()));
        }
    }
    server.check()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_clock_is_measured_while_a_topic_is_open() -> Outcome {
    let mut server = Server::start(Processes::Embedded, "client-clock").await?;
    let ada = join(&server, "clock", "ada").await?;
    assert_eq!(ada.clock().now(), None);
    let topic = ada.topic("any", TopicOptions::unreliable());
    soon("an open topic", topic.opened()).await??;
    until(PATIENCE, "a round trip", || async { ada.clock().round_trip() }).await?;
    let own = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_micros();
    let told = u128::from(ada.clock().now().ok_or("no time")?);
    // One machine: only what the measurement itself adds.
    assert!(told.abs_diff(own) < 100_000, "{} µs apart", told.abs_diff(own));
    figure("client_clock_error_us", told.abs_diff(own), "us");
    server.check()?;
    Ok(())
}
