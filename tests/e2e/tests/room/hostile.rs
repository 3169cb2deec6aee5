//! Datagrams from people who mean no good: counted, and without effect on a call.

use std::net::SocketAddr;
use std::time::Duration;

use patchbay_e2e::{Mode, Outcome, Relay, Server, until};
use patchbay_peer::{Loudness, Peer, PeerError, Picture, Publication};
use patchbay_protocol::MediaKind;
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};
use tokio::net::UdpSocket;

const PATIENCE: Duration = Duration::from_secs(20);
/// Datagrams of each kind.
const BARRAGE: usize = 3_000;

/// Two peers in a call, the second through a relay if there is one.
async fn call(
    server: &Server,
    relay: Option<&Relay>,
) -> Result<(Peer, Peer), Box<dyn std::error::Error + Send + Sync>> {
    let config = |identity| -> Result<_, PeerError> {
        Ok(server
            .peer("hostile", identity)
            .publish(Publication::microphone(Some(Loudness::constant(25)))?)
            .publish(Publication::camera(Picture::Ball)?)
            .hear(1)
            .see(1))
    };
    let ada = Peer::join(config("ada")?).await?;
    ada.connected().await?;
    let address = ada.server_addresses().first().copied().ok_or("no candidate")?;
    let mut second = config("ben")?;
    if let Some(relay) = relay {
        relay.lead_to(address);
        second = second.through(relay.address());
    }
    let ben = Peer::join(second).await?;
    for peer in [&ada, &ben] {
        peer.wait(PATIENCE, "media", |stats| stats.slots.iter().all(|slot| slot.frames > 20)).await?;
    }
    Ok((ada, ben))
}

/// The call goes on: more frames, nothing lost, nothing doubled.
async fn goes_on(peers: [&Peer; 2]) -> Result<(), PeerError> {
    for peer in peers {
        let before = peer.stats();
        let after = peer
            .wait(PATIENCE, "the call to go on", |stats| {
                stats.slots.iter().zip(&before.slots).all(|(slot, before)| slot.frames > before.frames + 60)
            })
            .await?;
        for slot in &after.slots {
            assert_eq!((slot.lost, slot.duplicates, slot.csrcs.len()), (0, 0, 1), "{slot:?}");
        }
    }
    Ok(())
}

/// The counters of datagrams that were not taken, and how many each must have grown.
struct Watch<'a> {
    server: &'a Server,
    before: Vec<(&'static [&'static str], f64, f64)>,
}

impl<'a> Watch<'a> {
    /// Expects that each group of counters will have grown by so much in sum.
    async fn new(server: &'a Server, expected: &[(&'static [&'static str], f64)]) -> Result<Self, String> {
        let mut before = Vec::new();
        for (names, count) in expected {
            before.push((*names, sum(server, names).await?, *count));
        }
        Ok(Self { server, before })
    }

    /// Waits until they have.
    async fn counted(self) -> Result<(), String> {
        for (names, before, count) in self.before {
            let result = until(PATIENCE, &format!("{names:?} to grow by {count}"), || async {
                sum(self.server, names).await.is_ok_and(|now| now >= before + count).then_some(())
            })
            .await;
            if let Err(error) = result {
                let metrics = self.server.metrics().await?;
                let dropped: Vec<&str> = metrics
                    .lines()
                    .filter(|line| line.contains("_dropped_") && !line.ends_with(" 0"))
                    .collect();
                return Err(format!("{error}, from {before}: {dropped:?}"));
            }
        }
        Ok(())
    }
}

async fn sum(server: &Server, names: &[&str]) -> Result<f64, String> {
    let mut sum = 0.0;
    for name in names {
        sum += server.metric(&format!("patchbay_sfu_dropped_{name}")).await?;
    }
    Ok(sum)
}

/// A STUN binding request (RFC 8489) for a user, with a MESSAGE-INTEGRITY that was made up.
fn forged_stun(random: &mut StdRng, username: &[u8]) -> Vec<u8> {
    let mut attributes = Vec::new();
    let mut attribute = |kind: u16, value: &[u8]| {
        attributes.extend(kind.to_be_bytes());
        attributes.extend((value.len() as u16).to_be_bytes());
        attributes.extend(value);
        attributes.resize(attributes.len().next_multiple_of(4), 0);
    };
    attribute(0x0006, username);
    attribute(0x0024, &[0x6e, 0x7f, 0xff, 0xff]);
    attribute(0x0025, &[]);
    attribute(0x802a, &random.random::<[u8; 8]>());
    attribute(0x0008, &random.random::<[u8; 20]>());
    let mut message = vec![0, 1];
    message.extend((attributes.len() as u16).to_be_bytes());
    message.extend([0x21, 0x12, 0xa4, 0x42]);
    message.extend(random.random::<[u8; 12]>());
    message.extend(attributes);
    message
}

/// A DTLS 1.2 ClientHello (RFC 6347 §4.2.1) as a browser would send it first, with a cookie that was made up.
fn client_hello(random: &mut StdRng) -> Vec<u8> {
    let mut body = vec![0xfe, 0xfd];
    body.extend(random.random::<[u8; 32]>());
    body.push(0);
    body.push(20);
    body.extend(random.random::<[u8; 20]>());
    body.extend([0, 4, 0xc0, 0x2b, 0xc0, 0x2f, 1, 0]);
    // use_srtp with AEAD_AES_128_GCM, and supported groups.
    let extensions = [0, 14, 0, 5, 0, 2, 0, 7, 0, 0, 10, 0, 4, 0, 2, 0, 29];
    body.extend((extensions.len() as u16).to_be_bytes());
    body.extend(extensions);
    let length = (body.len() as u32).to_be_bytes();
    let mut handshake =
        vec![1, length[1], length[2], length[3], 0, 0, 0, 0, 0, length[1], length[2], length[3]];
    handshake.extend(body);
    let mut record = vec![22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0];
    record.extend((handshake.len() as u16).to_be_bytes());
    record.extend(handshake);
    record
}

pub(crate) async fn garbage_from_strangers_does_nothing(mode: Mode) -> Outcome {
    let mut server = Server::start(mode, "garbage").await?;
    let (ada, ben) = call(&server, None).await?;
    let address = ada.server_addresses().first().copied().ok_or("no candidate")?;
    let username = ada.ice_username().await.ok_or("no username")?;
    // Loopback may drop a few when the receive buffer is full; most must have been seen and counted.
    let most = BARRAGE as f64 * 0.7;
    let watch = Watch::new(&server, &[(&["unknown_source"], most * 3.0), (&["bad_integrity"], most)]).await?;
    let mut random = StdRng::seed_from_u64(0x5eed);
    let stranger = UdpSocket::bind("0.0.0.0:0").await?;
    // Every first byte of RFC 7983, every length from nothing to a full datagram.
    for number in 0..BARRAGE {
        let mut datagram = vec![0; random.random_range(0..1_400)];
        random.fill_bytes(&mut datagram);
        if let Some(first) = datagram.first_mut() {
            *first = (number % 256) as u8;
        }
        send_paced(&stranger, &datagram, address, number).await?;
    }
    for number in 0..BARRAGE {
        let username = format!("ufrag{}:peer", random.random::<u16>());
        send_paced(&stranger, &forged_stun(&mut random, username.as_bytes()), address, number).await?;
    }
    // The right user name, which a listener on the path could know, and a made-up integrity.
    for number in 0..BARRAGE {
        send_paced(&stranger, &forged_stun(&mut random, username.as_bytes()), address, number).await?;
    }
    for number in 0..BARRAGE {
        send_paced(&stranger, &client_hello(&mut random), address, number).await?;
    }
    watch.counted().await?;
    let mut answer = [0; 2_048];
    assert!(stranger.try_recv(&mut answer).is_err(), "strangers get no answer, so nothing can be amplified");
    goes_on([&ada, &ben]).await?;
    server.check()?;
    Ok(())
}

/// Sends a datagram, and now and then lets the receiver catch up.
async fn send_paced(
    socket: &UdpSocket,
    datagram: &[u8],
    to: SocketAddr,
    number: usize,
) -> std::io::Result<()> {
    socket.send_to(datagram, to).await?;
    if number % 64 == 63 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}

pub(crate) async fn a_client_hello_from_elsewhere_does_not_disturb_a_handshake(mode: Mode) -> Outcome {
    let mut server = Server::start(mode, "client-hello").await?;
    let (ada, ben) = call(&server, None).await?;
    let address = ada.server_addresses().first().copied().ok_or("no candidate")?;
    // Somebody floods the port with ClientHellos while ten peers shake hands.
    let flood = tokio::spawn(async move {
        let mut random = StdRng::seed_from_u64(0xc11e);
        let stranger = UdpSocket::bind("0.0.0.0:0").await?;
        for number in 0.. {
            send_paced(&stranger, &client_hello(&mut random), address, number).await?;
        }
        Ok::<(), std::io::Error>(())
    });
    for number in 0..10 {
        let peer = Peer::join(server.peer("hostile", &format!("guest-{number}")).see(1)).await?;
        peer.wait(PATIENCE, "frames in spite of the flood", |stats| {
            stats.slots_of(MediaKind::Video).all(|slot| slot.frames > 5)
        })
        .await?;
        peer.leave().await?;
    }
    flood.abort();
    goes_on([&ada, &ben]).await?;
    server.check()?;
    Ok(())
}

pub(crate) async fn replayed_packets_are_not_forwarded(mode: Mode) -> Outcome {
    let mut server = Server::start(mode, "replay").await?;
    let relay = Relay::open().await?;
    let (ada, ben) = call(&server, Some(&relay)).await?;
    let address = ada.server_addresses().first().copied().ok_or("no candidate")?;
    let is_rtp = |datagram: &&Vec<u8>| datagram.first().is_some_and(|first| (128..192).contains(first));
    let recorded = until(PATIENCE, "something to replay", || async {
        let recorded: Vec<Vec<u8>> = relay.recorded().iter().filter(is_rtp).cloned().collect();
        (recorded.len() > 200).then_some(recorded)
    })
    .await?;
    let count = recorded.len() as f64 * 0.7;
    let watch =
        Watch::new(&server, &[(&["replayed"], count), (&["bad_tag"], count), (&["unknown_source"], count)])
            .await?;
    let stranger = UdpSocket::bind("0.0.0.0:0").await?;
    let mut random = StdRng::seed_from_u64(7);
    for (number, datagram) in recorded.iter().enumerate() {
        // As it was, from the publisher's own address; as it was, from elsewhere; and as if it came later.
        relay.inject(datagram).await?;
        send_paced(&stranger, datagram, address, number).await?;
        let mut later = datagram.clone();
        let sequence =
            u16::from_be_bytes([later[2], later[3]]).wrapping_add(random.random_range(500..20_000));
        later[2..4].copy_from_slice(&sequence.to_be_bytes());
        relay.inject(&later).await?;
    }
    watch.counted().await?;
    goes_on([&ada, &ben]).await?;
    server.check()?;
    Ok(())
}
