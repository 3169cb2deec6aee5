use std::collections::BTreeSet;

use patchbay_protocol::Joined;
use patchbay_protocol::node::{Publication, Slot, TransportSnapshot};

use super::*;

/// What a node holds, as far as a room's commands tell.
#[derive(Default)]
struct Held {
    transports: BTreeMap<TransportId, TransportSnapshot>,
}

impl Held {
    /// Carries commands out as a node does, and gives the room their results.
    fn carry_out(&mut self, world: &mut World, outputs: Vec<Output>) {
        let mut outputs = VecDeque::from(outputs);
        while let Some(output) = outputs.pop_front() {
            let Output::Command { ticket, command } = output else { continue };
            let result = self.carry_out_one(command);
            if let Some(ticket) = ticket {
                outputs.extend(world.handle(Input::Done { ticket, result }));
            }
        }
    }

    fn carry_out_one(&mut self, command: NodeCommand) -> CommandResult {
        match command {
            NodeCommand::Negotiate { transport, room, participant, publications, slots, .. } => {
                let accepted = publications.iter().map(|p| AcceptedPublication {
                    mid: p.mid.clone(),
                    track: p.track,
                    kind: p.source.kind(),
                });
                let answered =
                    slots.iter().map(|s| AnsweredSlot { mid: s.mid.clone(), ssrc: 1, rtx_ssrc: None });
                let result = CommandResult::Answered {
                    sdp: String::new(),
                    publications: accepted.collect(),
                    slots: answered.collect(),
                };
                let snapshot =
                    TransportSnapshot { transport, room, participant, connected: true, publications, slots };
                self.transports.insert(transport, snapshot);
                return result;
            }
            NodeCommand::AttachData { transport, room, participant, .. } => {
                let (publications, slots) = Default::default();
                let connected = true;
                let snapshot =
                    TransportSnapshot { transport, room, participant, connected, publications, slots };
                self.transports.insert(transport, snapshot);
            }
            NodeCommand::SetMuted { track, muted, .. } => {
                let all = self.transports.values_mut().flat_map(|snapshot| &mut snapshot.publications);
                all.filter(|publication| publication.track == track).for_each(|own| own.muted = muted);
            }
            NodeCommand::SetSlot { transport, mid, source } => {
                let slots = self.transports.get_mut(&transport).map(|snapshot| &mut snapshot.slots);
                let Some(slot) = slots.into_iter().flatten().find(|slot| slot.mid == mid) else {
                    return CommandResult::failed(ErrorCode::UnknownSlot, "no such slot");
                };
                slot.source = source;
            }
            NodeCommand::CloseTransport { transport } => {
                self.transports.remove(&transport);
            }
            _ => {}
        }
        CommandResult::Done {}
    }

    fn snapshots(&self) -> Vec<TransportSnapshot> {
        self.transports.values().cloned().collect()
    }
}

fn records(room: &Room) -> BTreeMap<String, String> {
    room.records().into_iter().collect()
}

/// A room made of records, with members from 1,000 on, and what it wants done first.
fn rebuilt(
    world: &World,
    records: &BTreeMap<String, String>,
    held: &Held,
    first: u64,
) -> Result<(Room, Vec<Output>), &'static str> {
    let mut next = first;
    let mint = || {
        next += 1;
        MemberId(next - 1)
    };
    let config = world.room.config.clone();
    let mut room = Room::rebuild(world.now, RoomId(7), records, held.snapshots(), config, mint)?;
    let outputs = std::iter::from_fn(|| room.poll()).collect();
    Ok((room, outputs))
}

/// The room as each of its members would see it, by number.
fn views(room: &Room) -> BTreeMap<ParticipantNumber, Joined> {
    let view = |(member, entry): (&MemberId, &Member)| {
        let mut joined = room.joined(*member, None).expect("a member");
        joined.ice_servers.clear();
        joined.secret.clear();
        // In the store, not in the records.
        joined.chat.clear();
        joined.participants.sort_by_key(|participant| participant.number);
        (entry.number, joined)
    };
    room.members.iter().filter(|(_, entry)| !entry.is_waiting()).map(view).collect()
}

fn receiving(mid: &str, source: Option<SlotSource>) -> Description {
    let slots = vec![SlotOffer { mid: Mid::new(mid), source, group: None }];
    Description { slots, ..offer(&[("0", Source::Camera), ("1", Source::Microphone)]) }
}

/// Random calls with random restarts: the rebuilt room has the same records and looks the same to everybody, has nothing to
/// correct, and no number is given twice.
#[test]
fn records_make_the_same_room_again_whatever_happened_in_it() {
    for seed in 1..=150_u64 {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut random = move |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let mut world = World::new();
        world.room.config.capacity = 8;
        world.room.info.max_participants = 8;
        let mut held = Held::default();
        let mut next_member = 1;
        let mut given: BTreeSet<ParticipantNumber> = BTreeSet::new();
        for _ in 0..120 {
            let there: Vec<u64> = world.room.members.keys().map(|member| member.0).collect();
            let member = there.get(random(there.len().max(1) as u64) as usize).copied().unwrap_or(1);
            let outputs = match random(14) {
                0..=2 => {
                    next_member += 1;
                    let identity = format!("p{}", random(6));
                    let (has_offer, hidden, moderate) = (random(3) > 0, random(6) == 0, random(3) == 0);
                    let outputs = world.join(next_member, &identity, |join| {
                        let source = SlotSource::Speaker { speaker: 1 };
                        join.offer = (has_offer && !hidden).then(|| receiving("2", Some(source)));
                        join.grants.hidden = hidden;
                        join.grants.moderate = moderate;
                        join.name_fixed = moderate;
                        join.watches = vec![Watch {
                            mid: Mid::new("2"),
                            identity: format!("p{}", random(6)),
                            source: Source::Camera,
                        }];
                    });
                    if let Some(entry) = world.room.members.get(&MemberId(next_member)) {
                        assert!(given.insert(entry.number), "seed {seed}: number {} again", entry.number);
                    }
                    outputs
                }
                3 => world.ask(member, ClientRequest::Offer { offer: receiving("3", None) }),
                4 | 5 => {
                    let source = SlotSource::Speaker { speaker: 1 + random(4) as u8 };
                    let mid = Mid::new((2 + random(3)).to_string());
                    world.ask(member, ClientRequest::Slot { mid, source: Some(source) })
                }
                6 | 7 => {
                    let track = TrackId(1 + random(20) as u32);
                    world.ask(member, ClientRequest::Mute { track, muted: random(2) == 0 })
                }
                8 => {
                    let metadata = Some(serde_json::json!({"quote": "\"", "n": random(99)}));
                    let hand_raised = Some(random(2) == 0);
                    let attributes = Some([("key".to_owned(), Some(format!("{}", random(9))))].into());
                    let name = Some(format!("Name {}", random(9)));
                    world.ask(member, ClientRequest::Update { name, metadata, attributes, hand_raised })
                }
                9 => {
                    let changes = RoomChanges {
                        locked: Some(random(8) == 0),
                        metadata: Some(serde_json::json!(random(9))),
                        ..RoomChanges::default()
                    };
                    world.moderate(member, Moderation::UpdateRoom { changes })
                }
                10 => world.ask(member, ClientRequest::Leave {}),
                11 => {
                    let (label, protocol) = (format!("t{}", random(3)), "patchbay".to_owned());
                    world.ask(member, ClientRequest::TopicOpen { label, protocol })
                }
                12 => {
                    let participant = ParticipantNumber(1 + random(12) as u32);
                    world.moderate(member, Moderation::StopVideo { participant })
                }
                _ => {
                    let (before, seen) = (records(&world.room), views(&world.room));
                    let first = 1_000 * (1 + world.now.unix_ms);
                    let (room, outputs) = rebuilt(&world, &before, &held, first).expect("readable");
                    assert_eq!(records(&room), before, "seed {seed}");
                    assert_eq!(views(&room), seen, "seed {seed}");
                    assert_eq!(outputs, [], "seed {seed}: nothing to correct");
                    world.room = room;
                    world.now.unix_ms += 1;
                    assert_eq!(world.handle(Input::Synced(held.snapshots())), [], "seed {seed}");
                    let waiting: Vec<MemberId> = world.room.resumable().map(|(_, member)| member).collect();
                    assert_eq!(waiting.len(), seen.len());
                    waiting
                        .into_iter()
                        .for_each(|member| assert!(world.room.reclaim(world.now, member).is_some()));
                    std::iter::from_fn(|| world.room.poll()).collect()
                }
            };
            held.carry_out(&mut world, outputs);
        }
    }
}

/// Two participants on a node, one with a slot, and the room's records.
fn call() -> (World, Held) {
    let (mut world, mut held) = (World::new(), Held::default());
    for (member, identity) in [(1, "ada"), (2, "grace")] {
        let source = SlotSource::Speaker { speaker: 1 };
        let outputs = world.join(member, identity, |join| join.offer = Some(receiving("2", Some(source))));
        held.carry_out(&mut world, outputs);
    }
    (world, held)
}

#[test]
fn a_session_that_is_taken_up_gets_the_room_and_what_flows_and_others_end_with_their_window() {
    let (mut world, mut held) = call();
    let (room, _) = rebuilt(&world, &records(&world.room), &held, 100).expect("readable");
    world.room = room;
    let state = patchbay_protocol::SlotState {
        source: Some(SlotSource::Speaker { speaker: 1 }),
        participant: Some(ParticipantNumber(2)),
        track: Some(TrackId(3)),
        paused: None,
    };
    let mid = Mid::new("2");
    world.handle(Input::Node(NodeEvent::Slot { transport: TransportId(1), mid: mid.clone(), state }));
    world.handle(Input::Node(NodeEvent::Speakers { room: RoomId(7), speakers: vec![ParticipantNumber(2)] }));

    let ada = MemberId(100);
    let joined = world.room.reclaim(world.now, ada).expect("ada waits");
    assert_eq!((joined.session.as_str(), joined.participant.identity.as_str()), ("s1", "ada"));
    assert_eq!((joined.participants.len(), joined.participant.tracks.len()), (1, 2));
    let outputs: Vec<Output> = std::iter::from_fn(|| world.room.poll()).collect();
    assert!(outputs.contains(&Output::Event { to: vec![ada], event: ServerEvent::Slot { mid, state } }));
    assert!(
        matches!(events(&outputs).last(), Some((_, ServerEvent::Speakers { speakers })) if speakers.len() == 1)
    );
    assert!(world.room.reclaim(world.now, ada).is_some(), "its answer may have been lost");

    assert!(world.pass(Duration::from_secs(29)).is_empty());
    let outputs = world.pass(Duration::from_secs(2));
    let left = ServerEvent::ParticipantLeft {
        participant: ParticipantNumber(2),
        reason: LeaveReason::ConnectionLost,
    };
    assert!(outputs.contains(&Output::Event { to: vec![ada], event: left }));
    held.carry_out(&mut world, outputs);
    assert_eq!(held.transports.keys().collect::<Vec<_>>(), [&TransportId(1)]);
    assert_eq!(world.room.reclaim(world.now, MemberId(101)), None);
    assert!(world.pass(Duration::from_secs(60)).is_empty(), "whoever came back stays");
}

#[test]
fn members_without_their_transport_are_out_and_transports_without_a_member_are_closed() {
    let (world, mut held) = call();
    let mut stored = records(&world.room);
    let stray = TransportSnapshot { transport: TransportId(9), ..held.transports[&TransportId(1)].clone() };
    held.transports.remove(&TransportId(2));
    held.transports.insert(TransportId(9), TransportSnapshot { participant: ParticipantNumber(40), ..stray });
    let (room, outputs) = rebuilt(&world, &stored, &held, 100).expect("readable");
    assert_eq!(room.len(), 1);
    let close = NodeCommand::CloseTransport { transport: TransportId(9) };
    assert_eq!(commands(&outputs), [&close]);
    assert_eq!(room.next_participant, 41, "no number that is in use is given again");

    stored.insert("member/1".into(), r#"{"version":1}"#.into());
    let (room, outputs) = rebuilt(&world, &stored, &held, 100).expect("readable");
    assert_eq!((room.len(), commands(&outputs).len()), (0, 2));
    assert!(room.deadline().is_some(), "an empty room ends");
}

#[test]
fn what_can_not_be_read_makes_no_room() {
    let (world, held) = call();
    let stored = records(&world.room);
    assert!(rebuilt(&world, &BTreeMap::new(), &held, 100).is_err());
    for (from, to) in [("\"version\":1", "\"version\":2"), ("\"demo\"", "\"../demo\""), ("{", "[")] {
        let mut broken = stored.clone();
        broken.insert("room".into(), stored["room"].replacen(from, to, 1));
        assert_ne!(broken, stored);
        assert!(rebuilt(&world, &broken, &held, 100).is_err(), "{from} as {to}");
    }
}

#[test]
fn a_member_that_came_over_http_lasts_as_long_as_its_transport() {
    let (mut world, held) = call();
    world.room.set_resource(MemberId(1));
    let (room, _) = rebuilt(&world, &records(&world.room), &held, 100).expect("readable");
    world.room = room;
    assert_eq!(world.room.resumable().count(), 1);
    world.pass(Duration::from_secs(120));
    assert_eq!(world.room.len(), 1, "the other one is out");
    let failed = TransportState::Failed { reason: "silence".into() };
    let outputs =
        world.handle(Input::Node(NodeEvent::Transport { transport: TransportId(1), state: failed }));
    assert!(outputs.iter().any(|output| matches!(output, Output::Detached { .. })));
    assert_eq!(world.room.len(), 0);
}

#[test]
fn what_a_node_missed_it_is_told_at_the_next_sync_and_nothing_else() {
    let (mut world, held) = call();
    assert_eq!(world.handle(Input::Synced(held.snapshots())), []);
    // Dropped on their way to the node.
    let track = world.room.members[&MemberId(1)].tracks[0].id;
    world.ask(1, ClientRequest::Mute { track, muted: true });
    let source = Some(SlotSource::Speaker { speaker: 3 });
    world.ask(2, ClientRequest::Slot { mid: Mid::new("2"), source });
    let outputs = world.handle(Input::Synced(held.snapshots()));
    let muted = NodeCommand::SetMuted { room: RoomId(7), track, muted: true };
    let slot = NodeCommand::SetSlot { transport: TransportId(2), mid: Mid::new("2"), source };
    assert_eq!(commands(&outputs), [&muted, &slot]);

    // A track that the room knows nothing of any more is silent; a slot likewise is let be.
    let mut snapshots = held.snapshots();
    snapshots[0].publications[0].muted = true;
    snapshots[1].slots[0].source = source;
    snapshots[1].publications.push(Publication {
        mid: Mid::new("9"),
        track: TrackId(99),
        source: Source::Screen,
        muted: false,
    });
    snapshots[1].slots.push(Slot { mid: Mid::new("8"), source: None, group: None });
    let outputs = world.handle(Input::Synced(snapshots));
    let muted = NodeCommand::SetMuted { room: RoomId(7), track: TrackId(99), muted: true };
    assert_eq!(commands(&outputs), [&muted]);
}

#[test]
fn whoever_was_revoked_meanwhile_is_not_taken_in() {
    let (world, held) = call();
    let (mut room, _) = rebuilt(&world, &records(&world.room), &held, 100).expect("readable");
    room.recheck(|identity, _| identity != "ada");
    let outputs: Vec<Output> = std::iter::from_fn(|| room.poll()).collect();
    assert_eq!(commands(&outputs), [&NodeCommand::CloseTransport { transport: TransportId(1) }]);
    assert_eq!(room.resumable().map(|(session, _)| session).collect::<Vec<_>>(), [SessionId::new("s2")]);
}

/// Everybody with as much metadata and as many attributes as there may be, and the longest of names.
#[test]
fn the_records_of_a_full_room_fit_into_what_a_node_keeps() {
    use patchbay_protocol::limit;
    let mut world = World::new();
    world.room.config.capacity = limit::ROOM_PARTICIPANTS;
    world.room.info.max_participants = limit::ROOM_PARTICIPANTS as u32;
    let grants: Vec<patchbay_protocol::TopicGrant> = (0..64)
        .map(|topic| {
            let topic = format!("{topic:0100}");
            serde_json::from_value(serde_json::json!({"topic": topic, "publish": true, "subscribe": true}))
                .expect("a grant")
        })
        .collect();
    for member in 1..=limit::ROOM_PARTICIPANTS as u64 {
        world.join(member, &format!("{member:0128}"), |join| {
            join.name = format!("{member:0128}");
            join.grants.topics = grants.clone();
        });
    }
    // Afterwards, as everybody who joins is told of everybody.
    let quotes = "\"".repeat((limit::METADATA_BYTES - 2) / 2);
    for entry in world.room.members.values_mut() {
        entry.metadata = Some(serde_json::json!(quotes));
        entry.attributes = (0..64).map(|key| (format!("{key:064}"), "\"".repeat(64))).collect();
    }
    let records = world.room.records();
    assert_eq!(records.len(), limit::ROOM_PARTICIPANTS + 2);
    assert!(records.len() < limit::BLOBS);
    assert!(records.iter().all(|(key, text)| key.len() <= 64 && text.len() <= limit::BLOB_BYTES));
    let bytes: usize = records.iter().map(|(key, text)| key.len() + text.len()).sum();
    assert!((16 << 20..limit::ROOM_BLOB_BYTES).contains(&bytes), "{bytes} bytes");
    let held = Held::default();
    let (room, _) = rebuilt(&world, &records.into_iter().collect(), &held, 10_000).expect("readable");
    assert_eq!(room.len(), limit::ROOM_PARTICIPANTS);
}

#[test]
fn whoever_waits_to_be_admitted_has_no_record() {
    let (mut world, held) = call();
    world.room.info.waiting_room = true;
    world.join(3, "linus", |_| {});
    assert!(world.room.members[&MemberId(3)].is_waiting());
    let (room, _) = rebuilt(&world, &records(&world.room), &held, 100).expect("readable");
    assert_eq!((room.len(), room.next_participant), (2, 4));
}
