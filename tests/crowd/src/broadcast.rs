//! One room of a thousand: when the last one has a line, and what one who reads nothing does to the others.

use std::net::SocketAddr;
use std::time::Duration;

use patchbay_protocol::ClientRequest;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::args::Arguments;
use crate::figure::{self, millis, percentile};
use crate::server::Server;
use crate::session::{Heard, Session};

const ROOM: &str = "large";
/// Lines are said so far apart.
const PAUSE: Duration = Duration::from_millis(200);
/// A line that takes longer has not come.
const PATIENCE: Duration = Duration::from_secs(20);
/// The longest text there is, and how often a history of it fills every buffer between server and client.
const LONG_TEXT: usize = 4_000;
const LONG_LINES: usize = 50;
const HISTORIES: usize = 30;

/// Somebody has a line: its text, and when it came.
type Arrivals = mpsc::UnboundedReceiver<(String, Instant)>;

pub(crate) async fn run(arguments: &Arguments) -> Result<(), String> {
    let count = arguments.audience;
    let rates = [
        ["--joins-per-second", "1000000"],
        ["--joins-burst", "1000000"],
        ["--messages-per-second", "1000000"],
        ["--messages-burst", "1000000"],
        ["--bytes-per-second", "1000000000"],
        ["--bytes-burst", "1000000000"],
        // One who reads nothing comes on top.
        ["--max-participants", "1100"],
    ];
    let server = Server::start(&rates.concat()).await?;
    // Lines that one who comes later asks for again and again. The room is small yet.
    let mut speaker = Session::begin(server.address).await?;
    speaker.join(ROOM, "speaker".into()).await?;
    for _ in 0..LONG_LINES {
        speaker.ask(ClientRequest::Chat { text: "x".repeat(LONG_TEXT), message_id: None }).await?;
    }
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    let began = Instant::now();
    let mut audience = tokio::select! {
        audience = gather(server.address, count - 1, arrived) => audience?,
        // It hears them come, and pings.
        Err(error) = speaker.read_until(began + PATIENCE * 10) => return Err(error),
    };
    figure::note(format_args!("{count} in one room after {:.1} s", began.elapsed().as_secs_f64()));

    let mut alone = say(&mut speaker, &mut arrivals, count, arguments.lines, "alone").await?;
    let mut last: Vec<Duration> =
        alone.iter().map(|line| line.iter().copied().max().unwrap_or_default()).collect();
    figure::print("signaling_broadcast_1000_ms", millis(percentile(&mut last, 50)), "ms");

    let mut stuck = Session::begin_narrow(server.address).await?;
    stuck.join(ROOM, "stuck".into()).await?;
    let port = stuck.port;
    for _ in 0..HISTORIES {
        stuck.send(ClientRequest::ChatHistory { before: None, limit: None }).await?;
    }
    let mut stuck = tokio::spawn(stuck.only_ping());
    // It is stuck once the kernel takes nothing more for it.
    let mut unread = 0;
    loop {
        sleep(Duration::from_millis(500)).await;
        let now = server.unread_bytes(port)?;
        if now > 0 && now == unread {
            break;
        }
        unread = now;
    }
    let mut beside = say(&mut speaker, &mut arrivals, count, arguments.lines, "beside").await?;
    let still = server.unread_bytes(port)?;
    if still < unread || stuck.is_finished() {
        return Err(format!("the one that reads nothing is not stuck: {unread} bytes before, {still} after"));
    }
    if let Some(ended) = audience.try_join_next() {
        return Err(format!("somebody did not stay: {ended:?}"));
    }
    figure::note(format_args!("{still} bytes wait in the kernel for the one that reads nothing"));
    stuck.abort();
    let _ = (&mut stuck).await;
    let (without, with) = (p99(&mut alone), p99(&mut beside));
    figure::note(format_args!("p99 {:.1} ms without, {:.1} ms with it", millis(without), millis(with)));
    figure::print("signaling_broadcast_1000_p99_ms", millis(without), "ms");
    figure::print("signaling_stuck_p99_ratio", with.as_secs_f64() / without.as_secs_f64().max(1e-9), "");
    Ok(())
}

/// Brings listeners into the room.
async fn gather(
    server: SocketAddr,
    count: usize,
    arrived: mpsc::UnboundedSender<(String, Instant)>,
) -> Result<JoinSet<String>, String> {
    let mut audience = JoinSet::new();
    for number in 0..count {
        let mut session = Session::begin(server).await?;
        session.join(ROOM, format!("listener {number}")).await?;
        audience.spawn(listen(session, arrived.clone()));
    }
    Ok(audience)
}

/// Reports every line that comes, until the connection ends.
async fn listen(mut session: Session, arrived: mpsc::UnboundedSender<(String, Instant)>) -> String {
    loop {
        match session.next().await {
            Ok(Heard::Chat(text)) => drop(arrived.send((text, Instant::now()))),
            Ok(_) => {}
            Err(error) => return error,
        }
    }
}

fn p99(lines: &mut [Vec<Duration>]) -> Duration {
    let mut all: Vec<Duration> = lines.iter().flatten().copied().collect();
    percentile(&mut all, 99)
}

/// Says lines, each when the one before has reached everybody; returns how long each took to each listener.
async fn say(
    speaker: &mut Session,
    arrivals: &mut Arrivals,
    count: usize,
    lines: usize,
    name: &str,
) -> Result<Vec<Vec<Duration>>, String> {
    let mut all = Vec::new();
    for number in 0..lines {
        let said = format!("{name} {number}");
        let began = Instant::now();
        speaker.ask(ClientRequest::Chat { text: said.clone(), message_id: None }).await?;
        let mut times = Vec::new();
        while times.len() + 1 < count {
            let arrival = timeout(PATIENCE, arrivals.recv()).await;
            let (text, at) = arrival
                .map_err(|_| format!("\"{said}\" reached {} of {}", times.len(), count - 1))?
                .ok_or("nobody listens")?;
            if text != said {
                return Err(format!("\"{text}\" came instead of \"{said}\""));
            }
            times.push(at.saturating_duration_since(began));
        }
        all.push(times);
        speaker.read_until(Instant::now() + PAUSE).await?;
    }
    Ok(all)
}
