//! Commands, carried out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use patchbay_protocol::node::{CommandResult, NodeCommand};
use patchbay_protocol::{ErrorCode, ParticipantNumber, ProtocolError, RoomId, Step, TransportId};
use patchbay_sdp::{Candidate, CandidateAddress, CandidateTransport, IceCredentials};
use rtc_crypto::CryptoError;

use super::blob::Blobs;
use super::member::Member;
use super::negotiation::{Agreed, Negotiation, Proposal};
use super::{Room, Worker};
use crate::router::Router;
use crate::transport::{Transport, TransportSetup};
use crate::{ChannelKey, TransportKey};

impl Worker {
    /// Carries out one command. Whoever calls this has seen to it that a command is carried out once.
    pub fn handle_command(&mut self, now: Instant, command: NodeCommand) -> CommandResult {
        self.members.advance(now);
        let result = self.execute(now, command).unwrap_or_else(CommandResult::from);
        self.resume(now);
        result
    }

    fn execute(&mut self, now: Instant, command: NodeCommand) -> Result<CommandResult, ProtocolError> {
        match command {
            NodeCommand::Negotiate {
                transport,
                room,
                participant,
                sdp,
                publications,
                slots,
                data,
                topics,
                channels,
            } => {
                let slots_wanted = slots.clone();
                let proposal = Proposal::new(&sdp, publications, slots, data)?.with_channels(channels)?;
                let key = match self.transports.get(&transport) {
                    Some(&key) => key,
                    None => self.make_transport(now, transport, room, participant, &proposal)?,
                };
                self.set_data(now, key, data, topics);
                let agreed = self.negotiate(now, key, proposal)?;
                self.apply(now, key, &slots_wanted);
                let Agreed { sdp, publications, slots } = agreed;
                return Ok(CommandResult::Answered { sdp, publications, slots });
            }
            NodeCommand::Candidate { transport, candidate } => {
                let key = self.key(transport)?;
                // Candidates of peers help only to expect them; checks come to us. One that can't be read is refused.
                if !candidate.is_empty() {
                    Candidate::parse(&candidate)
                        .map_err(|error| ProtocolError::new(ErrorCode::InvalidSdp, error.to_string()))?;
                }
                self.after_transport(now, key);
            }
            NodeCommand::SetSlot { transport, mid, source } => {
                let key = self.key(transport)?;
                let Some(member) = self.members.get(key) else { return Err(unknown_transport(transport)) };
                let index = member.room;
                let Some(room) = self.rooms.get_mut(index) else { return Err(unknown_transport(transport)) };
                let is_known = room.router.set_slot(now, key, &mid, source, &mut self.members);
                self.after_router(index);
                if !is_known {
                    return Err(ProtocolError::new(
                        ErrorCode::UnknownSlot,
                        format!("there is no slot {mid}"),
                    ));
                }
            }
            NodeCommand::SetMuted { room, track, muted } => {
                let index = self.room(room)?;
                if let Some(room) = self.rooms.get_mut(index) {
                    room.router.set_muted(now, track, muted, &mut self.members);
                }
                self.after_router(index);
            }
            NodeCommand::CloseTransport { transport } => {
                if let Some(&key) = self.transports.get(&transport) {
                    self.remove_transport(now, key);
                }
            }
            NodeCommand::CloseRoom { room } => {
                if let Some(&index) = self.room_index.get(&room) {
                    if let Some(room) = self.rooms.get_mut(index) {
                        room.blobs.clear();
                    }
                    for key in self.members.of_room(index) {
                        self.remove_transport(now, key);
                    }
                    // One without transports is there for its texts alone.
                    if self.room_index.get(&room) == Some(&index) {
                        self.remove_room(index);
                    }
                }
            }
            NodeCommand::AttachData { transport, room, participant, topics } => {
                self.attach_data(now, transport, room, participant, topics)?;
            }
            NodeCommand::OpenTopic { transport, channel, label, protocol } => {
                self.open_topic(now, self.key(transport)?, ChannelKey(channel), label, protocol)?;
            }
            NodeCommand::CloseTopic { transport, channel } => {
                if let Some(&key) = self.transports.get(&transport) {
                    self.close_topic(now, key, ChannelKey(channel));
                }
            }
            NodeCommand::SendData { transport, channel, messages } => {
                self.send_data(now, self.key(transport)?, ChannelKey(channel), &messages)?;
            }
            NodeCommand::SetData { transport, data, topics } => {
                self.set_data(now, self.key(transport)?, data, topics);
            }
            NodeCommand::StoreBlob { room, blobs } => {
                let index = self.room_or_new(now, room);
                if let Some(room) = self.rooms.get_mut(index) {
                    room.blobs.store(blobs)?;
                }
            }
            NodeCommand::Sync {} => return Ok(CommandResult::Synced { state: self.sync() }),
        }
        Ok(CommandResult::Done {})
    }

    /// Makes a transport that waits for its peer's first check, and its room if it is the first there.
    fn make_transport(
        &mut self,
        now: Instant,
        id: TransportId,
        room: RoomId,
        participant: ParticipantNumber,
        proposal: &Proposal,
    ) -> Result<TransportKey, ProtocolError> {
        let offer = &proposal.offer;
        let local_ice = self.draw_credentials()?;
        let dtls_role = offer
            .dtls_role()
            .map_err(|error| ProtocolError::new(ErrorCode::InvalidSdp, error.to_string()))?;
        let key = self.members.next_key();
        let setup = TransportSetup {
            key,
            local_ice: local_ice.clone(),
            remote_ice: offer.ice.clone(),
            remote_fingerprints: offer.fingerprints.clone(),
            dtls_role,
            data: proposal.data_setup(),
        };
        let transport = Transport::new(now, setup, &self.identity, Arc::clone(&self.crypto))
            .map_err(|error| ProtocolError::new(ErrorCode::InvalidSdp, error.to_string()))?;
        let index = self.room_or_new(now, room);
        self.demux.add_ufrag(&local_ice.ufrag, key);
        let negotiation = Negotiation::new(local_ice, offer, id.0);
        let key = self.members.insert(Member::new(id, participant, index, transport, negotiation));
        self.transports.insert(id, key);
        if let Some(room) = self.rooms.get_mut(index) {
            room.router.attach(now, key, id, participant);
        }
        Ok(key)
    }

    pub(super) fn room_or_new(&mut self, now: Instant, room: RoomId) -> usize {
        if let Some(&index) = self.room_index.get(&room) {
            return index;
        }
        let elapsed =
            u64::try_from(now.saturating_duration_since(self.started).as_nanos()).unwrap_or(u64::MAX);
        let router = Router::new(now, self.unix_nanos.saturating_add(elapsed), self.seed ^ room.0);
        let index = self.rooms.insert(Room { id: room, router, blobs: Blobs::default() });
        self.room_index.insert(room, index);
        index
    }

    /// Answers an offer, restarting ICE if it asks for that. A first offer that fails takes its transport with it.
    fn negotiate(
        &mut self,
        now: Instant,
        key: TransportKey,
        mut proposal: Proposal,
    ) -> Result<Agreed, ProtocolError> {
        let fresh = self.draw_credentials()?;
        let Some(member) = self.members.get_mut(key) else {
            return Err(ProtocolError::new(ErrorCode::UnknownTransport, "the transport is gone"));
        };
        let negotiation = &mut member.negotiation;
        negotiation.check_certificate(&proposal.offer)?;
        if negotiation.remote_ice != proposal.offer.ice {
            negotiation.remote_ice = proposal.offer.ice.clone();
            negotiation.local_ice = fresh.clone();
            member
                .transport
                .restart_ice(now, &fresh, &proposal.offer.ice)
                .map_err(|error| ProtocolError::new(ErrorCode::Internal, error.to_string()))?;
            self.demux.add_ufrag(&fresh.ufrag, key);
        }
        if let Some(data) = proposal.data_setup() {
            member.transport.enable_data(now, data);
        }
        let is_first = negotiation.sections.is_empty();
        let mut channels = std::mem::take(&mut proposal.channels).into_iter();
        let agreed = channels
            .try_for_each(|channel| member.transport.declare_channel(channel))
            .map_err(|error| ProtocolError::new(ErrorCode::InvalidArgument, error.to_string()))
            .and_then(|()| {
                let (ours, candidates) = (self.identity.fingerprint(), self.candidates.clone());
                negotiation.answer(proposal, ours, candidates, &self.random)
            });
        if is_first && agreed.is_ok() {
            let candidates = self.candidates.iter().map(announced).collect();
            member.transport.note(now, Step::Answered { candidates });
        }
        match &agreed {
            Err(_) if is_first => self.remove_transport(now, key),
            // What changed before the offer failed.
            Err(_) => self.after_transport(now, key),
            Ok(_) => {}
        }
        agreed
    }

    /// Tells the room's router what was agreed to.
    fn apply(&mut self, now: Instant, key: TransportKey, slots: &[patchbay_protocol::node::Slot]) {
        let Some(member) = self.members.get(key) else { return };
        let index = member.room;
        let Some(room) = self.rooms.get_mut(index) else { return };
        let (sections, publications) =
            (member.negotiation.sections.clone(), member.negotiation.publications.clone());
        room.router.apply(now, key, &sections, &publications, slots, &mut self.members);
        self.after_transport(now, key);
    }

    fn draw_credentials(&self) -> Result<IceCredentials, ProtocolError> {
        let draw = || -> Result<_, CryptoError> {
            Ok((self.random.ice_ufrag(self.number)?, self.random.ice_pwd()?))
        };
        let (ufrag, pwd) =
            draw().map_err(|error| ProtocolError::new(ErrorCode::Internal, error.to_string()))?;
        Ok(IceCredentials { ufrag, pwd })
    }

    fn key(&self, transport: TransportId) -> Result<TransportKey, ProtocolError> {
        self.transports.get(&transport).copied().ok_or_else(|| unknown_transport(transport))
    }

    fn room(&self, room: RoomId) -> Result<usize, ProtocolError> {
        self.room_index.get(&room).copied().ok_or_else(|| {
            ProtocolError::new(ErrorCode::UnknownRoom, format!("there is no room {room} here"))
        })
    }
}

fn unknown_transport(transport: TransportId) -> ProtocolError {
    ProtocolError::new(ErrorCode::UnknownTransport, format!("there is no transport {transport} here"))
}

/// Where a candidate is, in words.
fn announced(candidate: &Candidate) -> String {
    let place = match &candidate.address {
        CandidateAddress::Ip(ip) => SocketAddr::new(*ip, candidate.port).to_string(),
        CandidateAddress::Hostname(name) => format!("{name}:{}", candidate.port),
    };
    if candidate.transport == CandidateTransport::Udp { place } else { format!("{place}/tcp") }
}
