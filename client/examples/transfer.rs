//! A call, and a file: `cargo run --example transfer -- http://127.0.0.1:8080 give`, and `take` elsewhere.

use std::time::Duration;

use patchbay_client::{JoinOptions, Room, RoomEvent};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let server = arguments.next().unwrap_or_else(|| "http://127.0.0.1:8080".into());
    let is_giver = arguments.next().as_deref() == Some("give");
    if is_giver { give(&server).await } else { take(&server).await }
}

async fn give(server: &str) -> Result<(), Box<dyn std::error::Error>> {
    let room = Room::join(server, JoinOptions::new("transfer").identity("giver")).await?;
    // Calls come in a task of their own: what is wanted goes over a channel.
    let (ask, mut asked) = tokio::sync::mpsc::unbounded_channel();
    room.handle("give-me", move |call| {
        let ask = ask.clone();
        async move {
            let to = call.from.ok_or("the server has no use for files")?;
            let size: usize = call.payload.parse().map_err(|_| format!("{} is no size", call.payload))?;
            ask.send((to, size)).map_err(|_| "closed")?;
            Ok("it comes".to_owned())
        }
    });
    if let Some((to, size)) = asked.recv().await {
        let file = room.files().send(to, "level.bin", "application/octet-stream", vec![7; size])?;
        let mut progress = file.progress();
        let told = tokio::spawn(async move {
            while progress.changed().await.is_ok() {
                let now = *progress.borrow();
                println!("{} of {} bytes", now.transferred, now.size);
            }
        });
        file.done().await?;
        told.await?;
        println!("given");
    }
    room.leave().await;
    Ok(())
}

async fn take(server: &str) -> Result<(), Box<dyn std::error::Error>> {
    let room = Room::join(server, JoinOptions::new("transfer").identity("taker")).await?;
    let files = room.files();
    let giver = loop {
        if let Some(giver) = room.participants().into_iter().find(|it| it.identity == "giver") {
            break giver.number;
        }
        match room.next_event().await {
            Some(RoomEvent::Closed(reason)) => return Err(reason.into()),
            None => return Err("the room was closed".into()),
            Some(_) => {}
        }
    };
    // Whoever has just come may not have said yet what it answers.
    while let Err(error) = room.call(giver, "give-me", "1000000", Duration::from_secs(5)).await {
        println!("not yet: {error}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let offer = files.next_offer().await.ok_or("the room was closed")?;
    let name = offer.name.clone();
    let content = offer.bytes().await?;
    println!("took {} bytes of {name}", content.len());
    room.leave().await;
    Ok(())
}
