//! The client crate against the real server: topics, calls and files, over data channels and over signaling, through losses
//! and restarts.

mod call;
mod example;
mod file;
mod life;
mod topic;

use std::time::Duration;

use patchbay_client::{JoinOptions, Message, Room, RoomEvent, Topic};
use patchbay_e2e::Server;

const PATIENCE: Duration = Duration::from_secs(20);

type Error = Box<dyn std::error::Error + Send + Sync>;

fn options(room: &str, identity: &str) -> JoinOptions {
    JoinOptions::new(room).identity(identity).name(identity)
}

async fn join(server: &Server, room: &str, identity: &str) -> Result<Room, Error> {
    Ok(Room::join(server.url(), options(room, identity)).await?)
}

/// What a future brings, unless it takes too long.
async fn soon<T>(what: &str, future: impl Future<Output = T>) -> Result<T, Error> {
    let limited = tokio::time::timeout(PATIENCE, future).await;
    limited.map_err(|_| format!("waited {PATIENCE:?} in vain for {what}").into())
}

async fn next(topic: &Topic) -> Result<Message, Error> {
    let what = format!("a message on {}", topic.label());
    soon(&what, topic.next()).await?.ok_or_else(|| format!("{} was closed", topic.label()).into())
}

/// Reads events up to one of them.
async fn event(room: &Room, what: &str, wanted: impl Fn(&RoomEvent) -> bool) -> Result<(), Error> {
    soon(what, async {
        loop {
            match room.next_event().await {
                Some(event) if wanted(&event) => return Ok(()),
                Some(_) => {}
                None => return Err(format!("the room was closed before {what}").into()),
            }
        }
    })
    .await?
}

/// Bytes of which none is like its neighbours.
fn bytes(length: usize, seed: u8) -> Vec<u8> {
    (0..length).map(|at| (at.wrapping_mul(31) >> 3) as u8 ^ seed).collect()
}
