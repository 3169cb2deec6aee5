//! Leaving: by word, by silence, by joining again.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use patchbay_e2e::{Mode, Outcome, Server, figure, peer_program};
use patchbay_peer::{Loudness, Peer, Picture, Publication};
use patchbay_protocol::{MediaKind, SlotPause, SlotSource, Source};

const PATIENCE: Duration = Duration::from_secs(20);
/// What the tests promise; the SFU's own limit is 15 s of silence.
const NOTICED_WITHIN: Duration = Duration::from_secs(20);

/// A child process that ends with the test.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) async fn a_publisher_that_dies_silently_is_gone_within_20_s(mode: Mode) -> Outcome {
    let mut server = Server::start(mode, "silence").await?;
    let mut config = server.peer("silence", "watcher").hear(1).see(1);
    config.video_slots.push(None);
    let watcher = Peer::join(config).await?;
    watcher.connected().await?;
    let arguments =
        ["--server", server.url(), "--room", "silence", "--identity", "doomed", "--duration", "0"];
    let doomed = Command::new(peer_program()?)
        .args(arguments)
        .args(["--audio", "tone", "--video", "ball"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()?;
    let doomed = Program(doomed);
    let stats = watcher
        .wait(PATIENCE, "the doomed one's media", |stats| {
            stats.roster_entry("doomed").is_some()
                && stats.slots_of(MediaKind::Audio).any(|slot| slot.frames > 20)
                && stats.slots_of(MediaKind::Video).any(|slot| slot.frames > 20)
        })
        .await?;
    let participant = stats.roster_entry("doomed").map(|entry| entry.number).ok_or("no entry")?;
    let pinned = watcher.slot_mid(MediaKind::Video, 1)?;
    watcher.set_slot(&pinned, Some(SlotSource::Participant { participant, source: Source::Camera })).await?;
    watcher
        .wait(PATIENCE, "the pinned slot", |stats| stats.slot(&pinned).is_some_and(|slot| slot.frames > 20))
        .await?;

    // Stopped, not ended: its sockets stay open and nobody is told.
    assert!(Command::new("kill").args(["-STOP", &doomed.0.id().to_string()]).status()?.success());
    let since = Instant::now();
    watcher
        .wait(NOTICED_WITHIN, "the roster and the slots to forget it", |stats| {
            let pinned = stats.slot(&pinned);
            stats.roster_entry("doomed").is_none()
                && stats.slots.iter().all(|slot| slot.participant.is_none())
                && pinned.is_some_and(|slot| slot.paused == Some(SlotPause::NoSource))
        })
        .await?;
    if mode == Mode::Embedded {
        figure("silent_death_noticed_s", format!("{:.1}", since.elapsed().as_secs_f64()), "s");
    }
    server.check()?;
    Ok(())
}

pub(crate) async fn a_rejoin_replaces_the_old_participant(mode: Mode) -> Outcome {
    let mut server = Server::start(mode, "rejoin").await?;
    let watcher = Peer::join(server.peer("rejoin", "watcher").hear(1).see(1)).await?;
    let publisher = || -> Result<_, patchbay_peer::PeerError> {
        Ok(server
            .peer("rejoin", "ada")
            .publish(Publication::microphone(Some(Loudness::constant(20)))?)
            .publish(Publication::camera(Picture::Bars)?))
    };
    let first = Peer::join(publisher()?).await?;
    first.connected().await?;
    let old = first.stats().participant;
    let seen = |number| {
        move |stats: &patchbay_peer::PeerStats| {
            stats.slots_of(MediaKind::Video).any(|slot| slot.csrc == number && slot.frames > 0)
        }
    };
    watcher.wait(PATIENCE, "the first ada", seen(old)).await?;
    let second = Peer::join(publisher()?).await?;
    let new = second.stats().participant;
    assert_ne!(old, new, "a number is never used twice");
    let stats = watcher.wait(PATIENCE, "the second ada", seen(new)).await?;
    let adas: Vec<_> = stats.roster.iter().filter(|entry| entry.identity == "ada").collect();
    assert_eq!(adas.len(), 1, "{adas:?}");
    assert_eq!(Some(adas[0].number), new);
    first.wait(PATIENCE, "the first to be told", |stats| stats.ended.is_some()).await?;
    server.check()?;
    Ok(())
}

pub(crate) async fn leaving_is_immediate(mode: Mode) -> Outcome {
    let mut server = Server::start(mode, "leaving").await?;
    let watcher = Peer::join(server.peer("leaving", "watcher").hear(1)).await?;
    let guest = Peer::join(
        server.peer("leaving", "guest").publish(Publication::microphone(Some(Loudness::constant(20)))?),
    )
    .await?;
    watcher
        .wait(PATIENCE, "the guest's voice", |stats| stats.slots.iter().all(|slot| slot.frames > 10))
        .await?;
    guest.leave().await?;
    watcher
        .wait(Duration::from_secs(2), "the guest to be gone", |stats| {
            stats.roster.is_empty() && stats.slots.iter().all(|slot| slot.participant.is_none())
        })
        .await?;
    server.check()?;
    Ok(())
}
