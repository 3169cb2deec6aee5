use std::collections::BTreeSet;

use super::*;

/// A generator that gives the same again for the same seed.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    fn below(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }

    fn flip(&mut self) -> bool {
        self.below(2) == 0
    }
}

/// A room with what it waits for, and how often each request was answered.
struct Life {
    world: World,
    replies: BTreeMap<(MemberId, RequestId), u32>,
    commands: Vec<(Ticket, NodeCommand)>,
    writes: Vec<Ticket>,
    calls: Vec<(MemberId, u64)>,
    /// What the node would hold.
    transports: BTreeSet<TransportId>,
}

impl Life {
    fn take(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Reply { member, id, .. } => *self.replies.entry((member, id)).or_default() += 1,
                Output::Command { ticket, command } => {
                    match &command {
                        NodeCommand::Negotiate { transport, .. }
                        | NodeCommand::AttachData { transport, .. } => {
                            self.transports.insert(*transport);
                        }
                        NodeCommand::CloseTransport { transport } => {
                            self.transports.remove(transport);
                        }
                        _ => {}
                    }
                    if let Some(ticket) = ticket {
                        self.commands.push((ticket, command));
                    }
                }
                Output::Store { ticket, .. } => self.writes.push(ticket),
                Output::Event { to, event: ServerEvent::RpcRequest { call, .. } } => {
                    self.calls.extend(to.into_iter().map(|member| (member, call)));
                }
                _ => {}
            }
        }
    }

    fn answer(&mut self, random: &mut Random, index: usize) {
        let (ticket, command) = self.commands.remove(index);
        let result = match (random.below(4), command) {
            (0, _) => CommandResult::failed(ErrorCode::Overloaded, "no"),
            (_, NodeCommand::Negotiate { publications, .. }) => CommandResult::Answered {
                sdp: String::new(),
                publications: publications
                    .iter()
                    .map(|p| AcceptedPublication {
                        mid: p.mid.clone(),
                        track: p.track,
                        kind: p.source.kind(),
                    })
                    .collect(),
                slots: Vec::new(),
            },
            _ => CommandResult::Done {},
        };
        let outputs = self.world.handle(Input::Done { ticket, result });
        self.take(outputs);
    }
}

fn any_action(random: &mut Random) -> Moderation {
    let participant = ParticipantNumber(1 + random.below(30) as u32);
    match random.below(11) {
        0 => Moderation::Mute { track: TrackId(random.below(6) as u32) },
        1 => Moderation::StopVideo { participant },
        2 => Moderation::Remove { participant },
        3 => Moderation::Ban { participant },
        4 => Moderation::Unban { identity: format!("p{}", random.below(5)) },
        5 | 6 => Moderation::Admit { participant },
        7 => Moderation::Deny { participant },
        8 => {
            let grants = Grants {
                publish: if random.flip() { vec![Source::Camera] } else { Vec::new() },
                subscribe: random.flip(),
                data: random.flip(),
                moderate: random.flip(),
                ..Grants::default()
            };
            Moderation::Promote { participant, grants }
        }
        9 => {
            let waiting_room = Some(random.flip());
            let locked = Some(random.below(8) == 0);
            Moderation::UpdateRoom { changes: RoomChanges { waiting_room, locked, ..RoomChanges::default() } }
        }
        _ if random.below(20) == 0 => Moderation::CloseRoom {},
        _ => Moderation::LowerHand { participant },
    }
}

fn any_request(random: &mut Random) -> ClientRequest {
    match random.below(13) {
        0 => ClientRequest::Offer { offer: offer(&[("1", Source::Screen)]) },
        1 => ClientRequest::Slot { mid: Mid::new("0"), source: Some(SlotSource::Speaker { speaker: 1 }) },
        2 => ClientRequest::Mute { track: TrackId(random.below(6) as u32), muted: random.flip() },
        3 => ClientRequest::Leave {},
        4 => chat("text", random.flip().then_some("same")),
        5 => ClientRequest::ChatHistory { before: None, limit: None },
        6 => ClientRequest::Presence { state: None, typing: Some(random.flip()) },
        7 => ClientRequest::Rpc {
            to: ParticipantNumber(1 + random.below(30) as u32),
            method: "m".into(),
            payload: String::new(),
            timeout_ms: Some(1 + random.below(5_000) as u32),
        },
        8 => ClientRequest::TopicOpen { label: "t".into(), protocol: "patchbay".into() },
        9 => ClientRequest::TopicSend { channel: 1 + random.below(3) as u16, messages: vec!["AA==".into()] },
        10 => ClientRequest::TopicClose { channel: 1 + random.below(3) as u16 },
        _ => ClientRequest::Moderate { action: any_action(random) },
    }
}

/// Random requests, answers and losses: every request gets exactly one reply, and in the end nothing is left: no member, no
/// deadline, no call, no transport on the node.
#[test]
fn whatever_happens_every_request_has_one_reply_and_nothing_stays() {
    for seed in 1..=400_u64 {
        let mut random = Random::new(seed);
        let mut world = World::new();
        world.room.config.capacity = 8;
        world.room.config.is_kept = random.flip();
        world.room.info.max_participants = 8;
        let mut life = Life {
            world,
            replies: BTreeMap::new(),
            commands: Vec::new(),
            writes: Vec::new(),
            calls: Vec::new(),
            transports: BTreeSet::new(),
        };
        let mut last_member = 1;
        for _ in 0..200 {
            let member = 1 + random.below(last_member);
            let outputs = match random.below(12) {
                0..=2 => {
                    let identity = format!("p{}", random.below(5));
                    let (has_offer, moderate) = (random.flip(), random.flip());
                    last_member += 1;
                    life.world.join(last_member, &identity, |join| {
                        join.offer = has_offer.then(|| offer(&[("0", Source::Camera)]));
                        join.grants.moderate = moderate;
                    })
                }
                3 if !life.commands.is_empty() => {
                    let index = random.below(life.commands.len() as u64) as usize;
                    life.answer(&mut random, index);
                    continue;
                }
                4 if !life.writes.is_empty() => {
                    let ticket = life.writes.remove(0);
                    let result = if random.below(4) == 0 {
                        Err(crate::store::StoreError::Busy)
                    } else {
                        Ok(seed + ticket.0)
                    };
                    life.world.handle(Input::Stored { ticket, result })
                }
                5 if !life.calls.is_empty() => {
                    let (callee, call) = life.calls.remove(0);
                    let answer = ClientRequest::RpcReply { call, payload: Some(String::new()), error: None };
                    life.world.ask(callee.0, answer)
                }
                6 if random.below(10) == 0 => {
                    life.transports.clear();
                    life.world.handle(Input::NodeLost)
                }
                7 => life
                    .world
                    .handle(Input::Gone { member: MemberId(member), reason: LeaveReason::ConnectionLost }),
                8 => {
                    let time = Duration::from_millis(random.below(2_000));
                    life.world.pass(time)
                }
                _ => life.world.ask(member, any_request(&mut random)),
            };
            life.take(outputs);
        }
        while !life.commands.is_empty() {
            life.answer(&mut random, 0);
        }
        while let Some(ticket) = life.writes.pop() {
            let outputs = life.world.handle(Input::Stored { ticket, result: Ok(0) });
            life.take(outputs);
        }
        let outputs = life.world.handle(Input::Shutdown);
        life.take(outputs);

        let replied: BTreeSet<RequestId> = life.replies.keys().map(|(_, id)| *id).collect();
        assert_eq!(replied.len() as u32, life.world.next_request - 1, "seed {seed}: a request has no reply");
        assert!(life.replies.values().all(|count| *count == 1), "seed {seed}: a request has two replies");
        let room = &life.world.room;
        assert!(room.members.is_empty() && room.transports.is_empty(), "seed {seed}: members stay");
        assert!(
            room.pending.is_empty() && room.queue.is_empty() && room.ban_writes.is_empty(),
            "seed {seed}"
        );
        assert!(room.deadlines.is_empty(), "seed {seed}: {:?}", room.deadlines);
        assert_eq!(life.transports, BTreeSet::new(), "seed {seed}: the node holds what nobody has");
    }
}
