//! Connecting, and failing to connect in words.

use std::time::{Duration, Instant};

use patchbay_sansio_peer::{FailReason, PeerEvent, SrtpProfile};
use patchbay_sdp::{DtlsRole, Fingerprint};
use patchbay_sfu_core::transport::{CONNECT_TIMEOUT, DropReason, LIVENESS_TIMEOUT, TransportEvent};

use crate::pair::{Condition, Options, Pair, client_address};

fn failure(pair: &Pair) -> Option<&FailReason> {
    pair.events.iter().find_map(|it| match it {
        TransportEvent::Failed(reason) => Some(reason),
        _ => None,
    })
}

#[test]
fn connects_within_five_round_trips() {
    let mut pair = Pair::new(Options::default());
    assert!(pair.run_until(Duration::from_secs(5), Pair::is_connected));
    // ICE 1, DTLS 3 (with its cookie), and the last flight's way back; a round trip is 20 ms.
    assert!(pair.now - pair.start <= Duration::from_millis(150), "{:?}", pair.now - pair.start);
    assert_eq!(pair.transport.stats().dropped.total(), 0);
}

#[test]
fn gcm_is_chosen_whatever_the_client_prefers() {
    use SrtpProfile::{AeadAes128Gcm, AeadAes256Gcm, Aes128CmHmacSha1_80};
    let cases = [
        (vec![Aes128CmHmacSha1_80, AeadAes256Gcm, AeadAes128Gcm], AeadAes128Gcm),
        (vec![AeadAes128Gcm, Aes128CmHmacSha1_80], AeadAes128Gcm),
        (vec![Aes128CmHmacSha1_80], Aes128CmHmacSha1_80),
        (vec![AeadAes256Gcm], AeadAes256Gcm),
    ];
    for (profiles, expected) in cases {
        let mut pair = Pair::new(Options { profiles, ..Options::default() });
        assert!(pair.run_until(Duration::from_secs(5), Pair::is_connected));
        assert!(pair.events.contains(&TransportEvent::Connected { srtp_profile: Some(expected) }));
        assert!(pair.peer_events.contains(&PeerEvent::Connected { srtp_profile: Some(expected) }));
        assert!(pair.send_to_server(b"up"));
        pair.send_to_peer(b"down");
        pair.run_for(Duration::from_millis(100));
        assert_eq!((pair.server_rtp.len(), pair.peer_rtp.len()), (1, 1));
    }
}

#[test]
fn bad_networks_only_take_longer() {
    let mut slowest = Duration::ZERO;
    for seed in 0..150 {
        let condition = Condition {
            loss: [0.0, 0.05, 0.2, 0.3][seed as usize % 4],
            duplicate: 0.2,
            jitter: Duration::from_millis([0, 5, 80][seed as usize % 3]),
        };
        let mut pair = Pair::new(Options { seed, condition, ..Options::default() });
        let is_connected = pair.run_until(CONNECT_TIMEOUT, Pair::is_connected);
        assert!(is_connected, "seed {seed}: {:?}, {:?}", pair.events, pair.peer_events);
        slowest = slowest.max(pair.now - pair.start);
        pair.condition = Condition::default();
        assert!(pair.send_to_server(b"up"));
        pair.send_to_peer(b"down");
        pair.run_for(Duration::from_millis(200));
        assert_eq!((pair.server_rtp.len(), pair.peer_rtp.len()), (1, 1), "seed {seed}");
    }
    println!("slowest of 150: {slowest:?}");
}

#[test]
fn a_client_that_waits_for_the_server_to_begin_is_served_too() {
    for seed in 0..30 {
        let condition = Condition { loss: 0.1, duplicate: 0.1, jitter: Duration::from_millis(30) };
        let condition = if seed == 0 { Condition::default() } else { condition };
        let mut pair =
            Pair::new(Options { dtls_role: DtlsRole::Client, seed, condition, ..Options::default() });
        assert!(pair.run_until(CONNECT_TIMEOUT, Pair::is_connected), "seed {seed}");
        let srtp_profile = Some(SrtpProfile::AeadAes128Gcm);
        assert!(pair.events.contains(&TransportEvent::Connected { srtp_profile }));
    }
}

#[test]
fn another_certificate_is_refused_by_name() {
    let fingerprint = Some(Fingerprint::sha256([7; 32]));
    let mut pair = Pair::new(Options { fingerprint, ..Options::default() });
    pair.run_for(Duration::from_secs(1));
    assert_eq!(failure(&pair), Some(&FailReason::FingerprintMismatch));
    assert!(pair.transport.is_dead() && pair.transport.deadline().is_none());
    assert!(!pair.peer.is_connected());
}

#[test]
fn why_nothing_came_is_said() {
    let mut silent = Pair::new(Options::default());
    silent.condition.loss = 1.0;
    silent.run_for(CONNECT_TIMEOUT + Duration::from_millis(1));
    assert_eq!(failure(&silent), Some(&FailReason::NoCheck));

    let mut forged = Pair::new(Options::default());
    forged.condition.loss = 1.0;
    forged.run_for(Duration::from_secs(1));
    let mut check = forged.captured[0].bytes.clone();
    let at = check.len() - 12;
    check.truncate(check.len() - 8);
    check[at - 4] ^= 1;
    let length = (check.len() - 20) as u16;
    check[2..4].copy_from_slice(&length.to_be_bytes());
    forged.inject(client_address(), &check);
    assert_eq!(forged.count(DropReason::BadIntegrity), 1);
    forged.run_for(CONNECT_TIMEOUT);
    assert_eq!(failure(&forged), Some(&FailReason::BadPassword));
}

#[test]
fn silence_is_noticed_after_fifteen_seconds() {
    let mut pair = Pair::connected();
    pair.run_for(Duration::from_secs(60));
    assert!(pair.transport.is_connected(), "checks alone keep a transport alive");
    pair.condition.loss = 1.0;
    let before = pair.now;
    assert!(pair.run_until(Duration::from_secs(30), |it| it.transport.is_dead()));
    assert_eq!(failure(&pair), Some(&FailReason::Silent));
    let took = pair.now - before;
    assert!(
        took <= LIVENESS_TIMEOUT + Duration::from_millis(50)
            && took > LIVENESS_TIMEOUT - Duration::from_secs(5),
        "{took:?}"
    );
}

#[test]
fn a_goodbye_is_heard_both_ways() {
    let mut pair = Pair::connected();
    let now = pair.now;
    pair.peer.close(now);
    pair.run_for(Duration::from_millis(100));
    assert!(pair.events.contains(&TransportEvent::Closed) && pair.transport.is_dead());

    let mut pair = Pair::connected();
    let now = pair.now;
    pair.transport.close(now);
    pair.run_for(Duration::from_millis(100));
    assert!(pair.peer_events.contains(&PeerEvent::Closed));
}

#[test]
fn what_connecting_costs() {
    let began = Instant::now();
    const PAIRS: u32 = 20;
    for _ in 0..PAIRS {
        Pair::connected();
    }
    println!("both ends with certificates, unoptimised: {:?} per connection", began.elapsed() / PAIRS);
}
