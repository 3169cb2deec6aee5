//! ICE-lite: answers connectivity checks, knows which paths are authenticated, follows nominations (RFC 8445 §7.3).
//!
//! This is our own responder rather than `rtc-ice`'s agent in lite mode, because that agent (0.21.1):
//! - keeps the first nominated pair for good (`agent_selector.rs`: `if self.get_selected_pair().is_none()`), while a
//!   browser that moves from Wi-Fi to a cable nominates another pair without restarting;
//! - drops its selected pair at the very start of an ICE restart (`apply_restart`), while media has to flow on the old
//!   path until the new one is nominated;
//! - changes its role on a message that nobody has authenticated (`handle_inbound`);
//! - has no bound on remote candidates and pairs, forgets none, and logs a warning for each stray datagram.
//!
//! Full agents (the peers in our tests) are `rtc-ice`'s.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use patchbay_sdp::IceCredentials;
use rtc_crypto::{HmacAlgorithm, Mac, RTCCryptoProvider};

use super::event::TransportEvent;
use super::overheard::SeenChecks;
use super::stats::DropReason;
use super::stun::{BindingRequest, NotARequest};
use crate::Path;

/// Paths of one transport. A browser with four interfaces and two of our addresses, by UDP and TCP, uses 16; more only fill our
/// tables.
pub const MAX_PATHS: usize = 16;
/// A path that is not selected is forgotten after this long without a check. Full agents check every path they keep at
/// least every 15 s (RFC 8445 §11), Chromium every 2.5 s.
pub const PATH_EXPIRY: Duration = Duration::from_secs(30);

/// Once the path in use has been silent for this long, authenticated media on another moves the selection there: the peer's
/// address or port has changed on the way (a NAT that forgot), and it may not nominate again what is the same pair to it.
/// Longer than reordering, shorter than anybody notices.
const MEDIA_MOVES_AFTER: Duration = Duration::from_millis(250);
/// The same for a check without media. Longer than the time between two checks of a pair that lives: 2.5 s in Chromium,
/// up to 6 s for consent (RFC 7675 §5.1).
const CHECK_MOVES_AFTER: Duration = Duration::from_secs(7);

/// The lite agent of one transport.
pub(super) struct IceLite {
    current: Generation,
    /// Credentials before an ICE restart, good until a path is nominated under the new ones.
    previous: Option<Generation>,
    paths: Vec<BoundPath>,
    checks: SeenChecks,
    /// Where we send. The first authenticated path at first, nominated paths from then on.
    selected: Option<Path>,
    /// When a check or media last came on the selected path.
    heard_at: Option<Instant>,
    is_nominated: bool,
    /// The selected path was lost, so whatever is selected next is a change.
    is_cut_off: bool,
}

/// Credentials of both sides between two restarts.
struct Generation {
    number: u32,
    local_ufrag: String,
    remote_ufrag: String,
    mac: Box<dyn Mac>,
}

struct BoundPath {
    path: Path,
    generation: u32,
    checked_at: Instant,
    /// Whether the last check on it carried USE-CANDIDATE.
    is_nominated: bool,
}

impl IceLite {
    pub(super) fn new(
        local: &IceCredentials,
        remote: &IceCredentials,
        crypto: &dyn RTCCryptoProvider,
    ) -> Result<Self, rtc_crypto::CryptoError> {
        Ok(Self {
            current: Generation::new(0, local, remote, crypto)?,
            previous: None,
            paths: Vec::new(),
            checks: SeenChecks::default(),
            selected: None,
            heard_at: None,
            is_nominated: false,
            is_cut_off: false,
        })
    }

    /// Takes new credentials. The old ones and all paths stay good until a path is nominated under the new ones.
    pub(super) fn restart(
        &mut self,
        local: &IceCredentials,
        remote: &IceCredentials,
        crypto: &dyn RTCCryptoProvider,
        events: &mut VecDeque<TransportEvent>,
    ) -> Result<(), rtc_crypto::CryptoError> {
        let next = Generation::new(self.current.number.wrapping_add(1), local, remote, crypto)?;
        let current = std::mem::replace(&mut self.current, next);
        // Of two restarts in a row, the path in use belongs to the older credentials.
        let selected = self.selected.and_then(|path| self.find(path)).map(|at| self.generation_at(at));
        let (kept, retired) = match self.previous.take() {
            Some(previous) if selected == Some(previous.number) => (previous, Some(current)),
            older => (current, older),
        };
        self.previous = Some(kept);
        if let Some(retired) = retired {
            events.push_back(TransportEvent::UfragRetired(retired.local_ufrag));
        }
        Ok(())
    }

    /// Takes what claims to be STUN. On success the response has been appended to `reply`.
    pub(super) fn handle(
        &mut self,
        now: Instant,
        path: Path,
        datagram: &[u8],
        reply: &mut Vec<u8>,
        events: &mut VecDeque<TransportEvent>,
    ) -> Result<(), DropReason> {
        let request = BindingRequest::parse(datagram).map_err(|error| match error {
            NotARequest::Malformed => DropReason::MalformedStun,
            NotARequest::Unexpected => DropReason::UnexpectedStun,
        })?;
        let (ours, theirs) = request.fragments().ok_or(DropReason::WrongUsername)?;
        let is_current = self.current.is_named(ours, theirs);
        let generation = if is_current { Some(&mut self.current) } else { self.previous.as_mut() };
        let generation =
            generation.filter(|it| it.is_named(ours, theirs)).ok_or(DropReason::WrongUsername)?;
        let mac = generation.mac.as_mut();
        if !request.is_authentic(mac) {
            return Err(DropReason::BadIntegrity);
        }

        // From here on the request is the peer's, though perhaps not sent by it.
        if !self.checks.admit(request.transaction(), path) {
            return Err(DropReason::Replayed);
        }
        let number = generation.number;
        let is_refused = request.is_controlled || request.unknown_attribute.is_some();
        if request.is_controlled {
            request.write_role_conflict(mac, reply)
        } else if let Some(attribute) = request.unknown_attribute {
            request.write_unknown_attribute(attribute, mac, reply)
        } else {
            request.write_success(path.remote, mac, reply)
        }
        .map_err(|_| DropReason::Internal)?;
        if is_refused {
            return Ok(());
        }

        let was_nominated = self.bind(now, path, number, request.is_nominating, events);
        if self.selected.is_none() {
            self.select(path, events);
        }
        // Only the moment at which a pair becomes nominated counts: with aggressive nomination several pairs carry
        // USE-CANDIDATE for good, and the selection must not swing between them with every check.
        if request.is_nominating && is_current && (!was_nominated || !self.is_nominated) {
            self.is_nominated = true;
            self.select(path, events);
            if let Some(previous) = self.previous.take() {
                events.push_back(TransportEvent::UfragRetired(previous.local_ufrag));
            }
        }
        if self.selected == Some(path) {
            self.heard_at = Some(now);
        } else if is_current && self.is_silent(now, CHECK_MOVES_AFTER) {
            self.select(path, events);
            self.heard_at = Some(now);
        }
        Ok(())
    }

    /// Whether DTLS and SRTP may come on this path.
    #[inline]
    pub(super) fn is_bound(&self, path: Path) -> bool {
        self.selected == Some(path) || self.find(path).is_some()
    }

    /// Authenticated media came on a path. A peer with several nominated paths sends on the one that it selected; one whose
    /// address was changed on the way goes on with the pair that it has, and the old path is silent from then on.
    #[inline]
    pub(super) fn note_media(&mut self, now: Instant, path: Path, events: &mut VecDeque<TransportEvent>) {
        if self.selected != Some(path) {
            let Some(at) = self.paths.iter().find(|it| it.path == path) else { return };
            let is_current = at.generation == self.current.number;
            let is_previous = self.previous.as_ref().is_some_and(|it| it.number == at.generation);
            let is_moved = (is_current || is_previous) && self.is_silent(now, MEDIA_MOVES_AFTER);
            let is_chosen = is_current && at.is_nominated;
            if !(is_moved || is_chosen) {
                return;
            }
            self.select(path, events);
        }
        self.heard_at = Some(now);
    }

    /// Whether the peer has chosen a path yet.
    pub(super) fn is_nominated(&self) -> bool {
        self.is_nominated
    }

    /// Where to send.
    #[inline]
    pub(super) fn selected(&self) -> Option<Path> {
        self.selected
    }

    /// Another transport has authenticated itself on this path since.
    pub(super) fn lose(&mut self, path: Path) {
        self.paths.retain(|it| it.path != path);
        if self.selected == Some(path) {
            self.selected =
                self.paths.iter().max_by_key(|it| (it.is_nominated, it.checked_at)).map(|it| it.path);
            self.is_cut_off = true;
        }
    }

    /// The connection that this path was has ended. Media moves to the next best path at once, if there is one.
    pub(super) fn handle_path_closed(&mut self, path: Path, events: &mut VecDeque<TransportEvent>) {
        let was_selected = self.selected == Some(path);
        self.lose(path);
        if was_selected && let Some(next) = self.selected.take() {
            self.select(next, events);
        }
    }

    /// When a path may have to be forgotten.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let others = self.paths.iter().filter(|it| Some(it.path) != self.selected);
        others.map(|it| it.checked_at + PATH_EXPIRY).min()
    }

    pub(super) fn handle_timeout(&mut self, now: Instant, events: &mut VecDeque<TransportEvent>) {
        let selected = self.selected;
        self.paths.retain(|it| {
            let is_kept = Some(it.path) == selected || now < it.checked_at + PATH_EXPIRY;
            if !is_kept {
                events.push_back(TransportEvent::AddressUnbound(it.path));
            }
            is_kept
        });
    }

    /// Whether nothing has come on the selected path for some time.
    fn is_silent(&self, now: Instant, least: Duration) -> bool {
        self.heard_at.is_none_or(|at| now.saturating_duration_since(at) >= least)
    }

    /// All authenticated paths.
    pub(super) fn paths(&self) -> impl Iterator<Item = Path> {
        self.paths.iter().map(|it| it.path)
    }

    /// The local user name fragments that are good now.
    pub(super) fn local_ufrags(&self) -> impl Iterator<Item = &str> {
        [Some(&self.current), self.previous.as_ref()].into_iter().flatten().map(|it| it.local_ufrag.as_str())
    }

    /// Records an authenticated check; says whether the path was nominated before under the same credentials.
    fn bind(
        &mut self,
        now: Instant,
        path: Path,
        generation: u32,
        is_nominated: bool,
        events: &mut VecDeque<TransportEvent>,
    ) -> bool {
        if let Some(known) = self.paths.iter_mut().find(|it| it.path == path) {
            let was_nominated = known.is_nominated && known.generation == generation;
            *known = BoundPath { path, generation, checked_at: now, is_nominated };
            return was_nominated;
        }
        if self.paths.len() >= MAX_PATHS {
            let selected = self.selected;
            let others = self.paths.iter().enumerate().filter(|(_, it)| Some(it.path) != selected);
            if let Some((stalest, _)) = others.min_by_key(|(_, it)| it.checked_at) {
                let forgotten = self.paths.swap_remove(stalest);
                events.push_back(TransportEvent::AddressUnbound(forgotten.path));
            }
        }
        self.paths.push(BoundPath { path, generation, checked_at: now, is_nominated });
        events.push_back(TransportEvent::AddressBound(path));
        false
    }

    fn select(&mut self, path: Path, events: &mut VecDeque<TransportEvent>) {
        let before = self.selected.replace(path);
        let was_cut_off = std::mem::take(&mut self.is_cut_off);
        if was_cut_off || before.is_some_and(|before| before != path) {
            events.push_back(TransportEvent::PathChanged(path));
        }
    }

    fn find(&self, path: Path) -> Option<usize> {
        self.paths.iter().position(|it| it.path == path)
    }

    fn generation_at(&self, at: usize) -> u32 {
        self.paths.get(at).map_or(self.current.number, |it| it.generation)
    }
}

impl Generation {
    fn new(
        number: u32,
        local: &IceCredentials,
        remote: &IceCredentials,
        crypto: &dyn RTCCryptoProvider,
    ) -> Result<Self, rtc_crypto::CryptoError> {
        Ok(Self {
            number,
            local_ufrag: local.ufrag.clone(),
            remote_ufrag: remote.ufrag.clone(),
            mac: crypto.crypto().new_hmac(HmacAlgorithm::Sha1, local.pwd.as_bytes())?,
        })
    }

    fn is_named(&self, ours: &[u8], theirs: &[u8]) -> bool {
        self.local_ufrag.as_bytes() == ours && self.remote_ufrag.as_bytes() == theirs
    }
}
