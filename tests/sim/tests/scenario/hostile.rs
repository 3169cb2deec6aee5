//! An attacker who sees everything and can send anything from any address disturbs nobody.

use std::net::SocketAddr;

use patchbay_protocol::ParticipantNumber;
use patchbay_sim::{Plan, World, for_seeds};
use rand::{Rng, RngCore};

use crate::common::{ROOM, delay, everyone_sees_everyone, ms, of, s};

/// A ClientHello record as a stranger would begin a handshake (RFC 6347 §4.2.1): well formed, without a cookie.
fn client_hello(random: &mut impl RngCore) -> Vec<u8> {
    let mut body = vec![0xfe, 0xfd];
    let mut nonce = [0; 32];
    random.fill_bytes(&mut nonce);
    body.extend(nonce);
    body.extend([0, 0, 0, 2, 0xc0, 0x2b, 1, 0]);
    body.extend([0, 18, 0, 14, 0, 5, 0, 2, 0, 7, 0, 0, 10, 0, 4, 0, 2, 0, 23, 0]);
    let length = body.len() as u32;
    let [_, a, b, c] = length.to_be_bytes();
    let mut handshake = vec![1, a, b, c, 0, 0, 0, 0, 0, a, b, c];
    handshake.extend(body);
    let mut record = vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, random.next_u32() as u8];
    record.extend((handshake.len() as u16).to_be_bytes());
    record.extend(handshake);
    record
}

/// A binding request that carries a USERNAME somebody has seen, and an integrity that nobody has computed.
fn forged_check(seen: &[u8], random: &mut impl RngCore) -> Vec<u8> {
    // Without its FINGERPRINT, which is not a secret: the last 8 bytes of a browser's check.
    let mut forged = seen.get(..seen.len().saturating_sub(8)).unwrap_or_default().to_vec();
    let length = forged.len().saturating_sub(20) as u16;
    if let Some(bytes) = forged.get_mut(2..4) {
        bytes.copy_from_slice(&length.to_be_bytes());
    }
    if let Some(transaction) = forged.get_mut(8..20) {
        random.fill_bytes(transaction);
    }
    forged
}

fn is_check(datagram: &[u8]) -> bool {
    datagram.starts_with(&[0, 1])
}

/// Lets strangers' datagrams take longer than those they have overheard. Whoever outruns a check on its way can bind its own
/// address for as long as the next one takes, and nothing a lite agent may do prevents that.
fn place_strangers(world: &mut World) {
    for host in 1..STRANGERS {
        for port in STRANGER_PORTS {
            let server = world.server();
            world.network.set(SocketAddr::from(([10, 66, 0, host], port)), server, delay(30));
        }
    }
}

const STRANGERS: u8 = 20;
const STRANGER_PORTS: std::ops::Range<u16> = 1_024..1_064;

/// One blow at the server, under the victim's own address if it may be.
fn attack(world: &mut World, victim: ParticipantNumber, may_pretend: bool) {
    let victim_address = world.client(victim).address;
    let stranger = SocketAddr::from((
        [10, 66, 0, world.rng.random_range(1..STRANGERS)],
        world.rng.random_range(STRANGER_PORTS),
    ));
    let source = if may_pretend && world.rng.random_bool(0.5) { victim_address } else { stranger };
    let captured = world.captured(victim);
    let picked = |world: &mut World| {
        let at = world.rng.random_range(0..captured.len().max(1));
        captured.get(at).cloned().unwrap_or_default()
    };
    let datagram = match world.rng.random_range(0..7) {
        0 => {
            let mut garbage = vec![0; world.rng.random_range(0..1_400)];
            world.rng.fill_bytes(&mut garbage);
            garbage
        }
        1 => {
            // Garbage that looks like media or control of the victim.
            let mut picked = picked(world);
            let keep = picked.len().min(12);
            world.rng.fill_bytes(&mut picked[keep..]);
            picked
        }
        2 => {
            let mut picked = picked(world);
            let length = world.rng.random_range(0..=picked.len());
            picked.truncate(length);
            picked
        }
        3 => client_hello(&mut world.rng),
        4 => {
            let check = captured.iter().rfind(|datagram| is_check(datagram)).cloned().unwrap_or_default();
            forged_check(&check, &mut world.rng)
        }
        // What the victim itself has sent, once more: media, control and checks.
        5 => captured.iter().rfind(|datagram| is_check(datagram)).cloned().unwrap_or_default(),
        _ => picked(world),
    };
    let (now, server) = (world.now(), world.server());
    world.network.send(now, source, server, &datagram);
}

#[test]
fn a_call_under_attack_is_perfect() {
    for_seeds("attacked call", 6, |seed| {
        let mut world = World::new(seed);
        world.set_default_path(delay(20), delay(20));
        place_strangers(&mut world);
        let mut all = everyone_sees_everyone(&mut world, 3);
        // One who only listens: nothing but its checks and reports tells the server where it is.
        let listener = Plan {
            audio_slots: vec![of(all[0], patchbay_protocol::Source::Microphone)],
            video_slots: vec![of(all[0], patchbay_protocol::Source::Camera)],
            ..Plan::default()
        };
        all.push(world.join(ROOM, &listener));
        world.run_for(s(1));
        let blows = 3_000;
        for blow in 0..blows {
            attack(&mut world, all[blow % all.len()], true);
            world.run_for(ms(5));
        }
        world.run_for(s(1));
        for client in world.clients() {
            assert!(!client.is_over);
            for (mid, video) in client.videos() {
                assert_eq!(video.stats.freezes, 0, "{} {mid}: {:?}", client.number, video.stats);
            }
            for (mid, audio) in client.audios() {
                assert_eq!(audio.lost(), 0, "{} {mid}", client.number);
            }
            assert_eq!(client.stats().nacks_out, 0, "{} misses packets", client.number);
        }
        assert_eq!(world.counter("transports"), 4);
        assert!(world.counter("paths") <= 4 * 8);
        for name in ["nack_sent", "rtp_given_up"] {
            assert_eq!(world.counter(name), 0, "{name}");
        }
        for name in [
            "dropped_replayed",
            "dropped_bad_tag",
            "dropped_bad_integrity",
            "dropped_unknown_source",
            "dropped_bad_dtls",
        ] {
            assert!(world.counter(name) > 0, "{name}: {:?}", world.counters());
        }
        world.assert_sound();
    });
}

#[test]
fn a_handshake_under_attack_succeeds() {
    for_seeds("attacked handshake", 10, |seed| {
        let mut world = World::new(seed);
        world.set_default_path(delay(20), delay(20));
        place_strangers(&mut world);
        let plan = Plan { has_data: true, ..Plan::default() };
        let all = [world.join(ROOM, &plan), world.join(ROOM, &plan)];
        for _ in 0..100 {
            for who in all {
                attack(&mut world, who, false);
            }
            world.run_for(ms(5));
        }
        let is_up = world.run_until(s(3), |world| world.clients().all(|client| client.connected.is_some()));
        assert!(is_up, "not connected: {:?} {:?}", world.events, world.counters());
        let took = world.clients().filter_map(|client| client.connected.map(|at| at - client.joined)).max();
        assert!(took.is_some_and(|took| took < s(1)), "took {took:?}");
        world.assert_sound();
    });
}
