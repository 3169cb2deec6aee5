//! A chat with shared cursors: `cargo run --example chat -- http://127.0.0.1:8080 Ada [SECONDS]`.

use std::time::Duration;

use patchbay_client::{JoinOptions, Mode, Outgoing, Room, RoomEvent, TopicOptions};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let server = arguments.next().unwrap_or_else(|| "http://127.0.0.1:8080".into());
    let name = arguments.next().unwrap_or_else(|| "Ada".into());
    let seconds: u64 = arguments.next().map_or(Ok(60), |text| text.parse())?;

    let room = Room::join(&server, JoinOptions::new("chat").name(&name)).await?;
    for participant in room.participants() {
        println!("{} is here", participant.name);
    }
    // Of a cursor only the newest place matters: nothing is sent twice, and who comes later is told where it is.
    let cursors = room.topic("cursors", TopicOptions::unreliable().mode(Mode::Latest).rate(20));
    let end = tokio::time::sleep(Duration::from_secs(seconds));
    tokio::pin!(end);
    let mut beat = tokio::time::interval(Duration::from_millis(250));
    let mut count = 0;
    loop {
        tokio::select! {
            () = &mut end => break,
            _ = beat.tick() => {
                count += 1;
                cursors.send(Outgoing::text(format!("{count}, {count}")))?;
                if count % 4 == 0 {
                    room.chat(&format!("hello from {name}")).await?;
                }
            }
            Some(message) = cursors.next() => {
                let named = room.participants().into_iter().find(|it| it.number.0 == message.sender);
                if let (Some(participant), Some(place)) = (named, message.text()) {
                    println!("{} points at {place}", participant.name);
                }
            }
            Some(event) = room.next_event() => match event {
                RoomEvent::Joined(participant) => println!("{} came", participant.name),
                RoomEvent::Chat(line) => println!("{}: {}", line.name, line.text),
                RoomEvent::Closed(reason) => return Err(reason.into()),
                _ => {}
            }
        }
    }
    room.leave().await;
    Ok(())
}
