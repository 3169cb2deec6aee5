//! Joining: media both ways, and how soon.

use std::time::Duration;

use patchbay_e2e::{Mode, Outcome, Server, figure, median};
use patchbay_peer::{Loudness, Peer, Picture, Publication};
use patchbay_protocol::{MediaKind, SlotSource, Source};

const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) async fn two_peers_see_and_hear_each_other(mode: Mode) -> Outcome {
    let mut server = Server::start(mode, "two-peers").await?;
    let config = |identity| -> Result<_, patchbay_peer::PeerError> {
        Ok(server
            .peer("two", identity)
            .publish(Publication::microphone(Some(Loudness::constant(25)))?)
            .publish(Publication::camera(Picture::Ball)?)
            .hear(1)
            .see(1))
    };
    let ada = Peer::join(config("ada")?).await?;
    let ben = Peer::join(config("ben")?).await?;
    for (peer, other) in [(&ada, &ben), (&ben, &ada)] {
        let number = other.stats().participant;
        let stats = peer
            .wait(PATIENCE, "20 decodable frames and 50 audio packets of the other", |stats| {
                let heard =
                    stats.slots_of(MediaKind::Audio).all(|slot| slot.frames >= 50 && slot.csrc == number);
                let seen =
                    stats.slots_of(MediaKind::Video).all(|slot| slot.frames >= 20 && slot.csrc == number);
                heard && seen
            })
            .await?;
        assert_eq!(stats.offers_made, 1);
        assert_eq!(stats.srtp_profile.as_deref(), Some("AEAD_AES_128_GCM"), "the peer offers GCM");
        for slot in &stats.slots {
            assert_eq!((slot.lost, slot.duplicates), (0, 0), "{slot:?}");
        }
        let entry = stats.roster_entry(&other.stats().identity).cloned();
        assert_eq!(entry.map(|entry| entry.sources), Some(vec![Source::Microphone, Source::Camera]));
    }
    ada.leave().await?;
    ben.leave().await?;
    server.check()?;
    Ok(())
}

pub(crate) async fn a_late_joiner_sees_a_frame_at_once(mode: Mode) -> Outcome {
    let mut server = Server::start(mode, "late-joiner").await?;
    let publisher = Peer::join(
        server
            .peer("late", "early-bird")
            .publish(Publication::microphone(Some(Loudness::constant(25)))?)
            .publish(Publication::camera(Picture::Ball)?),
    )
    .await?;
    publisher.connected().await?;
    let participant = publisher.stats().participant.ok_or("no number")?;
    publisher
        .wait(PATIENCE, "the publisher's first second", |stats| {
            stats.publication(Source::Camera).is_some_and(|camera| camera.frames > 30)
        })
        .await?;
    let mut times = Vec::new();
    for round in 0..7 {
        let mut config = server.peer("late", &format!("late-{round}"));
        config.video_slots.push(Some(SlotSource::Participant { participant, source: Source::Camera }));
        config.audio_slots.push(Some(SlotSource::Speaker { speaker: 1 }));
        let peer = Peer::join(config).await?;
        let stats = peer
            .wait(PATIENCE, "the first frame", |stats| {
                stats.slots.iter().all(|slot| slot.first_frame_ms.is_some())
            })
            .await?;
        times.extend(stats.slots_of(MediaKind::Video).filter_map(|slot| slot.first_frame_ms));
        peer.leave().await?;
    }
    let middle = median(times.clone());
    let name = match mode {
        Mode::Embedded => "late_join_first_frame_headless_ms",
        Mode::TwoProcesses => "late_join_first_frame_headless_two_processes_ms",
    };
    figure(name, middle, "ms");
    // The figure is what is judged; here only that nobody waits for the publisher's next regular keyframe.
    assert!(middle <= 2_000, "first frames after {times:?} ms");
    server.check()?;
    Ok(())
}
