//! What is played, and the figures of it.

use std::time::{Duration, Instant};

use super::game::{Game, Measured, Rules};
use super::player::{Downlink, Opening};
use super::shaper::Shaper;
use crate::args::{Arguments, Scenario};
use crate::figure;
use crate::load_peer::Common;
use crate::server::Server;

/// Round trips are measured, windows grow, buffers are allocated.
const WARM_UP: Duration = Duration::from_secs(3);
/// A step of the ramp, after a second to settle.
const STEP: Duration = Duration::from_secs(2);
/// The rate grows by this with each step.
const STEP_FACTOR: f64 = 1.5;
/// What must hold for a step to count.
const P99_MS: f64 = 50.0;
const LOSS_PERCENT: f64 = 1.0;
/// The narrow path.
const NARROW_BPS: u32 = 64_000;
const NARROW_DELAY: Duration = Duration::from_millis(20);
/// How long a path may take to be found narrow.
const NARROW_WARM_UP: Duration = Duration::from_secs(6);
/// How often the narrow receiver's values are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(33);

const RELAY: &str = "patchbay";
const LATEST: &str = "patchbay?mode=latest";
const INTEREST: &str = "patchbay?mode=interest";

/// Runs what the arguments name.
pub(crate) fn run(arguments: &Arguments) -> Result<(), String> {
    match arguments.scenario {
        Scenario::Relay => relay(arguments),
        Scenario::Interest => interest(arguments),
        Scenario::Long => long(arguments),
        Scenario::Ramp => ramp(arguments),
        Scenario::Slow => slow(arguments),
        Scenario::Path => path(arguments),
        _ => {
            relay(arguments)?;
            interest(arguments)?;
            slow(arguments)?;
            ramp(arguments)
        }
    }
}

fn relay(arguments: &Arguments) -> Result<(), String> {
    let sizes = arguments.players.map_or(vec![25, 50], |players| vec![players]);
    for players in sizes {
        play(
            arguments,
            &format!("relay_{players}"),
            rules(arguments, Opening::lossy(RELAY), players, false),
        )?;
    }
    let players = arguments.players.unwrap_or(25);
    play(arguments, &format!("plain_{players}"), rules(arguments, Opening::lossy(""), players, false))
}

fn interest(arguments: &Arguments) -> Result<(), String> {
    let players = arguments.players.unwrap_or(200);
    play(arguments, &format!("interest_{players}"), rules(arguments, Opening::lossy(INTEREST), players, true))
}

fn play(arguments: &Arguments, name: &str, rules: Rules) -> Result<(), String> {
    let server = Server::start(arguments)?;
    let common = Common::new(arguments)?;
    let mut game = Game::start(&server, &common, rules)?;
    game.set_rate(arguments.rate);
    game.play(WARM_UP)?;
    let measured = game.measure(Duration::from_secs(arguments.seconds))?;
    print(&format!("{}_{name}", arguments.prefix), &measured);
    figure::one(&format!("{}_{name}_kib_per_player", arguments.prefix), game.kib_per_player, "KiB");
    if measured.window.latencies.count() == 0 {
        return Err(format!("{name}: nothing arrived"));
    }
    game.end();
    Ok(())
}

fn long(arguments: &Arguments) -> Result<(), String> {
    let players = arguments.players.unwrap_or(200);
    let name = format!("{}_long_{players}", arguments.prefix);
    let server = Server::start(arguments)?;
    let common = Common::new(arguments)?;
    let mut game = Game::start(&server, &common, rules(arguments, Opening::lossy(INTEREST), players, true))?;
    game.set_rate(arguments.rate);
    game.play(WARM_UP)?;
    let mut minutes = Vec::new();
    for minute in 1..=arguments.minutes.max(2) {
        let measured = game.measure(Duration::from_secs(60))?;
        say(&format!("{name}, minute {minute}"), &measured);
        let memory = server.resident_kib()?;
        minutes.push((measured, memory));
    }
    game.end();
    let (Some((first, before)), Some((last, after))) = (minutes.first(), minutes.last()) else {
        return Err("a long game has minutes".into());
    };
    let p99 = |measured: &Measured| measured.window.latencies.percentile_ms(99.0);
    figure::one(&format!("{name}_first_minute_p99_ms"), p99(first), "ms");
    figure::one(&format!("{name}_last_minute_p99_ms"), p99(last), "ms");
    figure::one(&format!("{name}_p99_ratio"), p99(last) / p99(first), "x");
    figure::one(&format!("{name}_growth_kib"), after - before, "KiB");
    Ok(())
}

fn ramp(arguments: &Arguments) -> Result<(), String> {
    let players = arguments.players;
    climb(
        arguments,
        "ramp_interest",
        rules(arguments, Opening::lossy(INTEREST), players.unwrap_or(200), true),
    )?;
    climb(arguments, "ramp_relay", rules(arguments, Opening::lossy(RELAY), players.unwrap_or(50), false))
}

/// Raises the rate until latency or loss says that it is too much, and tells what the last good step was.
fn climb(arguments: &Arguments, name: &str, rules: Rules) -> Result<(), String> {
    let server = Server::start(arguments)?;
    let common = Common::new(arguments)?;
    let mut game = Game::start(&server, &common, rules)?;
    let mut rate = arguments.rate;
    let mut best = 0.0;
    game.set_rate(rate);
    game.play(WARM_UP)?;
    let mut is_second_chance = false;
    loop {
        game.set_rate(rate);
        game.play(Duration::from_secs(1))?;
        let measured = game.measure(STEP)?;
        say(&format!("{name} at {rate:.0}/s"), &measured);
        let is_good = measured.window.latencies.percentile_ms(99.0) <= P99_MS
            && measured.window.loss_percent() <= LOSS_PERCENT;
        if !is_good && !is_second_chance {
            // Somebody else may have needed the machine.
            is_second_chance = true;
            continue;
        }
        is_second_chance = false;
        if !is_good {
            let prefix = format!("{}_{name}", arguments.prefix);
            figure::one(&format!("{prefix}_deliveries_per_second"), best, "1/s");
            figure::one(&format!("{prefix}_breaks_at_rate"), rate, "1/s");
            let busy = 100.0 * measured.usage.total() / measured.seconds;
            figure::one(&format!("{prefix}_server_busy_percent"), busy, "%");
            let busy = 100.0 * measured.generator / measured.seconds;
            figure::one(&format!("{prefix}_generator_busy_percent"), busy, "%");
            game.end();
            return Ok(());
        }
        best = measured.deliveries_per_second();
        rate *= STEP_FACTOR;
    }
}

/// A narrow and a frozen receiver among others, who play without them first.
fn slow(arguments: &Arguments) -> Result<(), String> {
    let players = arguments.players.unwrap_or(20);
    let prefix = format!("{}_slow", arguments.prefix);
    let server = Server::start(arguments)?;
    let common = Common::new(arguments)?;
    let mut without = f64::NAN;
    for (name, queue_ms) in [("queue_500", 500), ("queue_200", 200)] {
        let queue = Duration::from_millis(queue_ms);
        let mut game =
            Game::start(&server, &common, rules(arguments, Opening::lossy(LATEST), players, false))?;
        game.set_rate(arguments.rate);
        game.play(WARM_UP)?;
        let how_long = Duration::from_secs(arguments.seconds);
        if without.is_nan() {
            let measured = game.measure(how_long)?;
            say("slow, without slow receivers", &measured);
            without = measured.window.latencies.percentile_ms(99.0);
            figure::one(&format!("{prefix}_others_p99_without_ms"), without, "ms");
        }
        for _ in 0..2 {
            game.join(Opening::lossy(LATEST))?;
        }
        for player in game.players.iter_mut().skip(players) {
            player.is_measured = false;
        }
        game.players[players].downlink = Downlink::Narrow(Shaper::new(NARROW_BPS, queue, NARROW_DELAY));
        game.await_open()?;
        game.players[players + 1].downlink = Downlink::Frozen { dropped: 0 };
        game.play(NARROW_WARM_UP)?;
        let mut ages = super::Histogram::default();
        let mut next_look = Instant::now();
        let measured = game.measure_with(how_long, |game, now| {
            if now >= next_look {
                next_look = now + LOOK_EVERY;
                if let Some(oldest) = game.players[players].newest.values().min() {
                    ages.record(game.age(now, *oldest));
                }
            }
        })?;
        say(&format!("slow, {name}"), &measured);
        let p99 = measured.window.latencies.percentile_ms(99.0);
        figure::one(&format!("{prefix}_others_p99_with_{name}_ms"), p99, "ms");
        figure::one(&format!("{prefix}_others_loss_{name}_percent"), measured.window.loss_percent(), "%");
        for (at, percent) in [("p50", 50.0), ("p99", 99.0), ("max", 100.0)] {
            figure::one(&format!("{prefix}_age_{at}_{name}_ms"), ages.percentile_ms(percent), "ms");
        }
        let known = game.players[players].newest.len();
        if known != players {
            return Err(format!("the narrow receiver has values of {known} of {players} others"));
        }
        if let Downlink::Narrow(shaper) = &game.players[players].downlink {
            figure::one(&format!("{prefix}_overflowed_{name}"), shaper.overflowed() as f64, "");
        }
        if let Downlink::Frozen { dropped: 0 } = game.players[players + 1].downlink {
            return Err("the frozen receiver was sent nothing that it could ignore".into());
        }
        game.end();
    }
    Ok(())
}

/// Few players over whatever path there is.
fn path(arguments: &Arguments) -> Result<(), String> {
    let server = Server::start(arguments)?;
    let common = Common::new(arguments)?;
    let reliable = Opening {
        protocol: RELAY.into(),
        is_ordered: true,
        reliability: patchbay_sansio_peer::Reliability::Reliable,
    };
    for (name, opening) in [("unreliable", Opening::lossy(RELAY)), ("reliable", reliable)] {
        let players = arguments.players.unwrap_or(6);
        let mut game = Game::start(&server, &common, rules(arguments, opening, players, false))?;
        game.set_rate(arguments.rate);
        game.play(Duration::from_secs(1))?;
        let measured = game.measure(Duration::from_secs(arguments.seconds))?;
        let prefix = format!("{}_{name}", arguments.prefix);
        figure::latencies(&prefix, &measured.window.latencies);
        figure::one(&format!("{prefix}_loss_percent"), measured.window.loss_percent(), "%");
        game.end();
    }
    Ok(())
}

fn rules(arguments: &Arguments, opening: Opening, players: usize, is_world: bool) -> Rules {
    Rules { opening, players, rate: arguments.rate, payload_bytes: arguments.message_bytes, is_world }
}

fn print(prefix: &str, measured: &Measured) {
    let deliveries = measured.window.latencies.count().max(1) as f64;
    figure::one(&format!("{prefix}_deliveries_per_second"), measured.deliveries_per_second(), "1/s");
    figure::one(&format!("{prefix}_us_per_delivery"), measured.micros_per_delivery(), "us");
    figure::one(&format!("{prefix}_p50_ms"), measured.window.latencies.percentile_ms(50.0), "ms");
    figure::one(&format!("{prefix}_p99_ms"), measured.window.latencies.percentile_ms(99.0), "ms");
    figure::one(&format!("{prefix}_loss_percent"), measured.window.loss_percent(), "%");
    figure::one(&format!("{prefix}_deliveries_per_datagram"), deliveries / measured.datagrams.max(1.0), "");
    let fan_out = measured.window.expected as f64 / measured.window.sent.max(1) as f64;
    figure::one(&format!("{prefix}_fan_out"), fan_out, "");
    say(prefix, measured);
}

/// A line for people.
fn say(what: &str, measured: &Measured) {
    let latencies = &measured.window.latencies;
    figure::line(&format!(
        "{what}: {:.0} deliveries/s, p50 {:.2} p99 {:.2} worst {:.1} ms, loss {:.3} %, {:.2} us of the server each \
         ({:.2} user); server {:.0} % of a core, generator {:.0} %",
        measured.deliveries_per_second(),
        latencies.percentile_ms(50.0),
        latencies.percentile_ms(99.0),
        latencies.highest_ms(),
        measured.window.loss_percent(),
        measured.micros_per_delivery(),
        measured.usage.user * 1e6 / latencies.count().max(1) as f64,
        100.0 * measured.usage.total() / measured.seconds,
        100.0 * measured.generator / measured.seconds,
    ));
}
