use patchbay_protocol::node::AcceptedPublication;
use patchbay_protocol::{
    AnsweredSlot, Description, Grants, Mid, PublicationOffer, SessionId, SlotOffer, SlotSource, Source,
    TrackId, TransportState,
};

use super::*;

/// A room in virtual time, with what came out of it.
struct World {
    room: Room,
    now: Moment,
    next_request: u32,
}

impl World {
    fn new() -> Self {
        let config = RoomConfig { ice_servers: Arc::default(), linger: Duration::from_secs(5), capacity: 3 };
        let now = Moment { at: Instant::now(), unix_ms: 1_000 };
        Self { room: Room::new(now, RoomName::new("demo"), RoomId(7), config), now, next_request: 1 }
    }

    fn handle(&mut self, input: Input) -> Vec<Output> {
        self.room.handle(self.now, input);
        std::iter::from_fn(|| self.room.poll()).collect()
    }

    fn join(&mut self, member: u64, identity: &str, adjust: impl FnOnce(&mut Join)) -> Vec<Output> {
        let mut join = Join {
            identity: identity.into(),
            name: identity.into(),
            metadata: None,
            grants: Grants::default(),
            name_fixed: false,
            metadata_fixed: false,
            session: SessionId::new(format!("s{member}")),
            secret: String::new(),
            transport: TransportId(member),
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

#[test]
fn a_join_with_an_offer_shows_nobody_anything_before_its_answer() {
    let mut world = World::new();
    world.join(1, "ada", |_| {});
    let asked = world.join(2, "grace", |join| join.offer = Some(offer(&[("0", Source::Camera)])));
    assert!(replies(&asked).is_empty() && events(&asked).is_empty());
    let answered = world.answer(&asked);
    let [Ok(Reply::Joined(joined))] = replies(&answered)[..] else { panic!("{answered:?}") };
    assert_eq!(joined.participants.len(), 1);
    assert_eq!(joined.participant.tracks.len(), 1);
    let [(to, ServerEvent::ParticipantJoined { participant })] = events(&answered)[..] else {
        panic!("{answered:?}")
    };
    assert_eq!((to, participant.tracks.len()), (&[MemberId(1)][..], 1));
}

#[test]
fn a_refused_join_leaves_nothing_behind() {
    let mut world = World::new();
    let asked = world.join(1, "ada", |join| join.offer = Some(offer(&[("0", Source::Camera)])));
    let result = CommandResult::failed(ErrorCode::InvalidSdp, "no");
    let refused = world.handle(Input::Done { ticket: Ticket(1), result });
    assert_eq!(commands(&asked).len(), 1);
    assert_eq!(replies(&refused), [Err(ErrorCode::InvalidSdp)]);
    assert!(matches!(commands(&refused)[..], [NodeCommand::CloseTransport { .. }]));
    assert!(refused.contains(&Output::Detached { member: MemberId(1), close: None }));
    assert!(world.room.deadline().is_some(), "the room is empty again");
}

#[test]
fn who_leaves_while_its_offer_is_under_way_gets_every_reply() {
    let mut world = World::new();
    let asked = world.join(1, "ada", |join| join.offer = Some(offer(&[])));
    let gone = world.ask(1, ClientRequest::Leave {});
    assert_eq!(replies(&gone).len(), 2, "the leave and the join");
    assert_eq!(replies(&gone)[1], Err(ErrorCode::NotJoined));
    assert!(matches!(commands(&gone)[..], [NodeCommand::CloseTransport { .. }]));
    assert!(world.answer(&asked).is_empty(), "a late answer concerns nobody");
}

#[test]
fn offers_wait_for_one_another_and_are_bounded() {
    let mut world = World::new();
    world.join(1, "ada", |_| {});
    let ask = |world: &mut World, sources: &[(&str, Source)]| {
        world.ask(1, ClientRequest::Offer { offer: offer(sources) })
    };
    let first = ask(&mut world, &[("0", Source::Camera)]);
    let second = ask(&mut world, &[("0", Source::Camera), ("1", Source::Screen)]);
    assert!(second.is_empty());
    for _ in 0..3 {
        assert!(ask(&mut world, &[]).is_empty());
    }
    assert_eq!(replies(&ask(&mut world, &[])), [Err(ErrorCode::RateLimited)]);
    let answered = world.answer(&first);
    assert!(matches!(replies(&answered)[..], [Ok(Reply::Answered(_))]));
    let [NodeCommand::Negotiate { publications, .. }] = commands(&answered)[..] else {
        panic!("{answered:?}")
    };
    let tracks: Vec<TrackId> = publications.iter().map(|publication| publication.track).collect();
    assert_eq!(tracks, [TrackId(1), TrackId(2)], "the camera keeps its track");
}

#[test]
fn tracks_that_the_node_refuses_are_not_published() {
    let mut world = World::new();
    world.join(1, "ada", |_| {});
    world.join(2, "grace", |_| {});
    world.ask(1, ClientRequest::Offer { offer: offer(&[("0", Source::Camera), ("1", Source::Microphone)]) });
    let publications = vec![AcceptedPublication {
        mid: Mid::new("1"),
        track: TrackId(2),
        kind: patchbay_protocol::MediaKind::Audio,
    }];
    let result = CommandResult::Answered { sdp: String::new(), publications, slots: Vec::new() };
    let answered = world.handle(Input::Done { ticket: Ticket(1), result });
    let [(to, ServerEvent::TrackPublished { track, .. })] = events(&answered)[..] else {
        panic!("{answered:?}")
    };
    assert_eq!((to, track.source), (&[MemberId(2)][..], Source::Microphone));
}

#[test]
fn muting_while_offers_are_under_way_is_not_undone_by_them() {
    let mut world = World::new();
    let joining = world.join(1, "ada", |join| join.offer = Some(offer(&[("0", Source::Microphone)])));
    world.answer(&joining);
    world.join(2, "ben", |_| {});
    let track = TrackId(1);
    let camera = [("0", Source::Microphone), ("1", Source::Camera)];
    let first = world.ask(1, ClientRequest::Offer { offer: offer(&camera) });
    world.ask(1, ClientRequest::Offer { offer: offer(&camera) });
    let muted = world.ask(1, ClientRequest::Mute { track, muted: true });
    assert_eq!(commands(&muted), [&NodeCommand::SetMuted { room: RoomId(7), track, muted: true }]);

    let tells_muted = |outputs: &[Output]| {
        events(outputs).iter().any(|(_, event)| matches!(event, ServerEvent::TrackMuted { .. }))
    };
    let second = world.answer(&first);
    assert!(!tells_muted(&second));
    let waiting = commands(&second).into_iter().find_map(|command| match command {
        NodeCommand::Negotiate { publications, .. } => publications.first().map(|one| one.muted),
        _ => None,
    });
    assert_eq!(waiting, Some(true), "the offer that waited says what holds by now");
    assert!(!tells_muted(&world.answer(&second)));
    let unmuted = world.ask(1, ClientRequest::Mute { track, muted: false });
    assert_eq!(commands(&unmuted), [&NodeCommand::SetMuted { room: RoomId(7), track, muted: false }]);
}

#[test]
fn the_same_identity_replaces_once_it_is_in() {
    let mut world = World::new();
    world.join(1, "ada", |_| {});
    let asked = world.join(2, "ada", |join| join.offer = Some(offer(&[])));
    assert!(!asked.iter().any(|output| matches!(output, Output::Detached { .. })), "not before the answer");
    let answered = world.answer(&asked);
    let close = Some(CloseCode::Replaced);
    assert!(answered.contains(&Output::Detached { member: MemberId(1), close }));
    let hidden = world.join(3, "ada", |join| join.grants.hidden = true);
    assert!(
        !hidden.iter().any(|output| matches!(output, Output::Detached { .. })),
        "a player replaces nobody"
    );
}

#[test]
fn a_watch_finds_its_identity_again_after_a_rejoin() {
    let mut world = World::new();
    let asked = world.join(1, "player", |join| {
        join.grants.hidden = true;
        let mid = Mid::new("0");
        join.offer = Some(Description {
            sdp: String::new(),
            publications: Vec::new(),
            slots: vec![SlotOffer { mid: mid.clone(), source: None, group: None }],
            channels: Vec::new(),
        });
        join.watches = vec![Watch { mid, identity: "ada".into(), source: Source::Camera }];
    });
    world.answer(&asked);
    for number in [2, 3] {
        let joined = world.join(u64::from(number), "ada", |_| {});
        let participant = ParticipantNumber(number);
        let [NodeCommand::SetSlot { source, .. }] = commands(&joined)[..] else { panic!("{joined:?}") };
        assert_eq!(*source, Some(SlotSource::Participant { participant, source: Source::Camera }));
        world.ask(u64::from(number), ClientRequest::Leave {});
    }
}

#[test]
fn a_lost_node_takes_those_it_carried_and_nobody_else() {
    let mut world = World::new();
    world.join(1, "talks", |_| {});
    let asked = world.join(2, "plays", |join| join.offer = Some(offer(&[])));
    world.answer(&asked);
    let lost = world.handle(Input::NodeLost);
    let told: Vec<_> = events(&lost);
    assert_eq!(told[0], (&[MemberId(2)][..], &ServerEvent::Left { reason: LeaveReason::NodeLost }));
    assert!(matches!(told[1].1, ServerEvent::ParticipantLeft { reason: LeaveReason::NodeLost, .. }));
    assert!(commands(&lost).is_empty(), "there is nobody to command");
    assert!(world.room.deadline().is_none());
}

#[test]
fn a_failed_transport_takes_its_participant() {
    let mut world = World::new();
    let asked = world.join(1, "ada", |join| join.offer = Some(offer(&[])));
    world.answer(&asked);
    let state = TransportState::Failed { reason: "silence".into() };
    let out = world.handle(Input::Node(NodeEvent::Transport { transport: TransportId(1), state }));
    assert!(matches!(
        events(&out)[..],
        [(_, ServerEvent::Transport { .. }), (_, ServerEvent::Left { reason: LeaveReason::TransportLost })]
    ));
    assert!(commands(&out).is_empty(), "it is gone on the node already");
}

#[test]
fn hidden_participants_publish_and_write_nothing() {
    let mut world = World::new();
    let hide = |join: &mut Join| join.grants.hidden = true;
    let refused = world.join(1, "ghost", |join| {
        hide(join);
        join.offer = Some(offer(&[("0", Source::Camera)]));
    });
    assert_eq!(replies(&refused), [Err(ErrorCode::NotAllowed)]);
    world.join(2, "ghost", hide);
    assert_eq!(
        replies(&world.ask(2, ClientRequest::Chat { text: "boo".into(), message_id: None })),
        [Err(ErrorCode::NotAllowed)]
    );
}

#[test]
fn an_empty_room_is_over_after_a_while_and_not_before() {
    let mut world = World::new();
    world.join(1, "ada", |_| {});
    assert_eq!(world.room.deadline(), None);
    world.ask(1, ClientRequest::Leave {});
    let deadline = world.room.deadline().expect("a deadline");
    world.room.handle_deadline(world.now);
    assert_eq!(world.room.poll(), None);
    world.room.handle_deadline(Moment { at: deadline, unix_ms: 0 });
    assert_eq!(world.room.poll(), Some(Output::Over));
}

/// Random requests, answers and losses: every request gets exactly one reply, and the roster that members are told of is
/// the roster there is.
#[test]
fn whatever_happens_every_request_has_one_reply() {
    for seed in 1..=200_u64 {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut random = move |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let mut world = World::new();
        world.room.config.capacity = 8;
        let mut asked: BTreeMap<(MemberId, RequestId), u32> = BTreeMap::new();
        let mut tickets: Vec<(Ticket, NodeCommand)> = Vec::new();
        let mut next_member = 1;
        for _ in 0..150 {
            let member = 1 + random(next_member);
            let outputs = match random(10) {
                0..=2 => {
                    let identity = format!("p{}", random(5));
                    let has_offer = random(2) == 0;
                    next_member += 1;
                    world.join(next_member, &identity, |join| {
                        join.offer = has_offer.then(|| offer(&[("0", Source::Camera)]));
                    })
                }
                3 => world.ask(member, ClientRequest::Offer { offer: offer(&[("1", Source::Screen)]) }),
                4 => world.ask(
                    member,
                    ClientRequest::Slot {
                        mid: Mid::new("0"),
                        source: Some(SlotSource::Speaker { speaker: 1 }),
                    },
                ),
                5 => world.ask(
                    member,
                    ClientRequest::Mute { track: TrackId(random(6) as u32), muted: random(2) == 0 },
                ),
                6 => world.ask(member, ClientRequest::Leave {}),
                7 if !tickets.is_empty() => {
                    let (ticket, command) = tickets.remove(random(tickets.len() as u64) as usize);
                    let result = match (random(4), command) {
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
                    world.handle(Input::Done { ticket, result })
                }
                8 if random(10) == 0 => world.handle(Input::NodeLost),
                _ => world
                    .handle(Input::Gone { member: MemberId(member), reason: LeaveReason::ConnectionLost }),
            };
            for output in outputs {
                match output {
                    Output::Reply { member, id, .. } => *asked.entry((member, id)).or_default() += 1,
                    Output::Command { ticket: Some(ticket), command } => tickets.push((ticket, command)),
                    _ => {}
                }
            }
        }
        while let Some((ticket, _)) = tickets.pop() {
            let result = CommandResult::failed(ErrorCode::NoNode, "over");
            for output in world.handle(Input::Done { ticket, result }) {
                match output {
                    Output::Reply { member, id, .. } => *asked.entry((member, id)).or_default() += 1,
                    Output::Command { ticket: Some(ticket), command } => tickets.push((ticket, command)),
                    _ => {}
                }
            }
        }
        world.room.handle(world.now, Input::Shutdown);
        while let Some(output) = world.room.poll() {
            if let Output::Reply { member, id, .. } = output {
                *asked.entry((member, id)).or_default() += 1;
            }
        }
        let replied: std::collections::BTreeSet<RequestId> = asked.keys().map(|(_, id)| *id).collect();
        assert_eq!(replied.len() as u32, world.next_request - 1, "seed {seed}: a request has no reply");
        assert!(asked.values().all(|count| *count == 1), "seed {seed}: a request has two replies");
        assert!(world.room.members.is_empty() && world.room.pending.values().count() == 0, "seed {seed}");
    }
}

#[test]
fn whoever_stays_gets_fresh_credentials_before_the_first_expire() {
    let turn = crate::turn::Turn {
        urls: vec!["turn:turn.example.org".into()],
        secret: crate::auth::Secret::new("shared"),
        ttl: Duration::from_secs(400),
    };
    let mut world = World::new();
    world.room.config.ice_servers = Arc::new(IceServers { fixed: Vec::new(), turn: Some(turn) });
    let outputs = world.join(1, "ada", |_| {});
    let username = |servers: &[patchbay_protocol::IceServer]| servers[0].username.clone().unwrap();
    let Some(Output::Reply { result: Ok(Reply::Joined(joined)), .. }) = outputs.first() else {
        panic!("{outputs:?}")
    };
    assert_eq!(username(&joined.ice_servers), "401:s1");
    world.join(2, "ben", |_| {});
    world.handle(Input::Gone { member: MemberId(2), reason: LeaveReason::Left });

    let due = world.room.deadline().unwrap();
    assert_eq!(due, world.now.at + Duration::from_secs(300));
    world.now = Moment { at: due, unix_ms: 301_000 };
    world.room.handle_deadline(world.now);
    let outputs: Vec<Output> = std::iter::from_fn(|| world.room.poll()).collect();
    let [Output::Event { to, event: ServerEvent::IceServers { ice_servers } }] = &outputs[..] else {
        panic!("{outputs:?}")
    };
    assert_eq!((&to[..], username(ice_servers).as_str()), (&[MemberId(1)][..], "701:s1"));
    assert_eq!(world.room.deadline(), Some(due + Duration::from_secs(300)));
    world.handle(Input::Gone { member: MemberId(1), reason: LeaveReason::Left });
    assert_eq!(
        world.room.deadline(),
        Some(due + Duration::from_secs(5)),
        "nothing is left but the room's end"
    );
}
