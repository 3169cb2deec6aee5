//! Strangers and liars: nothing they send has any effect but a counter.

use std::time::Duration;

use patchbay_sfu_core::transport::{DropReason, TransportEvent};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::pair::{Captured, Options, Pair, client_address, server_path};

fn stranger() -> std::net::SocketAddr {
    "203.0.113.66:6666".parse().unwrap()
}

fn assert_call_works(pair: &mut Pair) {
    let (up, down) = (pair.server_rtp.len(), pair.peer_rtp.len());
    assert!(pair.send_to_server(b"are you there?"));
    pair.send_to_peer(b"yes");
    pair.run_for(Duration::from_millis(100));
    assert_eq!((pair.server_rtp.len(), pair.peer_rtp.len()), (up + 1, down + 1));
}

/// CVE-2023-49786 and its kin: a ClientHello from elsewhere, at every moment of the handshake.
#[test]
fn a_client_hello_from_elsewhere_has_no_effect() {
    let mut template = Pair::connected();
    let hellos: Vec<_> = template.captured.drain(..).filter(|it| it.to_server && it.bytes[0] == 22).collect();
    assert!(hellos.len() >= 3);
    for after in (0..120).step_by(3) {
        let mut pair = Pair::new(Options::default());
        pair.run_for(Duration::from_millis(after));
        for hello in &hellos {
            pair.inject(stranger(), &hello.bytes);
        }
        assert_eq!(pair.count(DropReason::UnboundPath), hellos.len() as u64);
        assert!(pair.run_until(Duration::from_secs(5), Pair::is_connected), "after {after} ms");
        assert_call_works(&mut pair);
    }
}

#[test]
fn media_and_dtls_from_unproven_paths_are_dropped() {
    let mut pair = Pair::connected();
    pair.send_to_server(b"a genuine packet");
    pair.run_for(Duration::from_millis(5));
    let genuine = pair.captured.last().unwrap().clone();
    // Overtaken by a copy from elsewhere.
    pair.inject(stranger(), &genuine.bytes);
    assert_eq!(pair.count(DropReason::UnboundPath), 1);
    pair.run_for(Duration::from_millis(50));
    assert_eq!(pair.server_rtp.len(), 1);
    pair.inject(stranger(), &[23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 9, 0, 1, 0]);
    pair.inject(stranger(), &[0x80, 200, 0, 1, 0, 0, 0, 1]);
    assert_eq!(pair.count(DropReason::UnboundPath), 3);
    assert_call_works(&mut pair);
}

#[test]
fn forged_checks_are_counted_and_nothing_else() {
    let mut pair = Pair::connected();
    let check =
        pair.captured.iter().find(|it| it.to_server && it.bytes[..2] == [0, 1]).unwrap().bytes.clone();
    let without_fingerprint = |mut bytes: Vec<u8>| {
        bytes.truncate(bytes.len() - 8);
        let length = (bytes.len() - 20) as u16;
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        bytes
    };
    let mut wrong_integrity = without_fingerprint(check.clone());
    *wrong_integrity.last_mut().unwrap() ^= 1;
    let mut no_integrity = without_fingerprint(check.clone());
    no_integrity.truncate(no_integrity.len() - 24);
    let length = (no_integrity.len() - 20) as u16;
    no_integrity[2..4].copy_from_slice(&length.to_be_bytes());
    let mut wrong_ufrag = without_fingerprint(check.clone());
    let at = wrong_ufrag.windows(4).position(|it| it == b"ours").unwrap();
    wrong_ufrag[at] = b'x';
    let mut response = check.clone();
    response[0] = 1;

    let before = pair.transport.stats();
    let cases = [
        (wrong_integrity, DropReason::BadIntegrity),
        (no_integrity, DropReason::BadIntegrity),
        (wrong_ufrag, DropReason::WrongUsername),
        (check[..check.len() - 4].to_vec(), DropReason::MalformedStun),
        (check[..19].to_vec(), DropReason::MalformedStun),
        (response, DropReason::UnexpectedStun),
        (vec![0], DropReason::MalformedStun),
        (vec![], DropReason::UnknownKind),
        (vec![0x50, 1, 2, 3], DropReason::UnknownKind),
    ];
    for (bytes, reason) in cases {
        let count = pair.count(reason);
        pair.inject(stranger(), &bytes);
        assert_eq!(pair.count(reason), count + 1, "{reason:?}");
    }
    let after = pair.transport.stats();
    assert_eq!(
        (after.checks_in, after.datagrams_out),
        (before.checks_in, before.datagrams_out),
        "no answer either"
    );
    assert_eq!(pair.demux.path_count(), 1);
    assert_call_works(&mut pair);
}

/// Once connected, what is in the clear may come from anybody who can forge the client's address.
#[test]
fn plaintext_dtls_does_not_end_a_call() {
    let mut pair = Pair::connected();
    let record = |kind: u8, epoch: u8, body: &[u8]| {
        let mut record = vec![kind, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 9, 9, 9, 0, body.len() as u8];
        record.extend_from_slice(body);
        record
    };
    for kind in 18..=30 {
        for epoch in [0, 1, 2, 9] {
            for body in [&[2, 40][..], &[1, 0], &[1], &[0; 64], &[255; 64]] {
                pair.inject(client_address(), &record(kind, epoch, body));
            }
        }
    }
    let hellos: Vec<_> =
        pair.captured.iter().filter(|it| it.to_server && it.bytes[0] == 22).cloned().collect();
    for hello in hellos.iter().cycle().take(500) {
        pair.inject(client_address(), &hello.bytes);
    }
    assert!(pair.count(DropReason::BadDtls) > 0 && pair.count(DropReason::DtlsFlood) > 0);
    assert!(pair.transport.is_connected());
    assert_call_works(&mut pair);
}

/// Every datagram of a call, changed at random, from the client's own address, before, during and after the handshake.
#[test]
fn changed_datagrams_do_no_harm() {
    let mut template = Pair::connected();
    let now = template.now;
    template.peer.open_channel(now, "topic", "", true, patchbay_sansio_peer::Reliability::Reliable);
    for number in 0..30u8 {
        template.send_to_server(&[number; 300]);
        template.run_for(Duration::from_millis(50));
    }
    let captured: Vec<Captured> = template.captured.iter().filter(|it| it.to_server).cloned().collect();

    // After the handshake: other keys, so nothing but the plaintext parts could be believed.
    let mut random = StdRng::seed_from_u64(99);
    let mut pair = Pair::connected();
    for round in 0..40 {
        for datagram in &captured {
            pair.inject(client_address(), &mutate(&datagram.bytes, &mut random));
        }
        // And this call's own datagrams.
        let own: Vec<Captured> = pair.captured.iter().filter(|it| it.to_server).cloned().collect();
        for datagram in own.iter().rev().take(40) {
            pair.inject(client_address(), &mutate(&datagram.bytes, &mut random));
        }
        if round % 4 == 0 {
            assert_call_works(&mut pair);
        }
        pair.captured.truncate(200);
    }
    assert!(pair.transport.is_connected());
    assert_call_works(&mut pair);
}

/// In the handshake a forged plaintext record from a proven path can end it, as in any DTLS, but can do no more.
#[test]
fn changed_handshakes_fail_in_words_at_worst() {
    let mut random = StdRng::seed_from_u64(7);
    let (mut connected, mut failed) = (0, 0);
    for round in 0..crate::pair::rounds(150) {
        let mut pair = Pair::new(Options { seed: round, ..Options::default() });
        while pair.now - pair.start < Duration::from_secs(3)
            && !pair.is_connected()
            && !pair.transport.is_dead()
        {
            pair.run_for(Duration::from_millis(5));
            let recent: Vec<Captured> = pair.captured.iter().rev().take(3).cloned().collect();
            for datagram in recent.iter().filter(|it| it.to_server) {
                pair.inject(client_address(), &mutate(&datagram.bytes, &mut random));
            }
        }
        if pair.is_connected() {
            connected += 1;
            assert_call_works(&mut pair);
        } else {
            failed += 1;
            let is_told =
                pair.events.iter().any(|it| matches!(it, TransportEvent::Failed(_) | TransportEvent::Closed));
            assert!(is_told || !pair.transport.is_dead());
        }
    }
    println!("with every datagram followed by a changed copy: {connected} connected, {failed} did not");
    assert!(connected > 0);
}

/// A client that is who it says, and whose ClientHello, certificate and key exchange are nonsense.
#[test]
fn lying_handshakes_fail_in_words_at_worst() {
    let mut failed = 0;
    for seed in 0..crate::pair::rounds(150) {
        let mut pair = Pair::new(Options { seed, ..Options::default() });
        pair.is_lying = true;
        pair.run_until(Duration::from_secs(2), |it| it.is_connected() || it.transport.is_dead());
        failed += u64::from(pair.transport.is_dead());
        let is_told =
            pair.events.iter().any(|it| matches!(it, TransportEvent::Failed(_) | TransportEvent::Closed));
        assert_eq!(is_told, pair.transport.is_dead());
    }
    println!("{failed} were refused");
    assert!(failed > 0);
}

#[test]
fn noise_does_no_harm() {
    let mut random = StdRng::seed_from_u64(3);
    let mut pair = Pair::connected();
    for _ in 0..50_000 {
        let length = random.random_range(0..120);
        let mut noise: Vec<u8> = (0..length).map(|_| random.random()).collect();
        if let Some(first) = noise.first_mut() {
            *first = [0, 1, 20, 21, 22, 23, 25, 128, 144, 191, 255][random.random_range(0..11)];
        }
        let from = if random.random() { client_address() } else { stranger() };
        pair.inject(from, &noise);
    }
    assert_eq!(pair.transport.stats().selected_path, Some(server_path(client_address())));
    assert_call_works(&mut pair);
}

fn mutate(bytes: &[u8], random: &mut StdRng) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    for _ in 0..random.random_range(1..4) {
        match random.random_range(0..5) {
            0 if !changed.is_empty() => {
                let at = random.random_range(0..changed.len());
                changed[at] ^= 1 << random.random_range(0..8);
            }
            1 if !changed.is_empty() => {
                let at = random.random_range(0..changed.len().min(64));
                changed[at] = random.random();
            }
            2 => changed.truncate(random.random_range(0..=changed.len())),
            3 => {
                let extra = random.random_range(1..40);
                changed.extend((0..extra).map(|_| random.random::<u8>()));
            }
            _ => {
                let at = random.random_range(0..=changed.len());
                let value = [0, 0xff, 0x7f, 0x80][random.random_range(0..4)];
                changed.insert(at, value);
            }
        }
    }
    changed
}
