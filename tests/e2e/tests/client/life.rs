//! What a room and its topics live through.

use patchbay_client::{Mode, Outgoing, Room, RoomEvent, TopicOptions};
use patchbay_e2e::{Mode as Processes, Outcome, Server, figure, until};

use crate::{Error, PATIENCE, event, join, next, options, soon};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_connection_is_resumed_and_nothing_is_missed() -> Outcome {
    let mut server = Server::start(Processes::Embedded, "client-cut").await?;
    let ada = Room::join(server.url(), options("cut", "ada").without_datagrams()).await?;
    let ben = join(&server, "cut", "ben").await?;
    let (here, there) = (ada.topic("t", TopicOptions::reliable()), ben.topic("t", TopicOptions::reliable()));
    for topic in [&here, &there] {
        soon("an open topic", topic.opened()).await??;
    }
    let number = ada.number();
    for round in 0..5_u8 {
        for count in 0..40_u8 {
            there.send(Outgoing::bytes([round, count]))?;
            here.send(Outgoing::bytes([round, count]))?;
            if count == 10 {
                ada.signaling().cut();
            }
        }
        for count in 0..40_u8 {
            assert_eq!(next(&here).await?.payload, [round, count]);
            assert_eq!(next(&there).await?.payload, [round, count]);
        }
        event(&ada, "the resume", |event| *event == RoomEvent::Resumed).await?;
        assert_eq!(ada.number(), number, "the same stay");
    }
    ben.chat("hello").await?;
    event(&ada, "the line", |event| matches!(event, RoomEvent::Chat(line) if line.text == "hello")).await?;
    server.check()?;
    Ok(())
}

/// With the SFU in the process that dies, nothing is left: everybody joins anew, and topics fill again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_restart_of_everything_rooms_are_joined_anew() -> Outcome {
    let mut server = Server::start(Processes::Embedded, "client-restart").await?;
    let ada = join(&server, "restart", "ada").await?;
    let ben = Room::join(server.url(), options("restart", "ben").without_datagrams()).await?;
    let latest = || TopicOptions::reliable().mode(Mode::Latest);
    let (here, there) = (ada.topic("t", latest()), ben.topic("t", latest()));
    for topic in [&here, &there] {
        soon("an open topic", topic.opened()).await??;
    }
    here.send(Outgoing::text("before"))?;
    assert_eq!(next(&there).await?.text(), Some("before"));
    server.kill_first()?;
    // Asked for while there is nobody.
    let joining = {
        let (url, options) = (server.url().to_owned(), options("restart", "eve"));
        tokio::spawn(async move {
            until(PATIENCE, "a server", || async { Room::join(&url, options.clone()).await.ok() }).await
        })
    };
    let killed = std::time::Instant::now();
    server.restart_first("client-restart")?;
    for room in [&ada, &ben] {
        event(room, "another stay", |event| *event == RoomEvent::Rejoined).await?;
    }
    figure("client_rejoined_after_kill_ms", killed.elapsed().as_millis(), "ms");
    let eve = joining.await??;
    for topic in [&here, &there] {
        soon("an open topic", topic.opened()).await??;
    }
    until(PATIENCE, "ben's answer", || async {
        there.send(Outgoing::text("after")).ok()?;
        here.values().iter().any(|value| value.text() == Some("after")).then_some(())
    })
    .await?;
    until(PATIENCE, "everybody in the roster", || async {
        (ada.participants().len() == 2 && eve.participants().len() == 2).then_some(())
    })
    .await?;
    server.check()?;
    Ok(())
}

/// With the SFU in another process, data channels do not notice, and nobody has another number.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_of_signaling_leaves_data_channels_alone() -> Outcome {
    let state = std::env::temp_dir().join(format!("patchbay-client-restart-{}", std::process::id()));
    let directory = state.to_str().ok_or("a path")?;
    let mut server =
        Server::start_with(Processes::TwoProcesses, "client-signaling", &["--state-dir", directory]).await?;
    let (ada, ben) = (join(&server, "apart", "ada").await?, join(&server, "apart", "ben").await?);
    let eve = Room::join(server.url(), options("apart", "eve").without_datagrams()).await?;
    let topics = [&ada, &ben, &eve].map(|room| room.topic("t", TopicOptions::reliable()));
    for topic in &topics {
        soon("an open topic", topic.opened()).await??;
    }
    let [here, there, over] = &topics;
    let numbers = [&ada, &ben, &eve].map(Room::number);
    server.kill_first()?;
    for count in 0..20_u8 {
        here.send(Outgoing::bytes([count]))?;
        assert_eq!(next(there).await?.payload, [count], "while nobody is at signaling");
    }
    server.restart_first("client-signaling")?;
    for room in [&ada, &ben, &eve] {
        event(room, "the resume", |event| matches!(event, RoomEvent::Resumed | RoomEvent::Rejoined)).await?;
    }
    assert_eq!([&ada, &ben, &eve].map(Room::number), numbers, "everybody keeps its number");
    assert!(!here.is_fallback() && !there.is_fallback());
    until(PATIENCE, "eve to hear again", || async {
        here.send(Outgoing::text("again")).ok()?;
        over.try_next().filter(|message| message.text() == Some("again"))
    })
    .await?;
    let called: Result<(), Error> = async {
        ben.handle("hi", |_| async { Ok("there".to_owned()) });
        assert_eq!(ada.call(ben.number(), "hi", "", PATIENCE).await?, "there");
        Ok(())
    }
    .await;
    called?;
    server.check()?;
    let _ = std::fs::remove_dir_all(state);
    Ok(())
}
