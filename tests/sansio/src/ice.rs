//! The peer's full ICE agent: `rtc-ice`, controlling, one host candidate.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use patchbay_sdp::{Candidate, CandidateAddress, CandidateTransport, IceCredentials};
use patchbay_sfu_core::Path;
use rtc_crypto::RTCCryptoProvider;
use rtc_ice::agent::agent_config::AgentConfig;
use rtc_ice::agent::{Agent, Event};
use rtc_ice::candidate::CandidateConfig;
use rtc_ice::candidate::candidate_host::CandidateHostConfig;
use rtc_ice::mdns::MulticastDnsMode;
use rtc_ice::network_type::NetworkType;
use rtc_shared::error::Error;
use rtc_shared::{TransportContext, TransportMessage, TransportProtocol};
use sansio::Protocol;

/// Wait between checks while there is no pair.
const CHECK_INTERVAL: Duration = Duration::from_millis(50);
/// Checks of one pair before it is given up.
const MAX_CHECKS: u16 = 100;
/// Browsers check a selected pair every 2.5 s.
const KEEPALIVE_INTERVAL: Duration = Duration::from_millis(2_500);

pub(crate) struct Ice {
    agent: Agent,
    address: SocketAddr,
    /// Where media goes; kept over a restart until there is a new pair.
    path: Option<Path>,
    remote: Vec<SocketAddr>,
}

impl Ice {
    pub(crate) fn new(
        now: Instant,
        address: SocketAddr,
        crypto: Arc<dyn RTCCryptoProvider>,
    ) -> Result<Self, Error> {
        let config = AgentConfig {
            multicast_dns_mode: MulticastDnsMode::Disabled,
            network_types: vec![NetworkType::Udp4, NetworkType::Udp6],
            check_interval: CHECK_INTERVAL,
            keepalive_interval: Some(KEEPALIVE_INTERVAL),
            max_binding_requests: Some(MAX_CHECKS),
            is_controlling: true,
            ..AgentConfig::default()
        };
        let mut agent = Agent::new(now, Arc::new(config), crypto)?;
        agent.add_local_candidate(host(address)?)?;
        Ok(Self { agent, address, path: None, remote: Vec::new() })
    }

    pub(crate) fn credentials(&self) -> IceCredentials {
        let credentials = self.agent.get_local_credentials();
        IceCredentials { ufrag: credentials.ufrag.clone(), pwd: credentials.pwd.clone() }
    }

    pub(crate) fn start(
        &mut self,
        now: Instant,
        remote: &IceCredentials,
        candidates: &[Candidate],
    ) -> Result<(), Error> {
        self.agent.start_connectivity_checks(now, true, remote.ufrag.clone(), remote.pwd.clone())?;
        self.remote.clear();
        for candidate in candidates {
            self.add_remote(candidate)?;
        }
        Ok(())
    }

    pub(crate) fn add_remote(&mut self, candidate: &Candidate) -> Result<(), Error> {
        let CandidateAddress::Ip(ip) = candidate.address else { return Ok(()) };
        let address = SocketAddr::new(ip, candidate.port);
        let is_wanted = candidate.transport == CandidateTransport::Udp
            && ip.is_ipv4() == self.address.is_ipv4()
            && !self.remote.contains(&address);
        if is_wanted {
            self.remote.push(address);
            self.agent.add_remote_candidate(host(address)?)?;
        }
        Ok(())
    }

    /// New credentials, and perhaps a new address.
    pub(crate) fn restart(&mut self, now: Instant, address: SocketAddr) -> Result<(), Error> {
        self.agent.restart(now, String::new(), String::new(), false)?;
        self.address = address;
        self.agent.add_local_candidate(host(address)?)?;
        Ok(())
    }

    pub(crate) fn handle(&mut self, now: Instant, path: Path, datagram: &[u8]) {
        // The agent refuses what it does not like, and that is its own affair.
        let _ = self.agent.handle_read(TransportMessage {
            now,
            transport: TransportContext {
                local_addr: path.local,
                peer_addr: path.remote,
                transport_protocol: TransportProtocol::UDP,
                ecn: None,
            },
            message: BytesMut::from(datagram),
        });
        self.drain();
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.deadline().is_some_and(|due| due <= now) {
            let _ = self.agent.handle_timeout(now);
            self.drain();
        }
    }

    pub(crate) fn deadline(&mut self) -> Option<Instant> {
        self.agent.poll_timeout()
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<(Path, BytesMut)> {
        let message = self.agent.poll_write()?;
        let path = Path::udp(message.transport.local_addr, message.transport.peer_addr);
        Some((path, message.message))
    }

    pub(crate) fn path(&self) -> Option<Path> {
        self.path
    }

    fn drain(&mut self) {
        while let Some(event) = self.agent.poll_event() {
            if let Event::SelectedCandidatePairChange(local, remote) = event.event {
                self.path = Some(Path::udp(local.addr(), remote.addr()));
            }
        }
    }
}

fn host(address: SocketAddr) -> Result<rtc_ice::candidate::Candidate, Error> {
    CandidateHostConfig {
        base_config: CandidateConfig {
            network: "udp".to_owned(),
            address: address.ip().to_string(),
            port: address.port(),
            component: 1,
            ..CandidateConfig::default()
        },
        ..CandidateHostConfig::default()
    }
    .new_candidate_host()
}
