//! Requests and replies: how many a second, and how long one takes while the server does a quarter of what it can.

use std::time::Duration;

use patchbay_protocol::ClientRequest;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::args::Arguments;
use crate::figure::{self, percentile};
use crate::server::Server;
use crate::session::Session;

/// Each request is told to everybody else in its room.
const IN_A_ROOM: usize = 4;
const WARM: Duration = Duration::from_secs(1);
const MEASURED: Duration = Duration::from_secs(8);

pub(crate) async fn run(arguments: &Arguments) -> Result<(), String> {
    let count = arguments.asking;
    let rates = ["--messages-per-second", "10000000", "--messages-burst", "10000000"];
    let bytes = ["--bytes-per-second", "4000000000", "--bytes-burst", "4000000000"];
    let server = Server::start(&[rates, bytes].concat()).await?;
    let mut sessions = Vec::new();
    for number in 0..count {
        let mut session = Session::begin(server.address).await?;
        let room = format!("round-trip-{}", number / IN_A_ROOM);
        session.join(&room, format!("asker {number}")).await?;
        sessions.push(session);
    }
    let (sessions, times) = ask(sessions, None).await?;
    let per_second = times.len() as f64 / MEASURED.as_secs_f64();
    figure::print("signaling_round_trips_per_s", per_second, "1/s");

    let interval = Duration::from_secs_f64(4.0 * count as f64 / per_second.max(1.0));
    let (_, mut times) = ask(sessions, Some(interval)).await?;
    let load = times.len() as f64 / MEASURED.as_secs_f64();
    figure::note(format_args!("latency with {load:.0} round trips a second"));
    let micros = |value: Duration| value.as_secs_f64() * 1e6;
    figure::print("signaling_round_trip_p50_us", micros(percentile(&mut times, 50)), "us");
    figure::print("signaling_round_trip_p99_us", micros(percentile(&mut times, 99)), "us");
    Ok(())
}

/// Every session asks, one request after the other, or one in each interval; one that had to wait for the one before counts from when it was
/// due. Returns how long each took.
async fn ask(
    sessions: Vec<Session>,
    interval: Option<Duration>,
) -> Result<(Vec<Session>, Vec<Duration>), String> {
    let begin = Instant::now() + WARM;
    let end = begin + MEASURED;
    let mut askers = JoinSet::new();
    for mut session in sessions {
        askers.spawn(async move {
            let mut times = Vec::new();
            let mut due = Instant::now() + interval.unwrap_or_default().mul_f64(rand::random());
            let mut is_raised = false;
            while Instant::now() < end {
                let mut began = Instant::now();
                if let Some(interval) = interval {
                    if began < due {
                        session.read_until(due).await?;
                        began = Instant::now();
                    } else {
                        // The one before took so long.
                        began = due;
                    }
                    due += interval;
                }
                is_raised = !is_raised;
                let hand_raised = Some(is_raised);
                let update =
                    ClientRequest::Update { name: None, metadata: None, attributes: None, hand_raised };
                session.ask(update).await?;
                if began >= begin {
                    times.push(began.elapsed());
                }
            }
            Ok::<_, String>((session, times))
        });
    }
    let (mut sessions, mut all) = (Vec::new(), Vec::new());
    while let Some(asked) = askers.join_next().await {
        let (session, times) = asked.map_err(|error| error.to_string())??;
        sessions.push(session);
        all.extend(times);
    }
    Ok((sessions, all))
}
