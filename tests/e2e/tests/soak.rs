//! A room with people coming and going for minutes: nothing may be left of those who went. Runs with `tests/run --long`;
//! `PATCHBAY_SOAK_S` says for how long, and without it this is a few seconds of the same.

use std::time::{Duration, Instant};

use patchbay_e2e::{Mode, Outcome, Server, figure, until};
use patchbay_peer::{Channel, Loudness, Peer, Picture, Publication};
use patchbay_protocol::MediaKind;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const PATIENCE: Duration = Duration::from_secs(30);
/// Guests at a time.
const GUESTS: usize = 6;
/// What may be kept of each who went, up to bounds that this test does not reach: the answer to its offer in the node's log of
/// commands (16 MiB in all), its timeline (1,000 joins), and what the journal says of it. A transport that is left over is 150 KiB.
const KEPT_KIB: usize = 48;
/// What the allocator may take at once, however few joins there were.
const SLACK_KIB: usize = 1_024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_of_those_who_went() -> Outcome {
    let seconds = std::env::var("PATCHBAY_SOAK_S").ok().and_then(|text| text.parse().ok()).unwrap_or(15);
    let mut server = Server::start(Mode::Embedded, "soak").await?;
    let host = Peer::join(
        server
            .peer("soak", "host")
            .publish(Publication::microphone(Some(Loudness::constant(20)))?)
            .publish(Publication::camera(Picture::Ball)?)
            .hear(2)
            .see(2),
    )
    .await?;
    host.connected().await?;

    let mut random = StdRng::seed_from_u64(0x50ac);
    let mut guests = Vec::new();
    let (mut number, mut first) = (0, None);
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        if guests.len() == GUESTS {
            let guest: Peer = guests.swap_remove(random.random_range(0..guests.len()));
            if random.random_bool(0.7) {
                guest.leave().await?;
            } else if let Some(signaling) = guest.signaling() {
                // Without a word: the connection just ends.
                signaling.close();
            }
            if number >= 4 * GUESTS && first.is_none() {
                first = Some((number, server.resident_kib()?));
            }
        }
        let guest = Peer::join(
            server
                .peer("soak", &format!("guest-{number}"))
                .publish(Publication::microphone(Some(Loudness::constant(random.random_range(15..60))))?)
                .publish(Publication::camera(Picture::ALL[number % Picture::ALL.len()])?)
                .hear(2)
                .see(2)
                .channel(Channel::reliable("soak")),
        )
        .await?;
        guest
            .wait(PATIENCE, "the guest to see somebody", |stats| {
                stats.slots_of(MediaKind::Video).any(|slot| slot.frames > 3)
            })
            .await?;
        guests.push(guest);
        number += 1;
    }
    for guest in guests {
        guest.leave().await?;
    }
    host.wait(PATIENCE, "an empty room", |stats| stats.roster.is_empty()).await?;
    until(PATIENCE, "one transport to be left", || async {
        server.metric("patchbay_sfu_transports").await.is_ok_and(|count| count == 1.0).then_some(())
    })
    .await?;
    figure("soak_joins", number, "joins");
    if let Some((joins, kib)) = first {
        let (joins, grown) = (number - joins, server.resident_kib()?.saturating_sub(kib) as usize);
        figure("soak_growth_kib_per_join", format!("{:.1}", grown as f64 / joins.max(1) as f64), "KiB");
        assert!(grown < SLACK_KIB + KEPT_KIB * joins, "{grown} KiB more after {joins} joins");
    }
    server.check()?;
    Ok(())
}
