//! DTLS 1.2 (RFC 6347) with the SRTP key extractor (RFC 5764), around `rtc-dtls`.
//!
//! What is added to `rtc-dtls` 0.21.1, and why:
//! - `guard`: nothing reaches its machine that could exhaust it.
//! - `client_hello`: AES-GCM is negotiated wherever the client has it at all.
//! - Retransmission of flights. The machine clears its own timer when anything of the peer's next flight arrives and does
//!   not set it again if that was a repetition or a part (`handshaker.rs`, `wait`): one lost ServerHello flight and one
//!   repeated ClientHello, and the handshake hangs for good. It also waits a full second between attempts and gives up after
//!   seven. Here the last flight is kept and sent again, at first after [`FIRST_RESEND`], then at doubled intervals. As
//!   a repeated record number would be dropped as a replay, records in the clear (epoch 0) are renumbered; for that to be
//!   consistent, all of them are numbered here.

mod client_hello;
mod guard;

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use patchbay_sdp::{DtlsRole, Fingerprint, HashAlgorithm as FingerprintAlgorithm};
use patchbay_wire::srtp::{self, SrtpKeys, SrtpProfile};
use rtc_crypto::{HashAlgorithm, RTCCryptoProvider};
use rtc_dtls::cipher_suite::CipherSuiteId;
use rtc_dtls::config::{
    ClientAuthType, ConfigBuilder, ExtendedMasterSecretType, HandshakeConfig, VerifyPeerCertificateFn,
};
use rtc_dtls::endpoint::{Endpoint, EndpointEvent};
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc_shared::TransportProtocol;
use rtc_shared::error::Error;

use self::client_hello::{ClientHelloAssembler, NoCommonProfile};
use self::guard::{Guard, RECORD_HEADER_BYTES, Verdict};
use super::event::{FailReason, TransportError};
use super::identity::Identity;
use super::stats::DropReason;

/// Wait before a flight is sent again, the first time. Short, because a lost flight delays a join by this much and a
/// spurious repetition costs two datagrams.
pub const FIRST_RESEND: Duration = Duration::from_millis(120);
/// Longest wait between repetitions of a flight.
const MAX_RESEND: Duration = Duration::from_secs(2);
/// Effectively never: the machine's own timer stays out of the way, and so does its limit of seven attempts. The
/// transport's connect timeout ends a handshake that leads nowhere.
const MACHINE_RESEND: Duration = Duration::from_secs(24 * 3600);
/// The machine knows its peer by an address. Ours moves between addresses, so it is given a constant one.
const PEER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9);
/// RFC 5764 §4.2.
const EXPORTER_LABEL: &str = "EXTRACTOR-dtls_srtp";

/// What DTLS has to say.
#[derive(Debug)]
pub enum DtlsEvent {
    /// The handshake is done and the certificate is the right one.
    Connected(Option<SrtpKeys>),
    /// Decrypted application data: one SCTP packet.
    Data(Bytes),
    /// The peer said goodbye.
    Closed,
    /// The handshake failed, or the peer ended the connection with a fatal alert.
    Failed(FailReason),
}

/// One end of a DTLS association.
pub struct Dtls {
    role: DtlsRole,
    state: State,
    machine: Endpoint,
    config: Config,
    guard: Guard,
    hello: ClientHelloAssembler,
    flight: Vec<BytesMut>,
    resend: Option<Resend>,
    plaintext_records: u64,
    outgoing: VecDeque<BytesMut>,
    events: VecDeque<DtlsEvent>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing has begun: a server awaits the ClientHello, a client awaits a path.
    Idle,
    Handshaking,
    Connected,
    Dead,
}

#[derive(Clone, Copy)]
struct Resend {
    due: Instant,
    interval: Duration,
}

/// What a handshake configuration is made of once the profile is known.
struct Config {
    crypto: Arc<dyn RTCCryptoProvider>,
    identity: Identity,
    digests: Vec<Vec<u8>>,
    is_mismatch: Arc<AtomicBool>,
}

impl Dtls {
    /// An idle end.
    ///
    /// # Errors
    /// [`TransportError::NoUsableFingerprint`] if there is no SHA-256 one among the peer's.
    pub fn new(
        role: DtlsRole,
        identity: &Identity,
        remote_fingerprints: &[Fingerprint],
        crypto: Arc<dyn RTCCryptoProvider>,
    ) -> Result<Self, TransportError> {
        let digests: Vec<_> = remote_fingerprints
            .iter()
            .filter(|it| it.algorithm == FingerprintAlgorithm::Sha256)
            .map(|it| it.bytes.clone())
            .collect();
        if digests.is_empty() {
            return Err(TransportError::NoUsableFingerprint);
        }
        Ok(Self {
            role,
            state: State::Idle,
            machine: Endpoint::new(PEER, TransportProtocol::UDP, None),
            config: Config { crypto, identity: identity.clone(), digests, is_mismatch: Arc::default() },
            guard: Guard::default(),
            hello: ClientHelloAssembler::default(),
            flight: Vec::new(),
            resend: None,
            plaintext_records: 0,
            outgoing: VecDeque::new(),
            events: VecDeque::new(),
        })
    }

    /// As a client: sends the ClientHello, offering these profiles in this order. Does nothing if it was sent, or as a
    /// server.
    ///
    /// # Errors
    /// [`TransportError::Crypto`].
    pub fn connect(&mut self, now: Instant, profiles: &[SrtpProfile]) -> Result<(), TransportError> {
        if self.role != DtlsRole::Client || self.state != State::Idle {
            return Ok(());
        }
        self.state = State::Handshaking;
        let profiles = profiles.iter().map(|it| machine_profile(*it)).collect();
        let connected =
            self.config.build(true, profiles).and_then(|it| self.machine.connect(now, PEER, it, None));
        self.collect(now);
        connected.map_err(|error| TransportError::Crypto(error.to_string()))
    }

    /// Takes a datagram that came on an authenticated path.
    ///
    /// # Errors
    /// Why it was dropped without any effect.
    pub fn handle(&mut self, now: Instant, datagram: &[u8]) -> Result<(), DropReason> {
        match self.guard.check(datagram, self.state == State::Connected) {
            Verdict::Pass => {}
            Verdict::Bad => return Err(DropReason::BadDtls),
            Verdict::Flood => return Err(DropReason::DtlsFlood),
        }
        match self.state {
            State::Idle if self.role == DtlsRole::Server => {
                if let Some(hello) = self.hello.push(datagram) {
                    self.hello = ClientHelloAssembler::default();
                    match hello.profile {
                        Ok(profile) => self.accept(profile)?,
                        Err(NoCommonProfile) => {
                            let words = "the peer offers no SRTP profile that this server has";
                            self.fail(FailReason::DtlsHandshake(words.to_owned()));
                            return Ok(());
                        }
                    }
                    self.read(now, &hello.datagram);
                }
                Ok(())
            }
            State::Idle => Err(DropReason::BadDtls),
            State::Handshaking | State::Connected => {
                self.read(now, datagram);
                Ok(())
            }
            State::Dead => Err(DropReason::Dead),
        }
    }

    /// Encrypts and queues one SCTP packet. Does nothing before the handshake is done.
    pub fn send(&mut self, now: Instant, packet: &[u8]) {
        if self.state == State::Connected {
            // Fails only if there is no association, which the state rules out.
            let _ = self.machine.write(now, PEER, packet);
            self.collect(now);
        }
    }

    /// Queues a close_notify alert and ends.
    pub fn close(&mut self, now: Instant) {
        if self.state != State::Dead {
            let _ = self.machine.close(now);
            self.collect(now);
            self.state = State::Dead;
            self.resend = None;
            self.flight = Vec::new();
        }
    }

    /// Which end this is.
    pub fn role(&self) -> DtlsRole {
        self.role
    }

    /// Whether the handshake is done.
    pub fn is_connected(&self) -> bool {
        self.state == State::Connected
    }

    /// Whether the handshake has begun.
    pub fn has_begun(&self) -> bool {
        self.state != State::Idle
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.resend.map(|it| it.due)
    }

    /// Repeats the last flight if that is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        let Some(resend) = self.resend.filter(|it| it.due <= now) else { return };
        let interval = (resend.interval * 2).min(MAX_RESEND);
        self.resend = Some(Resend { due: now + interval, interval });
        let mut flight = std::mem::take(&mut self.flight);
        for datagram in &mut flight {
            self.number(datagram);
            self.outgoing.push_back(datagram.clone());
        }
        self.flight = flight;
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<BytesMut> {
        self.outgoing.pop_front()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<DtlsEvent> {
        self.events.pop_front()
    }

    fn accept(&mut self, profile: Option<SrtpProfile>) -> Result<(), DropReason> {
        let profiles = profile.map(machine_profile).into_iter().collect();
        let config = self.config.build(false, profiles).map_err(|_| DropReason::Internal)?;
        self.machine.set_server_config(Some(config));
        self.state = State::Handshaking;
        Ok(())
    }

    fn read(&mut self, now: Instant, datagram: &[u8]) {
        let was_connected = self.state == State::Connected;
        let result = self.machine.read(now, PEER, None, BytesMut::from(datagram));
        self.collect(now);
        match result {
            Ok(events) => {
                for event in events {
                    match event {
                        EndpointEvent::HandshakeComplete => self.complete(),
                        EndpointEvent::ApplicationData(data) => {
                            self.events.push_back(DtlsEvent::Data(data.freeze()))
                        }
                        EndpointEvent::PeerClosed => {
                            self.state = State::Dead;
                            self.resend = None;
                            self.events.push_back(DtlsEvent::Closed);
                        }
                        _ => {}
                    }
                }
            }
            // What does not parse or decrypt ends nothing once the handshake is done (RFC 6347 §4.1.2.7); a fatal alert does.
            Err(error) if was_connected && error != Error::ErrAlertFatalOrClose => {}
            Err(error) => {
                let reason = if self.config.is_mismatch.load(Ordering::Relaxed) {
                    FailReason::FingerprintMismatch
                } else if error == Error::ErrAlertFatalOrClose {
                    FailReason::DtlsHandshake("the peer ended it with an alert".to_owned())
                } else {
                    FailReason::DtlsHandshake(error.to_string())
                };
                self.fail(reason);
            }
        }
    }

    fn complete(&mut self) {
        match self.export_keys() {
            Ok(keys) => {
                self.state = State::Connected;
                self.resend = None;
                self.flight = Vec::new();
                self.events.push_back(DtlsEvent::Connected(keys));
            }
            Err(words) => self.fail(FailReason::Internal(words)),
        }
    }

    fn export_keys(&self) -> Result<Option<SrtpKeys>, String> {
        let state = self.machine.get_connection_state(PEER).ok_or("no association")?;
        let Some(profile) = SrtpProfile::from_dtls_id(state.srtp_protection_profile() as u16) else {
            return Ok(None);
        };
        let material = state
            .export_keying_material(EXPORTER_LABEL, &[], profile.keying_material_len())
            .map_err(|error| error.to_string())?;
        let role = match self.role {
            DtlsRole::Client => srtp::DtlsRole::Client,
            DtlsRole::Server => srtp::DtlsRole::Server,
        };
        SrtpKeys::from_exported(profile, material.as_ref(), role).map(Some).map_err(|error| error.to_string())
    }

    fn fail(&mut self, reason: FailReason) {
        self.state = State::Dead;
        self.resend = None;
        self.flight = Vec::new();
        self.events.push_back(DtlsEvent::Failed(reason));
    }

    /// Takes what the machine wants to send. In the handshake it is a new flight, to be repeated until it is answered.
    fn collect(&mut self, now: Instant) {
        let mut flight = Vec::new();
        while let Some(transmit) = self.machine.poll_transmit() {
            let mut datagram = transmit.message;
            self.number(&mut datagram);
            if self.state == State::Handshaking {
                flight.push(datagram.clone());
            }
            self.outgoing.push_back(datagram);
        }
        if !flight.is_empty() {
            self.flight = flight;
            self.resend = Some(Resend { due: now + FIRST_RESEND, interval: FIRST_RESEND });
        }
    }

    /// Gives every record in the clear the next number (RFC 6347 §4.1).
    fn number(&mut self, datagram: &mut [u8]) {
        let mut rest = datagram;
        while let Some((header, body)) = rest.split_first_chunk_mut::<RECORD_HEADER_BYTES>() {
            let [_, _, _, e0, e1, s0, s1, s2, s3, s4, s5, l0, l1] = header;
            if (*e0, *e1) == (0, 0) {
                [_, _, *s0, *s1, *s2, *s3, *s4, *s5] = self.plaintext_records.to_be_bytes();
                self.plaintext_records += 1;
            }
            let length = usize::from(u16::from_be_bytes([*l0, *l1]));
            let Some((_, further)) = body.split_at_mut_checked(length) else { return };
            rest = further;
        }
    }
}

impl Config {
    fn build(
        &self,
        is_client: bool,
        profiles: Vec<SrtpProtectionProfile>,
    ) -> Result<Arc<HandshakeConfig>, Error> {
        ConfigBuilder::default()
            .with_crypto_provider(self.crypto.clone())
            .with_certificates(vec![self.identity.certificate.clone()])
            .with_cipher_suites(vec![
                CipherSuiteId::Tls_Ecdhe_Ecdsa_With_Aes_128_Gcm_Sha256,
                CipherSuiteId::Tls_Ecdhe_Ecdsa_With_ChaCha20_Poly1305_Sha256,
            ])
            .with_srtp_protection_profiles(profiles)
            .with_client_auth(ClientAuthType::RequireAnyClientCert)
            // No certificate authority vouches for a browser; the fingerprint does, below.
            .with_insecure_skip_verify(true)
            .with_verify_peer_certificate(Some(self.verifier()))
            .with_extended_master_secret(ExtendedMasterSecretType::Require)
            .with_server_name("patchbay".to_owned())
            .with_flight_interval(MACHINE_RESEND)
            .build(is_client, None)
            .map(Arc::new)
    }

    /// Compares the peer's certificate with the fingerprints of its SDP (RFC 8122 §5).
    fn verifier(&self) -> VerifyPeerCertificateFn {
        let (crypto, digests, is_mismatch) =
            (self.crypto.clone(), self.digests.clone(), self.is_mismatch.clone());
        Arc::new(move |chain, _| {
            let certificate = chain.first().ok_or(Error::ErrNonCertificate)?;
            let digest = crypto
                .crypto()
                .hash(HashAlgorithm::Sha256, certificate)
                .map_err(|error| Error::Crypto(error.to_string()))?;
            if digests.contains(&digest) {
                return Ok(());
            }
            is_mismatch.store(true, Ordering::Relaxed);
            Err(Error::ErrNoMatchingCertificateFingerprint)
        })
    }
}

fn machine_profile(profile: SrtpProfile) -> SrtpProtectionProfile {
    profile.dtls_id().into()
}
