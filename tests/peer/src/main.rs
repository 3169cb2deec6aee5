//! `patchbay-peer`: one or more headless participants on the command line.

use std::net::IpAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use patchbay_client::JoinOptions;
use patchbay_peer::{
    ArenaBot, AudioClip, Channel, Loudness, Peer, PeerConfig, Picture, Publication, VideoClip, Way,
};
use patchbay_protocol::{ParticipantNumber, SlotSource, Source, TrackId};

/// Joins a Patchbay room without a browser, publishes and receives, and prints statistics as JSON lines.
///
/// One line per peer at the end (and every --stats-every seconds): an object with the fields schema, room, identity,
/// participant, state, srtp_profile, elapsed_ms, connected_ms, offers_made, roster, speakers, publications, slots,
/// channels, chat_lines, ended. A slot has packets, bytes, frames (complete, in order, back to a keyframe), keyframes,
/// first_frame_ms, csrcs, lost, duplicates, nacks. Times are milliseconds since the join began. Fields may be added to
/// schema 1; none changes its meaning.
///
/// Exits with 0, or with 1 if a peer could not join or an --expect did not come true, or with 2 on bad arguments.
#[derive(Parser)]
#[command(name = "patchbay-peer", version)]
struct Arguments {
    /// The server, http://HOST:PORT.
    #[arg(long, default_value = "http://127.0.0.1:8080", env = "PATCHBAY_SERVER")]
    server: String,
    /// The room.
    #[arg(long, default_value = "demo")]
    room: String,
    /// Identity and name; with --count, a number is added.
    #[arg(long, default_value = "peer")]
    identity: String,
    /// Names to show instead, separated by commas; with --count, one for each peer.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    names: Vec<String>,
    /// A JWT, when the server asks for one.
    #[arg(long, env = "PATCHBAY_TOKEN")]
    token: Option<String>,
    /// Let so many bots walk about in the arena (`/arena` of the server), and nothing else.
    #[arg(long, value_name = "COUNT")]
    arena: Option<u32>,
    /// How many peers.
    #[arg(long, default_value_t = 1)]
    count: usize,
    /// Publish by WHIP instead of signaling.
    #[arg(long, conflicts_with = "whep")]
    whip: bool,
    /// Receive by WHEP instead of signaling; the value is its source, such as speaker:1 or participant:IDENTITY.
    #[arg(long, value_name = "SOURCE")]
    whep: Option<String>,
    /// Publish a camera: ball, bars, red, green, blue, amber, violet, teal, each (one after the other with --count), or an IVF file.
    #[arg(long, value_name = "PICTURE|FILE")]
    video: Option<String>,
    /// Publish a microphone: tone, or an Ogg Opus file with packets of 20 ms.
    #[arg(long, value_name = "tone|FILE")]
    audio: Option<String>,
    /// Levels to claim over time, as SECOND:LEVEL,…; LEVEL is -dBov, 0 loudest, 127 silence.
    #[arg(long, default_value = "0:30", value_name = "SCRIPT")]
    loudness: String,
    /// Offer no audio level extension at all.
    #[arg(long)]
    no_levels: bool,
    /// An audio slot: speaker:N, track:N, participant:NUMBER, or none. May be repeated.
    #[arg(long, value_name = "SOURCE")]
    audio_slot: Vec<String>,
    /// A video slot: speaker:N, track:N, participant:NUMBER, screen:NUMBER, or none. May be repeated.
    #[arg(long, value_name = "SOURCE")]
    video_slot: Vec<String>,
    /// A reliable data channel with this label. May be repeated.
    #[arg(long, value_name = "LABEL")]
    channel: Vec<String>,
    /// Send back what the channels receive.
    #[arg(long)]
    echo: bool,
    /// Send a numbered text on every channel, this often.
    #[arg(long, value_name = "MILLISECONDS")]
    send_every: Option<u64>,
    /// The local address for media; 0.0.0.0 means every interface but loopback.
    #[arg(long, default_value = "127.0.0.1")]
    bind: IpAddr,
    /// Send media over TCP alone, as behind a firewall that lets no UDP through.
    #[arg(long)]
    tcp: bool,
    /// Send media through the server's TURN servers alone.
    #[arg(long, conflicts_with = "tcp")]
    relay: bool,
    /// How long to stay, in seconds; 0 means until interrupted.
    #[arg(long, default_value_t = 10.0, value_name = "SECONDS")]
    duration: f64,
    /// Restart ICE from new sockets after so many seconds.
    #[arg(long, value_name = "SECONDS")]
    restart_ice_after: Option<f64>,
    /// Die without a word after so many seconds: no leave, no DTLS alert, no goodbye of any kind.
    #[arg(long, value_name = "SECONDS")]
    die_after: Option<f64>,
    /// Print statistics this often, besides the end.
    #[arg(long, value_name = "SECONDS")]
    stats_every: Option<f64>,
    /// Fail unless every slot got at least so many frames by the end.
    #[arg(long, value_name = "FRAMES")]
    expect_frames: Option<u64>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let arguments = Arguments::parse();
    if let Some(count) = arguments.arena {
        let outcome = run_arena(&arguments, count).await;
        if let Err(error) = &outcome {
            complain(&error.to_string());
        }
        return if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let configs = match configs(&arguments) {
        Ok(configs) => configs,
        Err(problem) => {
            complain(&problem);
            return ExitCode::from(2);
        }
    };
    match run(&arguments, configs).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments, configs: Vec<PeerConfig>) -> Result<bool, patchbay_peer::PeerError> {
    let mut peers = Vec::new();
    for config in configs {
        let peer = Peer::join(config).await?;
        peer.connected().await?;
        peers.push(peer);
    }
    // Absent times lie beyond any run.
    let never = f64::MAX / 4.0;
    let end = if arguments.duration > 0.0 { arguments.duration } else { never };
    let started = tokio::time::Instant::now();
    let mut next_stats = arguments.stats_every.unwrap_or(never);
    let mut next_restart = arguments.restart_ice_after.unwrap_or(never);
    let death = arguments.die_after.unwrap_or(never);
    loop {
        let due = end.min(next_stats).min(next_restart).min(death);
        tokio::select! {
            () = until(started, due) => {}
            _ = tokio::signal::ctrl_c() => break,
        }
        if due == death {
            // Frozen, not ended: the kernel closes no socket, so that nobody is told.
            let _ = tokio::process::Command::new("kill")
                .args(["-STOP", &std::process::id().to_string()])
                .status()
                .await;
        } else if due == next_restart {
            next_restart = never;
            for peer in &peers {
                peer.restart_ice().await?;
            }
        } else if due == next_stats {
            next_stats += arguments.stats_every.unwrap_or(never);
            print_stats(&peers).await;
        } else {
            break;
        }
    }
    let expected =
        print_stats(&peers).await.into_iter().all(|frames| frames >= arguments.expect_frames.unwrap_or(0));
    for peer in &peers {
        let _ = peer.leave().await;
    }
    Ok(expected)
}

/// Bots until it is over; a line of JSON with how many there are and what they sent.
async fn run_arena(arguments: &Arguments, count: u32) -> Result<(), patchbay_client::ClientError> {
    let mut bots = Vec::new();
    for number in 1..=count {
        let mut options = JoinOptions::new(arguments.room.as_str()).identity(format!("bot-{number}"));
        options.token.clone_from(&arguments.token);
        options.bind = Some(arguments.bind);
        bots.push(ArenaBot::join(&arguments.server, options, number).await?);
    }
    let print = |bots: &[ArenaBot]| {
        let sent: u64 = bots.iter().map(ArenaBot::sent).sum();
        println!(
            "{}",
            serde_json::json!({"schema": 1, "identity": "arena", "bots": bots.len(), "sent": sent})
        );
    };
    print(&bots);
    let started = tokio::time::Instant::now();
    let never = f64::MAX / 4.0;
    let end = if arguments.duration > 0.0 { arguments.duration } else { never };
    let mut next_stats = arguments.stats_every.unwrap_or(never);
    while next_stats < end || started.elapsed().as_secs_f64() < end {
        tokio::select! {
            () = until(started, next_stats.min(end)) => {}
            _ = tokio::signal::ctrl_c() => break,
        }
        print(&bots);
        next_stats += arguments.stats_every.unwrap_or(never);
    }
    for bot in bots {
        bot.leave().await;
    }
    Ok(())
}

async fn until(started: tokio::time::Instant, seconds: f64) {
    // A year stands for never.
    tokio::time::sleep_until(started + Duration::from_secs_f64(seconds.min(31_536_000.0))).await;
}

/// Prints a line for each peer; returns the fewest frames of any slot of each.
async fn print_stats(peers: &[Peer]) -> Vec<u64> {
    let mut fewest = Vec::new();
    for peer in peers {
        let stats = peer.full_stats().await;
        fewest.push(stats.slots.iter().map(|slot| slot.frames).min().unwrap_or(u64::MAX));
        match serde_json::to_string(&stats) {
            Ok(line) => println!("{line}"),
            Err(error) => complain(&error.to_string()),
        }
    }
    fewest
}

fn configs(arguments: &Arguments) -> Result<Vec<PeerConfig>, String> {
    (0..arguments.count).map(|number| config(arguments, number)).collect()
}

fn config(arguments: &Arguments, number: usize) -> Result<PeerConfig, String> {
    let identity = match arguments.count {
        1 => arguments.identity.clone(),
        _ => format!("{}-{}", arguments.identity, number + 1),
    };
    let mut config = PeerConfig::new(&arguments.server, &arguments.room).identity(identity);
    if let Some(name) = arguments.names.get(number) {
        config.name = Some(name.clone());
    }
    config.token.clone_from(&arguments.token);
    config.bind = arguments.bind;
    config.over_tcp = arguments.tcp;
    config.relay = arguments.relay;
    if arguments.whip {
        config.way = Way::Whip;
    }
    if let Some(source) = &arguments.whep {
        config.way = Way::Whep;
        config.whep_source = Some(source.clone());
    }
    if let Some(audio) = &arguments.audio {
        let clip = match audio.as_str() {
            "tone" => AudioClip::tone(),
            path => AudioClip::from_ogg(path, &read(path)?),
        };
        let loudness = if arguments.no_levels { None } else { Some(Loudness::parse(&arguments.loudness)?) };
        let clip = clip.map_err(|error| error.to_string())?;
        config.publications.push(Publication::Audio { source: Source::Microphone, clip, loudness });
    }
    if let Some(video) = &arguments.video {
        let each = Picture::ALL[number % Picture::ALL.len()];
        let named = if video == "each" { Some(each) } else { None };
        let clip =
            match named.or_else(|| Picture::ALL.iter().copied().find(|picture| picture.name() == video)) {
                Some(picture) => picture.clip(),
                None => VideoClip::from_ivf(video, &read(video)?),
            };
        let clip = clip.map_err(|error| error.to_string())?;
        config.publications.push(Publication::Video { source: Source::Camera, clip });
    }
    for text in &arguments.audio_slot {
        config.audio_slots.push(slot_source(text, Source::Microphone)?);
    }
    for text in &arguments.video_slot {
        config.video_slots.push(slot_source(text, Source::Camera)?);
    }
    for label in &arguments.channel {
        let mut channel = Channel::reliable(label);
        channel.echo = arguments.echo;
        channel.send_every = arguments.send_every.map(Duration::from_millis);
        config.channels.push(channel);
    }
    if config.way == Way::Whep && config.audio_slots.is_empty() && config.video_slots.is_empty() {
        config.audio_slots.push(None);
        config.video_slots.push(None);
    }
    Ok(config)
}

fn slot_source(text: &str, source: Source) -> Result<Option<SlotSource>, String> {
    if text == "none" {
        return Ok(None);
    }
    let (kind, value) = text.split_once(':').ok_or_else(|| format!("{text}: not a source"))?;
    let number: u32 = value.parse().map_err(|_| format!("{value}: not a number"))?;
    match kind {
        "speaker" => u8::try_from(number)
            .map(|speaker| Some(SlotSource::Speaker { speaker }))
            .map_err(|_| format!("{value}: no such rank")),
        "track" => Ok(Some(SlotSource::Track { track: TrackId(number) })),
        "participant" => Ok(Some(SlotSource::Participant { participant: ParticipantNumber(number), source })),
        "screen" => Ok(Some(SlotSource::Participant {
            participant: ParticipantNumber(number),
            source: Source::Screen,
        })),
        _ => Err(format!("{text}: not a source")),
    }
}

fn read(path: &str) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{path}: {error}"))
}

#[expect(clippy::print_stderr, reason = "a command-line program tells its user what went wrong")]
fn complain(problem: &str) {
    eprintln!("patchbay-peer: {problem}");
}
