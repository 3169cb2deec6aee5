//! Bots for the arena: they walk about in the bundled page's shared world, over data channels alone.
//!
//! A state is 25 bytes, as `web/arena/world.js` has it: server time in ms (f64), x, y and velocity x, y (f32), hue (u8), big-endian.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use patchbay_client::{ClientError, JoinOptions, Mode, Outgoing, Room, Topic, TopicOptions};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// Units from one side of the world to the other.
const WORLD: f32 = 4_000.0;
/// Side of a cell of the grid by which the server filters.
const CELL: f32 = 250.0;
/// Units a second.
const SPEED: f32 = 420.0;
/// Nobody comes closer to the border than this.
const RADIUS: f32 = 22.0;
/// Updates a second while walking.
const MOVING_HZ: u32 = 20;
/// Between two updates while standing.
const STILL: Duration = Duration::from_millis(1_000);

/// A bot in the arena. It leaves when it is dropped.
pub struct ArenaBot {
    room: Room,
    topic: Topic,
    walk: tokio::task::JoinHandle<()>,
}

impl ArenaBot {
    /// Joins as `Bot N` and begins to walk. A number gives its colour and its way.
    pub async fn join(server: &str, options: JoinOptions, number: u32) -> Result<Self, ClientError> {
        let room = Room::join(server, options.name(format!("Bot {number}"))).await?;
        // The arena's own settings: whoever comes first decides.
        let topic = room.topic("arena", TopicOptions::unreliable().mode(Mode::Interest).ttl_ms(10_000));
        let walk = tokio::spawn(walk(room.clone(), topic.clone(), number));
        Ok(Self { room, topic, walk })
    }

    /// What it sent so far.
    pub fn sent(&self) -> u64 {
        self.topic.counters().sent
    }

    /// Leaves the arena.
    pub async fn leave(self) {
        self.room.leave().await;
    }
}

impl Drop for ArenaBot {
    fn drop(&mut self) {
        self.walk.abort();
    }
}

struct Walker {
    x: f32,
    y: f32,
    vx: f32,
    vy: f32,
    wish: (f32, f32),
    /// Seconds until another mind.
    left: f32,
}

impl Walker {
    fn new(random: &mut impl Rng) -> Self {
        let mut place = || random.random_range(RADIUS..WORLD - RADIUS);
        Self { x: place(), y: place(), vx: 0.0, vy: 0.0, wish: (0.0, 0.0), left: 0.0 }
    }

    /// One step, as `step` in `world.js`.
    fn advance(&mut self, seconds: f32, random: &mut impl Rng) {
        self.left -= seconds;
        if self.left <= 0.0 {
            let rests = random.random_bool(0.35);
            let angle = random.random_range(0.0..std::f32::consts::TAU);
            self.wish = if rests { (0.0, 0.0) } else { (angle.cos(), angle.sin()) };
            self.left = random.random_range(0.8..3.5);
        }
        let follow = 1.0 - (-12.0 * seconds).exp();
        let vx = self.vx + (self.wish.0 * SPEED - self.vx) * follow;
        let vy = self.vy + (self.wish.1 * SPEED - self.vy) * follow;
        let clamp = |value: f32| value.clamp(RADIUS, WORLD - RADIUS);
        let (x, y) = (clamp(self.x + vx * seconds), clamp(self.y + vy * seconds));
        if vx.hypot(vy) < 2.0 {
            (self.vx, self.vy) = (0.0, 0.0);
        } else {
            (self.vx, self.vy) = ((x - self.x) / seconds, (y - self.y) / seconds);
        }
        (self.x, self.y) = (x, y);
    }

    fn is_still(&self) -> bool {
        self.vx == 0.0 && self.vy == 0.0
    }

    fn state(&self, at_ms: f64, hue: u8) -> Outgoing {
        let mut bytes = at_ms.to_be_bytes().to_vec();
        for number in [self.x, self.y, self.vx, self.vy] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes.push(hue);
        let cell = |value: f32| (value / CELL).floor() as i16;
        Outgoing::bytes(bytes).key("at").cell(cell(self.x), cell(self.y))
    }
}

async fn walk(room: Room, topic: Topic, number: u32) {
    let mut random = StdRng::seed_from_u64(number.into());
    let hue = (number.wrapping_mul(97) % 256) as u8;
    let mut walker = Walker::new(&mut random);
    let period = Duration::from_secs(1) / MOVING_HZ;
    // Not all of them at the same moment.
    let first = Instant::now() + period.mul_f64(random.random());
    let mut beat = interval_at(first, period);
    beat.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (mut last, mut told, mut was_still) = (first, None::<Instant>, true);
    loop {
        let now = beat.tick().await;
        walker.advance(now.duration_since(last).as_secs_f32().clamp(0.001, 0.2), &mut random);
        last = now;
        let is_still = walker.is_still();
        let is_due = told.is_none_or(|told| now.duration_since(told) >= STILL);
        if is_still && was_still && !is_due {
            continue;
        }
        let own = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_micros() as u64);
        let at_ms = room.clock().now().unwrap_or_else(own) as f64 / 1_000.0;
        if topic.send(walker.state(at_ms, hue)).is_err() {
            return;
        }
        (told, was_still) = (Some(now), is_still);
    }
}
