//! Paths: one that changes, one that loses.

use std::time::Duration;

use patchbay_e2e::{Mode, Outcome, Relay, Server};
use patchbay_peer::{Loudness, Peer, Picture, Publication};
use patchbay_protocol::{MediaKind, Source};

const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) async fn ice_restart_keeps_tracks_and_slots(mode: Mode) -> Outcome {
    let mut server = Server::start(mode, "ice-restart").await?;
    let config = |identity| -> Result<_, patchbay_peer::PeerError> {
        Ok(server
            .peer("restart", identity)
            .publish(Publication::microphone(Some(Loudness::constant(25)))?)
            .publish(Publication::camera(Picture::Ball)?)
            .hear(1)
            .see(1))
    };
    let ada = Peer::join(config("ada")?).await?;
    let ben = Peer::join(config("ben")?).await?;
    for peer in [&ada, &ben] {
        peer.wait(PATIENCE, "media", |stats| stats.slots.iter().all(|slot| slot.frames > 20)).await?;
    }
    let tracks = |peer: &Peer| peer.stats().publications.iter().map(|track| track.track).collect::<Vec<_>>();
    let ssrcs = |peer: &Peer| peer.stats().slots.iter().map(|slot| slot.ssrc).collect::<Vec<_>>();
    let before = (tracks(&ada), ssrcs(&ada));

    ada.restart_ice().await?;
    for peer in [&ada, &ben] {
        let frames: Vec<u64> = peer.stats().slots.iter().map(|slot| slot.frames).collect();
        peer.wait(PATIENCE, "media after the restart", |stats| {
            stats.slots.iter().zip(&frames).all(|(slot, frames)| slot.frames > frames + 60)
        })
        .await?;
    }
    assert_eq!((tracks(&ada), ssrcs(&ada)), before, "the same tracks and slots");
    assert_eq!(ada.stats().offers_made, 2);
    assert_eq!(ben.stats().offers_made, 1);
    assert_eq!(ben.stats().slots.iter().map(|slot| slot.csrcs.len()).max(), Some(1));
    server.check()?;
    Ok(())
}

pub(crate) async fn video_goes_on_through_loss(mode: Mode) -> Outcome {
    let mut server = Server::start(mode, "loss").await?;
    let watcher = Peer::join(server.peer("loss", "watcher").hear(1).see(1)).await?;
    watcher.connected().await?;
    let address = watcher.server_addresses().first().copied().ok_or("no candidate")?;
    let relay = Relay::open().await?;
    relay.lead_to(address);
    let publisher = Peer::join(
        server
            .peer("loss", "publisher")
            .publish(Publication::microphone(Some(Loudness::constant(25)))?)
            .publish(Publication::camera(Picture::Ball)?)
            .through(relay.address()),
    )
    .await?;
    watcher
        .wait(PATIENCE, "frames without loss", |stats| stats.slots.iter().all(|slot| slot.frames > 20))
        .await?;
    relay.lose_every(20);
    let before = watcher.stats().slots_of(MediaKind::Video).map(|slot| slot.frames).sum::<u64>();
    let stats = watcher
        .wait(PATIENCE, "200 frames through loss", |stats| {
            stats.slots_of(MediaKind::Video).all(|slot| slot.frames > before + 200)
        })
        .await?;
    relay.lose_every(0);
    let nacks = publisher.stats().publication(Source::Camera).map(|camera| camera.nacks);
    assert!(nacks.is_some_and(|nacks| nacks > 0), "the SFU asks for what is missing: {stats:?}");
    server.check()?;
    Ok(())
}
