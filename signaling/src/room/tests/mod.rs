use patchbay_protocol::node::AcceptedPublication;
use patchbay_protocol::{
    AnsweredSlot, ChatLine, Description, Grants, Mid, Moderation, PublicationOffer, RoomChanges, SessionId,
    SlotOffer, SlotSource, Source, TrackId, TransportState,
};

use super::*;

mod chat;
mod entry;
mod expiry;
mod moderation;
mod negotiation;
mod persist;
mod presence;
mod random;
mod rpc;
mod server;
mod topic;
mod waiting;

/// A room in virtual time, with what came out of it.
struct World {
    room: Room,
    now: Moment,
    next_request: u32,
}

impl World {
    fn new() -> Self {
        let config = RoomConfig {
            ice_servers: Arc::default(),
            linger: Duration::from_secs(5),
            capacity: 3,
            resume_window: Duration::from_secs(30),
            bounds: crate::config::Bounds::default(),
            is_kept: false,
            history: HistoryLimit { lines: 5, bytes: 10_000 },
        };
        let now = Moment { at: Instant::now(), unix_ms: 1_000 };
        Self { room: Room::new(now, RoomName::new("demo"), RoomId(7), config), now, next_request: 1 }
    }

    fn handle(&mut self, input: Input) -> Vec<Output> {
        self.room.handle(self.now, input);
        std::iter::from_fn(|| self.room.poll()).collect()
    }

    fn join(&mut self, member: u64, identity: &str, adjust: impl FnOnce(&mut Join)) -> Vec<Output> {
        let mut join = Join {
            trace: tracing::Span::none(),
            identity: identity.into(),
            name: identity.into(),
            metadata: None,
            grants: Grants::default(),
            name_fixed: false,
            metadata_fixed: false,
            session: SessionId::new(format!("s{member}")),
            secret: String::new(),
            transport: TransportId(member),
            data_transport: TransportId(1_000 + member),
            credential: None,
            offer: None,
            watches: Vec::new(),
        };
        adjust(&mut join);
        let id = self.request_id();
        self.handle(Input::Join { member: MemberId(member), id, join: Box::new(join) })
    }

    fn ask(&mut self, member: u64, request: ClientRequest) -> Vec<Output> {
        let id = self.request_id();
        self.handle(Input::Request { member: MemberId(member), id, request })
    }

    /// Somebody who may act on others.
    fn join_moderator(&mut self, member: u64, identity: &str) -> Vec<Output> {
        self.join(member, identity, |join| join.grants.moderate = true)
    }

    fn moderate(&mut self, member: u64, action: Moderation) -> Vec<Output> {
        self.ask(member, ClientRequest::Moderate { action })
    }

    /// Joins with tracks, which the node takes.
    fn join_publishing(&mut self, member: u64, identity: &str, sources: &[(&str, Source)]) -> Vec<Output> {
        let asked = self.join(member, identity, |join| join.offer = Some(offer(sources)));
        self.answer(&asked)
    }

    /// Lets time pass and does what is due until then.
    fn pass(&mut self, time: Duration) -> Vec<Output> {
        let end = self.now.at + time;
        let mut outputs = Vec::new();
        while let Some(due) = self.room.deadline().filter(|due| *due <= end) {
            self.now = Moment { at: due, unix_ms: self.now.unix_ms };
            self.room.handle_deadline(self.now);
            outputs.extend(std::iter::from_fn(|| self.room.poll()));
            if outputs.last() == Some(&Output::Over) {
                break;
            }
        }
        self.now.at = end;
        outputs
    }

    fn request_id(&mut self) -> RequestId {
        self.next_request += 1;
        RequestId(self.next_request)
    }

    /// Answers the negotiation that is among the outputs, taking everything.
    fn answer(&mut self, outputs: &[Output]) -> Vec<Output> {
        let (ticket, result) = outputs
            .iter()
            .find_map(|output| match output {
                Output::Command {
                    ticket: Some(ticket),
                    command: NodeCommand::Negotiate { publications, slots, .. },
                } => {
                    let publications = publications
                        .iter()
                        .map(|p| AcceptedPublication {
                            mid: p.mid.clone(),
                            track: p.track,
                            kind: p.source.kind(),
                        })
                        .collect();
                    let slots = slots
                        .iter()
                        .map(|s| AnsweredSlot { mid: s.mid.clone(), ssrc: 1, rtx_ssrc: None })
                        .collect();
                    Some((*ticket, CommandResult::Answered { sdp: "answer".into(), publications, slots }))
                }
                _ => None,
            })
            .expect("a negotiation");
        self.handle(Input::Done { ticket, result })
    }
}

fn offer(sources: &[(&str, Source)]) -> Description {
    let publications = sources
        .iter()
        .map(|(mid, source)| PublicationOffer { mid: Mid::new(*mid), source: *source, muted: false })
        .collect();
    Description { sdp: "offer".into(), publications, slots: Vec::new(), channels: Vec::new() }
}

fn replies(outputs: &[Output]) -> Vec<Result<&Reply, ErrorCode>> {
    outputs
        .iter()
        .filter_map(|output| match output {
            Output::Reply { result, .. } => Some(result.as_ref().map_err(|error| error.code)),
            _ => None,
        })
        .collect()
}

fn events(outputs: &[Output]) -> Vec<(&[MemberId], &ServerEvent)> {
    outputs
        .iter()
        .filter_map(|output| match output {
            Output::Event { to, event } => Some((to.as_slice(), event)),
            _ => None,
        })
        .collect()
}

fn commands(outputs: &[Output]) -> Vec<&NodeCommand> {
    outputs
        .iter()
        .filter_map(|output| match output {
            Output::Command { command, .. } => Some(command),
            _ => None,
        })
        .collect()
}

/// The room as whoever just joined was told.
fn joined(outputs: &[Output]) -> &patchbay_protocol::Joined {
    let found = outputs.iter().find_map(|output| match output {
        Output::Reply { result: Ok(Reply::Joined(joined)), .. } => Some(joined),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("nobody joined: {outputs:?}"))
}

/// The one refusal, or nothing when the request was done.
fn refusal(outputs: &[Output]) -> Option<ErrorCode> {
    let [reply] = replies(outputs)[..] else { panic!("one reply: {outputs:?}") };
    reply.err()
}

/// Events that one member got.
fn told(outputs: &[Output], member: u64) -> Vec<&ServerEvent> {
    let is_told = |(to, event)| -> Option<&ServerEvent> {
        let to: &[MemberId] = to;
        to.contains(&MemberId(member)).then_some(event)
    };
    events(outputs).into_iter().filter_map(is_told).collect()
}

fn chat(text: &str, message_id: Option<&str>) -> ClientRequest {
    ClientRequest::Chat { text: text.into(), message_id: message_id.map(Into::into) }
}
