//! Data channels: a label is a topic.

use std::time::Duration;

use patchbay_e2e::{Mode, Outcome, Server};
use patchbay_peer::{Channel, Peer};

const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) async fn what_is_sent_under_a_label_reaches_whoever_opened_it(mode: Mode) -> Outcome {
    let mut server = Server::start(mode, "data").await?;
    let ada = Peer::join(server.peer("data", "ada").channel(Channel::reliable("game"))).await?;
    let mut echoing = Channel::reliable("game");
    echoing.echo = true;
    let ben = Peer::join(server.peer("data", "ben").channel(echoing)).await?;
    let eve = Peer::join(server.peer("data", "eve").channel(Channel::reliable("other"))).await?;
    let far = Peer::join(server.peer("elsewhere", "far").channel(Channel::reliable("game"))).await?;
    for peer in [&ada, &ben, &eve, &far] {
        peer.wait(PATIENCE, "an open channel", |stats| stats.channels.iter().all(|channel| channel.open))
            .await?;
    }

    ada.send_text("game", "move e2 e4").await?;
    ada.wait(PATIENCE, "the echo", |stats| {
        stats.channel("game").is_some_and(|game| game.last_text.as_deref() == Some("echo move e2 e4"))
    })
    .await?;
    let heard = ben.stats().channel("game").cloned().ok_or("no channel")?;
    assert_eq!((heard.received, heard.last_text.as_deref()), (1, Some("move e2 e4")));
    assert_eq!(ada.stats().channel("game").map(|game| game.received), Some(1), "nobody hears himself");

    // Large and binary, in order.
    let large: Vec<u8> = (0..16_000_u32).map(|number| number as u8).collect();
    for _ in 0..20 {
        ada.send("game", &large).await?;
    }
    ben.wait(PATIENCE, "20 large messages", |stats| {
        stats
            .channel("game")
            .is_some_and(|game| game.received == 21 && game.received_bytes == 20 * 16_000 + 10)
    })
    .await?;
    for stranger in [&eve, &far] {
        assert!(
            stranger.stats().channels.iter().all(|channel| channel.received == 0),
            "another label, another room"
        );
    }
    server.check()?;
    Ok(())
}
