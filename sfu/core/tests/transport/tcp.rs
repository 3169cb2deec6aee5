//! Paths that are connections: chosen like others, and left at once when they end.

use std::time::Duration;

use patchbay_sfu_core::Protocol;
use patchbay_sfu_core::transport::{DropReason, TransportEvent};

use crate::pair::{Pair, client_address, server_path, tcp_address};

fn on_tcp() -> Pair {
    let mut pair = Pair::connected();
    pair.restart_ice(tcp_address());
    let path = server_path(tcp_address());
    assert_eq!(path.protocol, Protocol::Tcp);
    let moved = TransportEvent::PathChanged(path);
    assert!(pair.run_until(Duration::from_secs(5), |it| it.events.contains(&moved)));
    // Until the client has heard that its nomination succeeded.
    pair.run_for(Duration::from_millis(100));
    pair.events.clear();
    pair
}

fn media_arrives(pair: &mut Pair) -> bool {
    let before = (pair.peer_rtp.len(), pair.server_rtp.len());
    pair.send_to_peer(b"there");
    pair.send_to_server(b"and back");
    pair.run_for(Duration::from_millis(60));
    (pair.peer_rtp.len(), pair.server_rtp.len()) == (before.0 + 1, before.1 + 1)
}

#[test]
fn a_nomination_moves_the_call_onto_a_connection() {
    let mut pair = on_tcp();
    assert_eq!(pair.transport.selected_path(), Some(server_path(tcp_address())));
    assert!(media_arrives(&mut pair));
}

#[test]
fn when_a_connection_ends_the_next_path_takes_over_at_once() {
    let mut pair = on_tcp();
    pair.transport.handle_path_closed(server_path(tcp_address()));
    let events: Vec<_> = std::iter::from_fn(|| pair.transport.poll_event()).collect();
    let before = server_path(client_address());
    assert_eq!(events, [TransportEvent::PathChanged(before)], "which asks for a keyframe");
    assert_eq!(pair.transport.selected_path(), Some(before));
    assert!(pair.transport.paths().all(|path| path.protocol == Protocol::Udp));
    let drops = pair.drops.len();
    pair.send_to_server(b"over a connection that is gone");
    pair.run_for(Duration::from_millis(20));
    assert_eq!(pair.drops.get(drops..), Some(&[DropReason::UnboundPath][..]));
}

#[test]
fn without_another_path_the_transport_waits_for_one() {
    let mut pair = on_tcp();
    for address in [client_address(), tcp_address()] {
        pair.transport.handle_path_closed(server_path(address));
    }
    assert_eq!(pair.transport.selected_path(), None);
    pair.dead_addresses.extend([client_address(), tcp_address()]);
    pair.send_to_peer(b"nowhere");
    assert!(!pair.transport.has_transmit());
    pair.run_for(Duration::from_secs(5));
    assert!(pair.transport.is_connected());

    // The peer comes back over UDP. That is a change of path even though there was none in between.
    let address = "203.0.113.41:41000".parse().unwrap();
    pair.restart_ice(address);
    let moved = TransportEvent::PathChanged(server_path(address));
    assert!(pair.run_until(Duration::from_secs(5), |it| it.events.contains(&moved)));
    pair.run_for(Duration::from_millis(100));
    assert!(media_arrives(&mut pair));
}

#[test]
fn closing_what_is_not_in_use_changes_nothing() {
    let mut pair = on_tcp();
    pair.transport.handle_path_closed(server_path(client_address()));
    pair.transport.handle_path_closed(server_path("203.0.113.99:9".parse().unwrap()));
    assert_eq!(pair.transport.poll_event(), None);
    assert_eq!(pair.transport.selected_path(), Some(server_path(tcp_address())));
    assert!(media_arrives(&mut pair));
}
