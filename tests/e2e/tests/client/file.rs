//! Large things from one to another.

use std::time::{Duration, Instant};

use patchbay_client::{ClientError, Outgoing, Room, TopicOptions};
use patchbay_e2e::{Mode, Outcome, Server, figure, median, until};

use crate::{PATIENCE, bytes, join, next, options, soon};

const SIZE: usize = 4_000_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_arrives_while_small_messages_pass_it() -> Outcome {
    let mut server = Server::start(Mode::Embedded, "client-file").await?;
    let (ada, ben) = (join(&server, "files", "ada").await?, join(&server, "files", "ben").await?);
    let (here, there) =
        (ada.topic("small", TopicOptions::unreliable()), ben.topic("small", TopicOptions::unreliable()));
    for topic in [&here, &there] {
        soon("an open topic", topic.opened()).await??;
    }
    let receiving = ben.files();
    let content = bytes(SIZE, 3);
    let sent = ada.files().send(ben.number(), "map.bin", "application/octet-stream", content.clone())?;
    let progress = sent.progress();
    let offer = soon("the offer", receiving.next_offer()).await?.ok_or("the room was closed")?;
    assert_eq!(
        (offer.from, offer.name.as_str(), offer.size, offer.media_type.as_str()),
        (ada.number(), "map.bin", SIZE as u64, "application/octet-stream")
    );
    let began = Instant::now();
    let received = tokio::spawn(offer.bytes());
    let mut delays = Vec::new();
    while !received.is_finished() {
        let asked = Instant::now();
        here.send(Outgoing::bytes([1]))?;
        // Unreliable, but nothing is lost on loopback.
        next(&there).await?;
        delays.push(u64::try_from(asked.elapsed().as_micros())?);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(received.await?? == content, "other bytes");
    let elapsed = began.elapsed();
    soon("the sender's end", sent.done()).await??;
    assert_eq!(progress.borrow().transferred, SIZE as u64);
    figure("client_file_mbit_s", SIZE as u128 * 8 / elapsed.as_micros().max(1), "Mbit/s");
    figure("client_small_beside_file_p50_us", median(delays), "us");
    server.check()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transfer_is_refused_cancelled_by_either_and_ends_with_whoever_leaves() -> Outcome {
    let mut server = Server::start(Mode::Embedded, "client-cancel").await?;
    let ada = join(&server, "cancel", "ada").await?;
    // One of them over signaling.
    let ben = Room::join(server.url(), options("cancel", "ben").without_datagrams()).await?;
    let (sending, receiving) = (ada.files(), ben.files());
    let offer = || soon("an offer", receiving.next_offer());

    let sent = sending.send(ben.number(), "empty", "", Vec::new())?;
    assert!(offer().await?.ok_or("closed")?.bytes().await?.is_empty());
    soon("the end of nothing", sent.done()).await??;

    let sent = sending.send(ben.number(), "refused", "", bytes(100, 0))?;
    drop(offer().await?.ok_or("closed")?);
    assert!(matches!(soon("the end by a refusal", sent.done()).await?, Err(ClientError::Cancelled(_))));

    let sent = sending.send(ben.number(), "cancelled by the sender", "", bytes(SIZE, 0))?;
    let incoming = offer().await?.ok_or("closed")?;
    let progress = sent.progress();
    let received = tokio::spawn(incoming.bytes());
    until(PATIENCE, "progress", || async { (progress.borrow().transferred > 0).then_some(()) }).await?;
    drop(sent);
    assert!(matches!(
        soon("the end by a cancellation here", received).await??,
        Err(ClientError::Cancelled(_))
    ));

    let sent = sending.send(ben.number(), "cancelled by the receiver", "", bytes(SIZE, 0))?;
    let incoming = offer().await?.ok_or("closed")?;
    let progress = sent.progress();
    let received = tokio::spawn(incoming.bytes());
    until(PATIENCE, "progress", || async { (progress.borrow().transferred > 0).then_some(()) }).await?;
    received.abort();
    assert!(matches!(
        soon("the end by a cancellation there", sent.done()).await?,
        Err(ClientError::Cancelled(_))
    ));

    let sent = sending.send(ben.number(), "to somebody who leaves", "", bytes(SIZE, 0))?;
    let _incoming = offer().await?.ok_or("closed")?;
    ben.leave().await;
    assert!(matches!(
        soon("the end by somebody's leaving", sent.done()).await?,
        Err(ClientError::Cancelled(_))
    ));
    server.check()?;
    Ok(())
}
