//! One run: join, connect, warm up, measure.

use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};
use patchbay_protocol::{ParticipantNumber, SlotSource, Source};

use crate::args::Arguments;
use crate::load_peer::{Common, LoadPeer, PUBLICATION, Tally, phase};
use crate::media::Frames;
use crate::server::{Server, Usage};
use crate::signaling::{Join, Signaling};

/// How long all peers may take to connect.
const CONNECT_PATIENCE: Duration = Duration::from_secs(60);
/// Keyframes, slot switches and the server's allocations happen here.
const WARM_UP: Duration = Duration::from_secs(3);
/// What is still under way after the last packet was sent.
const GRACE: Duration = Duration::from_millis(700);
/// How often deadlines are looked at.
const DEADLINES: Duration = Duration::from_millis(5);

/// Who publishes to whom.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    publishers: usize,
    subscribers: usize,
    /// Publishers have slots too.
    is_mutual: bool,
}

impl Run {
    /// One publisher.
    pub(crate) fn fan_out(subscribers: usize) -> Self {
        Self { publishers: 1, subscribers, is_mutual: false }
    }

    /// Everybody publishes to everybody else.
    pub(crate) fn all_to_all(peers: usize) -> Self {
        Self { publishers: peers, subscribers: 0, is_mutual: true }
    }

    fn peers(self) -> usize {
        self.publishers + self.subscribers
    }

    /// Copies of each packet.
    fn copies(self) -> u64 {
        (if self.is_mutual { self.publishers - 1 } else { self.subscribers }) as u64
    }
}

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) peers: usize,
    pub(crate) seconds: f64,
    pub(crate) expected: u64,
    pub(crate) arrived: u64,
    pub(crate) nacks: u64,
    pub(crate) recovered: u64,
    pub(crate) usage: Usage,
    pub(crate) generator: f64,
    /// Sorted, in microseconds.
    pub(crate) latencies: Vec<u32>,
    pub(crate) kib_per_peer: f64,
    /// Joining and connecting all of them.
    pub(crate) connect: Duration,
    /// Of the server's process while they joined and connected.
    pub(crate) connect_usage: Usage,
}

/// Runs a scenario against a server.
pub(crate) fn run(server: &Server, arguments: &Arguments, run: Run) -> Result<Outcome, String> {
    let common = Common::new(arguments)?;
    let signaling = Signaling::new(&server.url)?;
    let mut generator = Generator::new(common)?;
    let (before, before_usage) = (server.resident_kib()?, server.usage()?);
    let began = Instant::now();
    generator.join(&signaling, run)?;
    generator.connect()?;
    let connect = began.elapsed();
    let connect_usage = server.usage()?.since(before_usage);

    let start = Instant::now();
    for (at, peer) in generator.peers.iter_mut().take(run.publishers).enumerate() {
        peer.frames = Some(Frames::new(start, phase(at, run.publishers), arguments.bytes, arguments.sizes));
    }
    generator.drive(WARM_UP, false)?;
    let (usage, own, measured) = (server.usage()?, own_usage()?, Instant::now());
    generator.drive(Duration::from_secs(arguments.seconds), true)?;
    let (usage, own, seconds) =
        (server.usage()?.since(usage), own_usage()? - own, measured.elapsed().as_secs_f64());
    let after = server.resident_kib()?;
    for peer in &mut generator.peers {
        peer.frames = None;
    }
    generator.drive(GRACE, false)?;
    for connection in generator.peers.iter().filter_map(|peer| peer.connection.as_ref()) {
        signaling.leave(connection);
    }

    let Generator { peers, tally, .. } = generator;
    let mut latencies = tally.latencies;
    latencies.sort_unstable();
    let repairs = peers.iter().map(LoadPeer::repairs);
    let (nacks, recovered) = repairs.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    Ok(Outcome {
        peers: run.peers(),
        seconds,
        expected: peers.iter().map(|peer| peer.sent).sum::<u64>() * run.copies(),
        arrived: tally.packets,
        nacks,
        recovered,
        usage,
        generator: own,
        latencies,
        kib_per_peer: (after - before).max(0.0) / run.peers() as f64,
        connect,
        connect_usage,
    })
}

/// All peers of a run, on one thread.
struct Generator {
    common: Common,
    poll: Poll,
    events: Events,
    peers: Vec<LoadPeer>,
    tally: Tally,
    next_deadlines: Instant,
}

impl Generator {
    fn new(common: Common) -> Result<Self, String> {
        Ok(Self {
            common,
            poll: Poll::new().map_err(|error| error.to_string())?,
            events: Events::with_capacity(1_024),
            peers: Vec::new(),
            tally: Tally::default(),
            next_deadlines: Instant::now(),
        })
    }

    fn join(&mut self, signaling: &Signaling, run: Run) -> Result<(), String> {
        let mut numbers: Vec<ParticipantNumber> = Vec::new();
        for index in 0..run.peers() {
            let publishes = index < run.publishers;
            let slots = match (run.is_mutual, publishes) {
                (true, _) => run.publishers - 1,
                (false, true) => 0,
                (false, false) => run.publishers,
            };
            let mut peer = LoadPeer::new(&self.common, publishes, slots)?;
            peer.register(self.poll.registry(), Token(index))?;
            // In an all-to-all room the others' numbers are not known yet: those slots are switched once all are there.
            let first_sources = (1..=slots).map(|slot| {
                let source = if run.is_mutual { None } else { numbers.get(slot - 1).map(|n| camera(*n)) };
                (slot.to_string(), source)
            });
            let join = Join {
                room: format!("load-{}-{}", run.peers(), std::process::id()),
                identity: format!("load-{index}"),
                sdp: peer.offer(),
                publication: publishes.then(|| PUBLICATION.to_owned()),
                slots: first_sources.collect(),
            };
            let (connection, joined) = signaling.join(join)?;
            let answer = joined.answer.ok_or("the join brought no answer")?;
            numbers.push(joined.participant.number);
            peer.connection = Some(connection);
            peer.accept(&answer.sdp)?;
            self.peers.push(peer);
            self.step(false);
        }
        if run.is_mutual {
            for index in 0..self.peers.len() {
                let others = numbers.iter().enumerate().filter(|(other, _)| *other != index);
                for (slot, (_, number)) in others.enumerate() {
                    if let Some(connection) = &self.peers[index].connection {
                        signaling.set_slot(connection, &(slot + 1).to_string(), camera(*number))?;
                    }
                    self.step(false);
                }
            }
        }
        Ok(())
    }

    fn connect(&mut self) -> Result<(), String> {
        let began = Instant::now();
        while !self.peers.iter().all(LoadPeer::is_connected) {
            self.step(false);
            self.check()?;
            if began.elapsed() > CONNECT_PATIENCE {
                let missing = self.peers.iter().filter(|peer| !peer.is_connected()).count();
                return Err(format!("{missing} of {} peers did not connect", self.peers.len()));
            }
        }
        Ok(())
    }

    fn drive(&mut self, how_long: Duration, counts: bool) -> Result<(), String> {
        let end = Instant::now() + how_long;
        while Instant::now() < end {
            self.step(counts);
        }
        self.check()
    }

    /// Sends what is due, receives what is there, and sleeps until something of both.
    fn step(&mut self, counts: bool) {
        let now = Instant::now();
        let origin = self.common.origin;
        for peer in &mut self.peers {
            peer.send_due(now, origin, counts);
        }
        if now >= self.next_deadlines {
            self.next_deadlines = now + DEADLINES;
            for peer in &mut self.peers {
                peer.turn(now);
            }
        }
        let due = self.peers.iter().filter_map(|peer| Some(peer.frames.as_ref()?.due())).min();
        let wake = due.map_or(self.next_deadlines, |due| due.min(self.next_deadlines));
        // The poll rounds up to milliseconds: a frame may be that late, which its time stamp does not count.
        let timeout = wake.saturating_duration_since(Instant::now());
        if self.poll.poll(&mut self.events, Some(timeout)).is_err() {
            return;
        }
        for event in &self.events {
            if let Some(peer) = self.peers.get_mut(event.token().0) {
                peer.receive(origin, &mut self.tally);
            }
        }
    }

    fn check(&self) -> Result<(), String> {
        match self.peers.iter().enumerate().find_map(|(at, peer)| Some((at, peer.failure()?))) {
            Some((at, reason)) => Err(format!("peer {at} failed: {reason}")),
            None => Ok(()),
        }
    }
}

fn camera(participant: ParticipantNumber) -> SlotSource {
    SlotSource::Participant { participant, source: Source::Camera }
}

/// Processor time of this process, in seconds.
pub(crate) fn own_usage() -> Result<f64, String> {
    let text = std::fs::read_to_string("/proc/self/stat").map_err(|error| error.to_string())?;
    let fields: Vec<&str> =
        text.rsplit_once(')').map_or("", |(_, rest)| rest).split_ascii_whitespace().collect();
    let ticks =
        |field: usize| fields.get(field).and_then(|field| field.parse::<f64>().ok()).unwrap_or_default();
    Ok((ticks(11) + ticks(12)) / 100.0)
}
