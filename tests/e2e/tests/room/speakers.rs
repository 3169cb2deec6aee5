//! Who is heard and who is seen, when there are many.

use std::collections::BTreeSet;
use std::time::Duration;

use patchbay_e2e::{Mode, Outcome, Server, figure};
use patchbay_peer::{Loudness, Peer, PeerStats, Picture, Publication, Way};
use patchbay_protocol::{MediaKind, ParticipantNumber, SlotSource, Source};

const PATIENCE: Duration = Duration::from_secs(40);
const PEERS: usize = 20;
const VOICES: usize = 3;
const FACES: usize = 4;

/// The participants whose audio flows in a peer's slots right now.
fn voices(stats: &PeerStats) -> BTreeSet<ParticipantNumber> {
    stats.slots_of(MediaKind::Audio).filter_map(|slot| slot.csrc).collect()
}

pub(crate) async fn twenty_peers_hear_the_loudest_and_switch_faces_in_one_offer(mode: Mode) -> Outcome {
    let mut server = Server::start(mode, "twenty").await?;
    let loudness: Vec<Loudness> = (0..PEERS).map(|_| Loudness::silent()).collect();
    let mut peers = Vec::new();
    for (number, level) in loudness.iter().enumerate() {
        let config = server
            .peer("twenty", &format!("peer-{number}"))
            .publish(Publication::microphone(Some(level.clone()))?)
            .publish(Publication::camera(Picture::ALL[number % Picture::ALL.len()])?)
            .hear(VOICES as u8);
        let mut config = config;
        config.video_slots = vec![None; FACES];
        let peer = Peer::join(config).await?;
        peer.connected().await?;
        peers.push(peer);
    }
    let numbers: Vec<ParticipantNumber> = peers.iter().filter_map(|peer| peer.stats().participant).collect();
    assert_eq!(numbers.len(), PEERS);

    // The loudest three are heard by everybody else; then three others are.
    for loudest in [[0, 1, 2], [7, 8, 9]] {
        for (number, level) in loudness.iter().enumerate() {
            level.set(if loudest.contains(&number) { 15 + number as u8 } else { 127 });
        }
        let expected: BTreeSet<_> = loudest.iter().map(|at| numbers[*at]).collect();
        for (at, peer) in peers.iter().enumerate().filter(|(at, _)| !loudest.contains(at)) {
            peer.wait(PATIENCE, &format!("peer {at} to hear {expected:?}"), |stats| {
                voices(stats) == expected
            })
            .await?;
        }
        for at in loudest {
            let others: BTreeSet<_> =
                expected.iter().copied().filter(|number| *number != numbers[at]).collect();
            peers[at]
                .wait(PATIENCE, "a speaker to hear the others", |stats| others.is_subset(&voices(stats)))
                .await?;
            assert!(!voices(&peers[at].stats()).contains(&numbers[at]), "nobody hears himself");
        }
    }

    // Everybody looks at four others, then at four more.
    for round in 0..2 {
        for (at, peer) in peers.iter().enumerate() {
            for face in 0..FACES {
                let participant = numbers[(at + 1 + round * FACES + face) % PEERS];
                let source = SlotSource::Participant { participant, source: Source::Camera };
                peer.set_slot(&peer.slot_mid(MediaKind::Video, face)?, Some(source)).await?;
            }
        }
        for (at, peer) in peers.iter().enumerate() {
            let expected: Vec<_> =
                (0..FACES).map(|face| numbers[(at + 1 + round * FACES + face) % PEERS]).collect();
            let switched = peer
                .wait(PATIENCE, &format!("peer {at} to see {expected:?}"), |stats| {
                    stats
                        .slots_of(MediaKind::Video)
                        .zip(&expected)
                        .all(|(slot, number)| slot.csrc == Some(*number))
                })
                .await?;
            let before: Vec<u64> = switched.slots_of(MediaKind::Video).map(|slot| slot.frames).collect();
            peer.wait(PATIENCE, "ten more frames of each", |stats| {
                stats.slots_of(MediaKind::Video).zip(&before).all(|(slot, before)| slot.frames >= before + 10)
            })
            .await?;
        }
    }

    let offers = peers.iter().map(|peer| peer.stats().offers_made).max().unwrap_or(0);
    if mode == Mode::Embedded {
        figure("twenty_peers_offers_per_peer", offers, "offers");
    }
    assert_eq!(offers, 1);
    for peer in &peers {
        let stats = peer.stats();
        assert_eq!(stats.roster.len(), PEERS - 1);
        let lost: u64 = stats.slots.iter().map(|slot| slot.lost).sum();
        let received: u64 = stats.slots.iter().map(|slot| slot.packets).sum();
        assert!(lost * 100 <= received, "{} lost {lost} of {received}", stats.identity);
    }
    server.check()?;
    Ok(())
}

pub(crate) async fn a_whip_publisher_without_levels_is_heard(mode: Mode) -> Outcome {
    let mut server = Server::start(mode, "whip").await?;
    let listener = Peer::join(server.peer("whip", "listener").hear(2).see(2)).await?;
    let quiet =
        Peer::join(server.peer("whip", "quiet").publish(Publication::microphone(Some(Loudness::silent()))?))
            .await?;
    quiet.connected().await?;
    let publisher = Peer::join(
        server
            .peer("whip", "broadcaster")
            .publish(Publication::microphone(None)?)
            .publish(Publication::camera(Picture::Red)?)
            .way(Way::Whip),
    )
    .await?;
    publisher.connected().await?;
    let stats = listener
        .wait(PATIENCE, "the broadcaster in the roster", |stats| stats.roster_entry("broadcaster").is_some())
        .await?;
    let number = stats.roster_entry("broadcaster").map(|entry| entry.number).ok_or("no entry")?;
    listener
        .wait(PATIENCE, "the broadcaster's voice and face", |stats| {
            let heard =
                stats.slots_of(MediaKind::Audio).any(|slot| slot.csrc == Some(number) && slot.frames > 50);
            let seen =
                stats.slots_of(MediaKind::Video).any(|slot| slot.csrc == Some(number) && slot.frames > 20);
            heard && seen
        })
        .await?;

    let mut config = server.peer("whip", "player").way(Way::Whep);
    config.whep_source = Some("participant:broadcaster".to_owned());
    config.audio_slots.push(None);
    config.video_slots.push(None);
    let player = Peer::join(config).await?;
    player.wait(PATIENCE, "WHEP frames", |stats| stats.slots.iter().all(|slot| slot.frames > 20)).await?;
    player.leave().await?;

    publisher.leave().await?;
    listener
        .wait(PATIENCE, "the broadcaster to be gone after DELETE", |stats| {
            stats.roster_entry("broadcaster").is_none()
        })
        .await?;
    server.check()?;
    Ok(())
}
