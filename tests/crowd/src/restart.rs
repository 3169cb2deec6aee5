//! Signaling is killed under two thousand sessions, and comes back: everybody is there again, nobody all at once.

use std::net::SocketAddr;
use std::time::Duration;

use patchbay_protocol::{ClientRequest, Resume};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::args::Arguments;
use crate::figure::{self, millis, percentile};
use crate::server::Server;
use crate::session::Session;

/// How many are in a room.
const IN_A_ROOM: usize = 10;
/// How long signaling is away.
const AWAY: Duration = Duration::from_secs(3);
/// All must be back within this time.
const BACK_WITHIN: Duration = Duration::from_secs(30);
/// Changes are stored with the node within a tenth of a second or so.
const STORED_AFTER: Duration = Duration::from_secs(1);
/// The policy of the SDK: full jitter below a ceiling that doubles.
const BASE: Duration = Duration::from_millis(500);
const CAP: Duration = Duration::from_millis(4_000);

/// How one came back.
struct Return {
    resume: Resume,
    session: Session,
    attempts: Vec<Instant>,
    at: Instant,
}

pub(crate) async fn run(arguments: &Arguments) -> Result<(), String> {
    let count = arguments.returning;
    let rooms = count.div_ceil(IN_A_ROOM);
    // The limits are those of every server: so many may be behind one NAT.
    let mut server = Server::start(&["--joins-burst", "5000"]).await?;
    let mut coming_back = JoinSet::new();
    for number in 0..count {
        let mut session = Session::begin(server.address).await?;
        session.join(&format!("restart-{}", number % rooms), format!("guest {number}")).await?;
        coming_back.spawn(wait_and_return(session, server.address));
    }
    sleep(STORED_AFTER).await;

    server.kill()?;
    sleep(AWAY).await;
    server.restart()?;
    let restarted = Instant::now();
    let mut returns = Vec::with_capacity(count);
    while let Some(back) = timeout(BACK_WITHIN + AWAY, coming_back.join_next())
        .await
        .map_err(|_| format!("{} of {count} are back after {BACK_WITHIN:?}", returns.len()))?
    {
        returns.push(back.map_err(|error| error.to_string())??);
    }
    let mut times: Vec<Duration> =
        returns.iter().map(|back| back.at.saturating_duration_since(restarted)).collect();
    let worst = percentile(&mut times, 100);
    if worst > BACK_WITHIN {
        return Err(format!("the last was back after {worst:?}"));
    }

    // They are the same sessions, in working order, and nobody has seen anybody go.
    let (mut attempts, mut in_vain) = (Vec::new(), 0);
    for back in &mut returns {
        if back.session.resume.session != back.resume.session {
            return Err("a session came back as another".into());
        }
        // Those that came to nobody cost nobody.
        let heard = back.attempts.iter().filter_map(|at| at.checked_duration_since(restarted));
        let before = attempts.len();
        attempts.extend(heard);
        in_vain += back.attempts.len() - (attempts.len() - before);
        let update =
            ClientRequest::Update { name: None, metadata: None, attributes: None, hand_raised: Some(true) };
        back.session.ask(update).await?;
        if back.session.leavings > 0 {
            return Err("somebody was told that another left".into());
        }
    }
    let rebuilt = server.metric("patchbay_resumes_total", "outcome=\"rebuilt\"").await?;
    let others = server.metric("patchbay_resumes_total", "").await? - rebuilt;
    figure::note(format_args!("{rebuilt} came back by the server's own count, {others} otherwise"));
    // A session whose reply was lost on the way asks twice.
    if others > 0.0 || rebuilt < count as f64 {
        return Err("a session was refused".into());
    }
    let busiest = busiest_within(&mut attempts, Duration::from_millis(100));
    figure::note(format_args!(
        "{in_vain} attempts while nobody was there, {} after; half were back after {:.0} ms",
        attempts.len(),
        millis(percentile(&mut times, 50))
    ));
    figure::print("signaling_2000_attempts_busiest_100ms", busiest as f64, "attempts");
    figure::print("signaling_2000_back_ms", millis(worst), "ms");
    Ok(())
}

/// Reads until the connection breaks, and then tries until the session is taken up.
async fn wait_and_return(mut session: Session, server: SocketAddr) -> Result<Return, String> {
    while session.next().await.is_ok() {}
    let resume = session.resume.clone();
    drop(session);
    let mut attempts = Vec::new();
    loop {
        let ceiling = CAP.min(BASE * 2_u32.pow(u32::try_from(attempts.len()).unwrap_or(30).min(10)));
        sleep(ceiling.mul_f64(rand::random())).await;
        attempts.push(Instant::now());
        match Session::take_up(server, resume.clone()).await {
            Ok((session, Some(room))) => {
                let here = room.participants.len() + 1;
                if here != IN_A_ROOM {
                    return Err(format!("{here} of {IN_A_ROOM} are in the room that came back"));
                }
                return Ok(Return { resume, session, attempts, at: Instant::now() });
            }
            Ok((_, None)) => return Err("a session of another life came back without its room".into()),
            Err(error) if error.starts_with("refused") => return Err(error),
            // Nobody listens yet.
            Err(_) => {}
        }
    }
}

/// The most that fall into any span of such a length. Sorts them.
fn busiest_within(times: &mut [Duration], span: Duration) -> usize {
    times.sort_unstable();
    let mut from = 0;
    let mut most = 0;
    for (to, at) in times.iter().enumerate() {
        while times.get(from).is_some_and(|first| *at - *first > span) {
            from += 1;
        }
        most = most.max(to + 1 - from);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_span() {
        let mut times = [500, 0, 90, 101, 150, 700].map(Duration::from_millis);
        assert_eq!(busiest_within(&mut times, Duration::from_millis(100)), 3);
        assert_eq!(busiest_within(&mut [], Duration::from_millis(100)), 0);
    }
}
