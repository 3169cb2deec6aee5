//! Peers whose network lets no UDP through.

use std::time::Duration;

use patchbay_e2e::{Mode, Outcome, Server, figure, until};
use patchbay_peer::{Loudness, Peer, Picture, Publication};
use patchbay_protocol::MediaKind;

const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) async fn a_call_without_udp(mode: Mode) -> Outcome {
    let mut server = Server::start(mode, "without-udp").await?;
    let config = |identity, over_tcp| -> Result<_, patchbay_peer::PeerError> {
        let mut config = server
            .peer("tcp", identity)
            .publish(Publication::microphone(Some(Loudness::constant(25)))?)
            .publish(Publication::camera(Picture::Ball)?)
            .hear(2)
            .see(2);
        config.over_tcp = over_tcp;
        // A node of its own announces no loopback, and the peer's stack connects from one of its candidates' addresses only.
        if mode == Mode::TwoProcesses {
            config.bind = [0, 0, 0, 0].into();
        }
        Ok(config)
    };
    // Two behind firewalls, and one who is not.
    let mut peers = Vec::new();
    for (identity, over_tcp) in [("ada", true), ("ben", true), ("cleo", false)] {
        peers.push(Peer::join(config(identity, over_tcp)?).await?);
    }
    for peer in &peers {
        let stats = peer
            .wait(PATIENCE, "decodable frames and audio of both others", |stats| {
                stats.slots_of(MediaKind::Audio).all(|slot| slot.frames >= 50)
                    && stats.slots_of(MediaKind::Video).all(|slot| slot.frames >= 20)
            })
            .await?;
        assert!(stats.slots.iter().all(|slot| slot.lost == 0), "{:?}", stats.slots);
        assert_eq!(stats.srtp_profile.as_deref(), Some("AEAD_AES_128_GCM"));
    }
    let first = peers[1].stats().slots.iter().filter_map(|slot| slot.first_frame_ms).min();
    if mode == Mode::Embedded {
        figure("tcp_first_frame_headless_ms", first.ok_or("no frame")?, "ms");
    }
    // Nodes report every 5 s.
    until(PATIENCE, "two transports on TCP", || async {
        (server.metric("patchbay_sfu_transports_on_tcp").await.ok()? == 2.0).then_some(())
    })
    .await?;
    for peer in &peers {
        peer.leave().await?;
    }
    until(PATIENCE, "no connection left", || async {
        (server.metric("patchbay_sfu_tcp_connections").await.ok()? == 0.0).then_some(())
    })
    .await?;
    assert_eq!(server.metric("patchbay_sfu_tcp_violations_total").await?, 0.0);
    server.check()?;
    Ok(())
}
