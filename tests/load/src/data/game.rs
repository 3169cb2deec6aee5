//! All players of one room, on one thread.

use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use super::player::{Opening, Player};
use super::walk::Walk;
use super::window::{Window, Windows};
use crate::load_peer::{Common, phase_of};
use crate::scenario::own_usage;
use crate::server::{Server, Usage};
use crate::signaling::{Join, Signaling};

/// How long a player may take to be on the topic.
const PATIENCE: Duration = Duration::from_secs(60);
/// What is still under way after the last message of a window.
const GRACE: Duration = Duration::from_millis(500);
/// How often deadlines are looked at.
const DEADLINES: Duration = Duration::from_millis(5);

/// What a game is.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub(crate) opening: Opening,
    pub(crate) players: usize,
    /// Messages of each in a second.
    pub(crate) rate: f64,
    pub(crate) payload_bytes: usize,
    /// Whether players walk and see what is near.
    pub(crate) is_world: bool,
}

/// What came of a stretch of time.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) seconds: f64,
    pub(crate) window: Window,
    /// Of the server's process.
    pub(crate) usage: Usage,
    /// Processor seconds of this process.
    pub(crate) generator: f64,
    /// Datagrams that the server sent.
    pub(crate) datagrams: f64,
}

impl Measured {
    pub(crate) fn deliveries_per_second(&self) -> f64 {
        self.window.latencies.count() as f64 / self.seconds
    }

    pub(crate) fn micros_per_delivery(&self) -> f64 {
        self.usage.total() * 1e6 / self.window.latencies.count().max(1) as f64
    }
}

/// A game.
pub(crate) struct Game<'a> {
    pub(crate) players: Vec<Player>,
    pub(crate) rules: Rules,
    /// Server memory for each player, in KiB, once all are there.
    pub(crate) kib_per_player: f64,
    server: &'a Server,
    common: &'a Common,
    signaling: Signaling,
    room: String,
    poll: Poll,
    events: Events,
    windows: Windows,
    window: u8,
    last_window: u8,
    next_deadlines: Instant,
}

impl<'a> Game<'a> {
    /// Everybody joins, and is on the topic. Nobody publishes yet.
    pub(crate) fn start(server: &'a Server, common: &'a Common, rules: Rules) -> Result<Self, String> {
        let opening = rules.opening.clone();
        let players = rules.players;
        let mut game = Self {
            players: Vec::new(),
            rules,
            kib_per_player: 0.0,
            server,
            common,
            signaling: Signaling::new(&server.url)?,
            room: format!("game-{}-{}", std::process::id(), common.origin.elapsed().as_micros()),
            poll: Poll::new().map_err(|error| error.to_string())?,
            events: Events::with_capacity(1_024),
            windows: Windows::default(),
            window: 0,
            last_window: 0,
            next_deadlines: Instant::now(),
        };
        let before = server.resident_kib()?;
        for _ in 0..players {
            game.join(opening.clone())?;
        }
        game.await_open()?;
        game.kib_per_player = (server.resident_kib()? - before).max(0.0) / players as f64;
        Ok(game)
    }

    /// One more player.
    pub(crate) fn join(&mut self, opening: Opening) -> Result<(), String> {
        let index = self.players.len();
        let mut player = Player::new(self.common, opening, self.rules.payload_bytes)?;
        player.register(self.poll.registry(), Token(index))?;
        if self.rules.is_world {
            player.walk = Some(Walk::new(index, self.rules.players));
        }
        let join = Join {
            room: self.room.clone(),
            identity: format!("player-{index}"),
            sdp: player.offer(),
            publication: None,
            slots: Vec::new(),
        };
        let (connection, joined) = self.signaling.join(join)?;
        let answer = joined.answer.ok_or("the join brought no answer")?;
        player.connection = Some(connection);
        player.accept(&answer.sdp)?;
        self.players.push(player);
        self.step();
        Ok(())
    }

    /// Waits until everybody is on the topic.
    pub(crate) fn await_open(&mut self) -> Result<(), String> {
        let began = Instant::now();
        while !self.players.iter().all(Player::is_open) {
            self.step();
            self.check()?;
            if began.elapsed() > PATIENCE {
                let missing = self.players.iter().filter(|player| !player.is_open()).count();
                return Err(format!("{missing} of {} players are not on the topic", self.players.len()));
            }
        }
        Ok(())
    }

    /// From now on the first players publish at this rate.
    pub(crate) fn set_rate(&mut self, rate: f64) {
        self.rules.rate = rate;
        let (now, interval) = (Instant::now(), self.interval());
        let count = self.rules.players;
        for (at, player) in self.players.iter_mut().take(count).enumerate() {
            player.due = Some(now + phase_of(interval, at, count));
        }
    }

    /// Plays on without measuring.
    pub(crate) fn play(&mut self, how_long: Duration) -> Result<(), String> {
        self.play_with(how_long, |_, _| {})
    }

    /// The same, with a look at the game after each step.
    pub(crate) fn play_with(
        &mut self,
        how_long: Duration,
        mut look: impl FnMut(&mut Self, Instant),
    ) -> Result<(), String> {
        let end = Instant::now() + how_long;
        loop {
            let now = Instant::now();
            if now >= end {
                return self.check();
            }
            self.step();
            look(self, now);
        }
    }

    /// Plays on, and measures.
    pub(crate) fn measure(&mut self, how_long: Duration) -> Result<Measured, String> {
        self.measure_with(how_long, |_, _| {})
    }

    /// The same, with a look at the game after each step.
    pub(crate) fn measure_with(
        &mut self,
        how_long: Duration,
        look: impl FnMut(&mut Self, Instant),
    ) -> Result<Measured, String> {
        let datagrams = self.datagrams_sent();
        let (usage, own, began) = (self.server.usage()?, own_usage()?, Instant::now());
        self.last_window += 1;
        self.window = self.last_window;
        self.play_with(how_long, look)?;
        self.window = 0;
        let (usage, generator) = (self.server.usage()?.since(usage), own_usage()? - own);
        let seconds = began.elapsed().as_secs_f64();
        let datagrams = self.datagrams_sent() - datagrams;
        self.play(GRACE)?;
        let window = self.windows.take(self.last_window);
        Ok(Measured { seconds, window, usage, generator, datagrams })
    }

    /// Asks the server how many datagrams it has sent, and plays on meanwhile: the answer takes round trips, and what arrives in
    /// that time is not late.
    fn datagrams_sent(&mut self) -> f64 {
        let server = self.server;
        std::thread::scope(|scope| {
            let answer = scope.spawn(|| server.counter("udp_sent_total").unwrap_or_default());
            while !answer.is_finished() {
                self.step();
            }
            answer.join().unwrap_or_default()
        })
    }

    /// Everybody leaves.
    pub(crate) fn end(self) {
        for connection in self.players.iter().filter_map(|player| player.connection.as_ref()) {
            self.signaling.leave(connection);
        }
    }

    /// How long ago a thing was sent that was sent then.
    pub(crate) fn age(&self, now: Instant, sent: Duration) -> Duration {
        (now - self.common.origin).saturating_sub(sent)
    }

    fn interval(&self) -> Duration {
        Duration::from_secs_f64(1.0 / self.rules.rate)
    }

    /// Sends what is due, receives what is there, and sleeps until something of both.
    fn step(&mut self) {
        let now = Instant::now();
        let (origin, interval) = (self.common.origin, self.interval());
        for at in 0..self.players.len() {
            let player = &mut self.players[at];
            let Some(due) = player.due.filter(|due| *due <= now) else { continue };
            // A generator that was away sends on from here: it does not make up for it with a burst.
            let next = due + interval;
            player.due = Some(if next <= now { now + interval } else { next });
            let sent_at = Instant::now();
            let (cell, is_sent) = player.publish(sent_at, origin, self.window, interval.as_secs_f64());
            if is_sent && self.window > 0 {
                let receivers = self.players.iter().enumerate().filter(|(other, player)| {
                    *other != at
                        && player.is_measured
                        && cell.is_none_or(|cell| player.sight().is_some_and(|sight| sight.contains(cell)))
                });
                self.windows.note_sent(self.window, receivers.count() as u64);
            }
        }
        if now >= self.next_deadlines {
            self.next_deadlines = now + DEADLINES;
            for player in &mut self.players {
                player.turn(now, origin, &mut self.windows);
            }
        }
        let due = self.players.iter().filter_map(|player| player.due).min();
        let wake = due.map_or(self.next_deadlines, |due| due.min(self.next_deadlines));
        // The poll rounds up to milliseconds: a message may be that late, which its time stamp does not count.
        let timeout = wake.saturating_duration_since(Instant::now());
        if self.poll.poll(&mut self.events, Some(timeout)).is_err() {
            return;
        }
        for event in &self.events {
            if let Some(player) = self.players.get_mut(event.token().0) {
                player.receive(origin, &mut self.windows);
            }
        }
    }

    fn check(&self) -> Result<(), String> {
        match self.players.iter().enumerate().find_map(|(at, player)| Some((at, player.failure()?))) {
            Some((at, reason)) => Err(format!("player {at}: {reason}")),
            None => Ok(()),
        }
    }
}
