//! Ten thousand who do nothing: what each of them takes, and what all of them do to the processor.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::args::Arguments;
use crate::figure;
use crate::server::Server;
use crate::session::Session;

/// Sessions that come before memory is measured first: what is made once is not theirs.
const WARM: usize = 50;
/// How many come at the same time.
const ABREAST: usize = 50;

pub(crate) async fn run(arguments: &Arguments) -> Result<(), String> {
    let count = arguments.sessions;
    let places = (count + 2 * WARM).to_string();
    let limits = ["--max-connections", &places, "--connections-per-address", &places];
    let rates = ["--joins-per-second", "1000000", "--joins-burst", "1000000"];
    let server = Server::start(&[&limits[..], &rates].concat()).await?;
    let mut crowd = JoinSet::new();
    enter(&server, &mut crowd, "warm", 0..WARM, WARM / 10).await?;
    let before = server.resident_bytes()?;
    let began = Instant::now();
    enter(&server, &mut crowd, "idle", 0..count, arguments.rooms).await?;
    let seconds = began.elapsed().as_secs_f64();
    figure::note(format_args!("{count} sessions in {} rooms came within {seconds:.1} s", arguments.rooms));
    // What is owed to those who came last is done after a round of pings.
    sleep_until(Instant::now() + Duration::from_secs(6)).await;

    let (cpu, began) = (server.cpu_seconds()?, Instant::now());
    let end = began + Duration::from_secs(arguments.seconds);
    tokio::select! {
        ended = crowd.join_next() => return Err(format!("somebody did not stay: {ended:?}")),
        () = sleep_until(end) => {}
    }
    let percent = 100.0 * (server.cpu_seconds()? - cpu) / began.elapsed().as_secs_f64();
    let bytes = (server.resident_bytes()? - before) / count as f64;
    let (sessions, rooms) =
        (server.metric("patchbay_sessions", "").await?, server.metric("patchbay_rooms", "").await?);
    if (sessions, rooms) != ((count + WARM) as f64, (arguments.rooms + WARM / 10) as f64) {
        return Err(format!("{sessions} sessions in {rooms} rooms are there"));
    }
    figure::print("signaling_session_bytes", bytes, "bytes");
    figure::print("signaling_idle_cpu_percent", percent, "%");
    Ok(())
}

/// Brings sessions into rooms, and has them read and ping until the crowd is dropped.
pub(crate) async fn enter(
    server: &Server,
    crowd: &mut JoinSet<Result<(), String>>,
    name: &'static str,
    numbers: std::ops::Range<usize>,
    rooms: usize,
) -> Result<(), String> {
    let mut coming = JoinSet::new();
    let mut numbers = numbers;
    loop {
        while coming.len() < ABREAST
            && let Some(number) = numbers.next()
        {
            let address = server.address;
            coming.spawn(async move {
                let mut session = Session::begin(address).await?;
                session.join(&format!("{name}-{}", number % rooms), format!("{name} {number}")).await?;
                Ok::<_, String>(session)
            });
        }
        let Some(came) = coming.join_next().await else { return Ok(()) };
        let mut session = came.map_err(|error| error.to_string())??;
        crowd.spawn(async move {
            loop {
                session.next().await?;
            }
        });
    }
}
