//! Paths: bound, changed, forgotten.

use std::net::SocketAddr;
use std::time::Duration;

use patchbay_sfu_core::TransportKey;
use patchbay_sfu_core::demux::Bound;
use patchbay_sfu_core::transport::{DropReason, MAX_PATHS, PATH_EXPIRY, TransportEvent};
use rtc_crypto::HmacAlgorithm;

use crate::pair::{KEY, Options, Pair, client_address, local_credentials, server_path};

fn other_address() -> SocketAddr {
    "203.0.113.30:40000".parse().unwrap()
}

fn checks(pair: &Pair) -> Vec<Vec<u8>> {
    pair.captured
        .iter()
        .filter(|it| it.to_server && it.bytes[..2] == [0, 1])
        .map(|it| it.bytes.clone())
        .collect()
}

#[test]
fn a_restart_moves_the_call_to_another_address() {
    let mut pair = Pair::connected();
    pair.restart_ice(other_address());
    // Until the new path is nominated the old one carries media.
    pair.send_to_peer(b"over the old path");
    pair.run_for(Duration::from_millis(11));
    assert_eq!(pair.peer_rtp.len(), 1);
    pair.dead_addresses.push(client_address());
    assert!(pair.run_until(Duration::from_secs(5), |it| {
        it.events.contains(&TransportEvent::PathChanged(server_path(other_address())))
    }));
    pair.send_to_peer(b"over the new path");
    pair.run_for(Duration::from_millis(50));
    assert!(pair.send_to_server(b"and back"));
    pair.run_for(Duration::from_millis(50));
    assert_eq!((pair.peer_rtp.len(), pair.server_rtp.len()), (2, 1));
    assert_eq!(pair.demux.find(server_path(other_address()), &[0x80, 96]), Some(KEY));
    assert!(pair.events.contains(&TransportEvent::UfragRetired("ours0".to_owned())));
    assert_eq!(pair.demux.ufrag_count(), 1);

    pair.run_for(PATH_EXPIRY + Duration::from_secs(1));
    assert!(pair.events.contains(&TransportEvent::AddressUnbound(server_path(client_address()))));
    assert_eq!(pair.demux.find(server_path(client_address()), &[0x80, 96]), None);
    assert_eq!(pair.demux.path_count(), 1);
    assert!(pair.transport.is_connected());
}

#[test]
fn old_credentials_are_of_no_use_after_a_restart() {
    let mut pair = Pair::connected();
    let old = checks(&pair).pop().unwrap();
    pair.restart_ice(other_address());
    pair.run_for(Duration::from_secs(2));
    let before = pair.transport.stats().checks_in;
    pair.inject(client_address(), &old);
    assert_eq!(pair.transport.stats().checks_in, before);
}

#[test]
fn two_restarts_in_a_row_end_well() {
    let mut pair = Pair::connected();
    pair.restart_ice(other_address());
    pair.restart_ice("203.0.113.31:40001".parse().unwrap());
    pair.run_for(Duration::from_secs(3));
    let path = server_path("203.0.113.31:40001".parse().unwrap());
    assert_eq!(pair.transport.stats().selected_path, Some(path));
    assert_eq!(pair.demux.ufrag_count(), 1);
    pair.send_to_peer(b"there");
    pair.run_for(Duration::from_millis(50));
    assert_eq!(pair.peer_rtp.len(), 1);
}

/// The same check as the client would make it another time: under another transaction, and signed.
fn made_anew(check: &[u8], transaction: u32) -> Vec<u8> {
    // Without MESSAGE-INTEGRITY and FINGERPRINT, which come last.
    let mut check = check[..check.len() - 32].to_vec();
    let covered = (check.len() - 20 + 24) as u16;
    check[2..4].copy_from_slice(&covered.to_be_bytes());
    check[8..12].copy_from_slice(&transaction.to_be_bytes());
    let crypto = rtc_crypto::default_provider().unwrap();
    let pwd = local_credentials(0).pwd;
    let mut mac = crypto.crypto().new_hmac(HmacAlgorithm::Sha1, pwd.as_bytes()).unwrap();
    let mut tag = [0; 20];
    mac.sign(&[&check], &mut tag).unwrap();
    check.extend_from_slice(&[0, 8, 0, 20]);
    check.extend_from_slice(&tag);
    check
}

fn without_nomination(pair: &Pair) -> Vec<u8> {
    checks(pair).into_iter().find(|it| !it.windows(4).any(|it| it == [0, 0x25, 0, 0])).unwrap()
}

#[test]
fn an_overheard_check_is_worth_nothing_elsewhere() {
    let mut pair = Pair::connected();
    let before = (pair.transport.paths().count(), pair.transport.stats().selected_path);
    for (port, check) in (1..).zip(checks(&pair)) {
        let count = pair.count(DropReason::Replayed);
        pair.inject(([203, 0, 113, 1], port).into(), &check);
        assert_eq!(pair.count(DropReason::Replayed), count + 1);
    }
    assert_eq!((pair.transport.paths().count(), pair.transport.stats().selected_path), before);
    pair.send_to_peer(b"still there");
    pair.run_for(Duration::from_millis(50));
    assert_eq!(pair.peer_rtp.len(), 1);
}

#[test]
fn the_table_of_paths_has_an_end_and_keeps_the_one_in_use() {
    let mut pair = Pair::new(Options::default());
    assert!(pair.run_until(Duration::from_secs(5), Pair::is_connected));
    let check = without_nomination(&pair);
    for port in 1..=1000u16 {
        let address: SocketAddr = ([203, 0, 113, 1], port).into();
        pair.inject(address, &made_anew(&check, port.into()));
    }
    let bound = pair.transport.paths().count();
    assert_eq!(bound, MAX_PATHS);
    assert_eq!(pair.demux.path_count(), MAX_PATHS);
    assert_eq!(pair.transport.stats().selected_path, Some(server_path(client_address())));
    pair.send_to_peer(b"still there");
    pair.run_for(Duration::from_millis(50));
    assert_eq!(pair.peer_rtp.len(), 1);
}

#[test]
fn an_address_goes_to_whoever_proved_itself_last() {
    let mut pair = Pair::connected();
    let path = server_path(client_address());
    let newcomer = TransportKey(2);
    assert_eq!(pair.demux.bind(path, newcomer), Bound::TakenFrom(KEY));
    pair.transport.lose_path(path);
    assert_eq!(pair.transport.paths().count(), 0);
    let before = pair.server_rtp.len();
    pair.send_to_server(b"from a path that is not ours any more");
    pair.run_for(Duration::from_millis(20));
    assert_eq!(pair.server_rtp.len(), before);
}

/// Sends a packet each way every 20 ms; the first moment at which both have arrived.
fn flows_again(pair: &mut Pair, limit: Duration) -> Option<Duration> {
    let began = pair.now;
    let before = (pair.server_rtp.len(), pair.peer_rtp.len());
    while pair.now < began + limit {
        pair.send_to_server(b"up");
        pair.send_to_peer(b"down");
        pair.run_for(Duration::from_millis(20));
        if pair.server_rtp.len() > before.0 && pair.peer_rtp.len() > before.1 {
            return Some(pair.now - began);
        }
    }
    None
}

#[test]
fn media_follows_a_nat_that_forgot() {
    let mut pair = Pair::connected();
    pair.run_for(Duration::from_secs(5));
    pair.translated = Some(other_address());
    pair.dead_addresses.push(client_address());
    let took = flows_again(&mut pair, Duration::from_secs(10)).expect("media goes on");
    // The peer's next check names the new address; media that comes after it moves the selection.
    assert!(took < Duration::from_millis(2_800), "{took:?}");
    assert!(pair.events.contains(&TransportEvent::PathChanged(server_path(other_address()))));
    pair.run_for(PATH_EXPIRY + Duration::from_secs(1));
    assert_eq!(pair.transport.paths().count(), 1);
}

#[test]
fn a_peer_without_media_is_followed_by_its_checks() {
    let mut pair = Pair::connected();
    pair.translated = Some(other_address());
    pair.dead_addresses.push(client_address());
    assert!(pair.run_until(Duration::from_secs(12), |it| {
        it.transport.selected_path() == Some(server_path(other_address()))
    }));
}

#[test]
fn a_second_path_that_is_only_checked_draws_nothing_away() {
    let mut pair = Pair::new(Options::default());
    assert!(pair.run_until(Duration::from_secs(5), Pair::is_connected));
    let check = checks(&pair).into_iter().find(|it| !it.windows(4).any(|it| it == [0, 0x25, 0, 0])).unwrap();
    for _ in 0..100 {
        pair.send_to_server(b"up");
        pair.run_for(Duration::from_millis(200));
        pair.inject(other_address(), &check);
    }
    assert_eq!(pair.transport.selected_path(), Some(server_path(client_address())));
}
