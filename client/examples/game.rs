//! A tiny game loop: sixty steps a second, thirty updates a second, others where the server's clock says they are.
//! `cargo run --example game -- http://127.0.0.1:8080 Ada [SECONDS]`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use patchbay_client::{Area, Cell, JoinOptions, Mode, Outgoing, Room, TopicOptions, Want};

/// A place, and a velocity in units per second.
#[derive(Clone, Copy, Default)]
struct State {
    x: f32,
    y: f32,
    vx: f32,
    vy: f32,
}

impl State {
    fn write(self) -> Vec<u8> {
        [self.x, self.y, self.vx, self.vy].iter().flat_map(|number| number.to_be_bytes()).collect()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut numbers = bytes.chunks_exact(4).map(|four| four.try_into().map(f32::from_be_bytes).ok());
        let mut next = || numbers.next().flatten();
        Some(Self { x: next()?, y: next()?, vx: next()?, vy: next()? })
    }

    /// Where it is by now.
    fn after(self, seconds: f32) -> (f32, f32) {
        (self.x + self.vx * seconds, self.y + self.vy * seconds)
    }

    /// The cell of the grid by which the server filters: 100 units wide.
    fn cell(self) -> Cell {
        Cell { x: (self.x / 100.0).floor() as i16, y: (self.y / 100.0).floor() as i16 }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let server = arguments.next().unwrap_or_else(|| "http://127.0.0.1:8080".into());
    let name = arguments.next().unwrap_or_else(|| "Ada".into());
    let seconds: u64 = arguments.next().map_or(Ok(60), |text| text.parse())?;

    let room = Room::join(&server, JoinOptions::new("game").name(&name)).await?;
    let moves = room.topic("moves", TopicOptions::unreliable().mode(Mode::Interest).ttl_ms(5_000));
    // What is less than five cells away.
    let near =
        |Cell { x, y }: Cell| Area { from: Cell { x: x - 5, y: y - 5 }, to: Cell { x: x + 5, y: y + 5 } };
    let mut own = State { vx: 40.0, vy: 25.0, ..State::default() };
    moves.want(vec![Want::Area(near(own.cell()))])?;
    moves.opened().await?;

    let mut others: BTreeMap<u32, (State, u64)> = BTreeMap::new();
    let began = Instant::now();
    let mut steps = tokio::time::interval(Duration::from_secs(1) / 60);
    for step in 0.. {
        if began.elapsed() > Duration::from_secs(seconds) {
            break;
        }
        steps.tick().await;
        (own.x, own.y) = own.after(1.0 / 60.0);
        if own.x.abs() > 300.0 {
            own.vx = -own.vx;
        }
        if step % 2 == 0 {
            let Cell { x, y } = own.cell();
            moves.send(Outgoing::bytes(own.write()).key("at").cell(x, y))?;
        }
        while let Some(message) = moves.try_next() {
            match State::read(&message.payload) {
                Some(state) => others.insert(message.sender, (state, message.time)),
                None => others.remove(&message.sender),
            };
        }
        if step % 60 == 59 {
            println!("{} other player(s)", others.len());
            let now = room.clock().now().unwrap_or(0);
            for (number, (state, told)) in &others {
                let (x, y) = state.after(now.saturating_sub(*told) as f32 / 1e6);
                println!("  {number} at {x:.0}, {y:.0}");
            }
        }
    }
    room.leave().await;
    Ok(())
}
