//! Who may do what: one table for everything a client can ask, and for every part of an offer.
//!
//! A row says between which stages of a session something may be asked, and which grants it needs. Connections ask the table
//! before a request reaches a room, rooms ask it again with what the member may do now. What depends on more than
//! stage and grants (a track that must be one's own, a name that the token fixes, a locked room) is the room's to check.

use patchbay_protocol::{ClientRequest, ErrorCode, Grants, Moderation, ProtocolError, Source};

/// How far a session has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Nothing was said yet.
    Connected,
    /// `hello` was said; it is in no room.
    Greeted,
    /// A join is under way: with the node, or with a moderator.
    Entering,
    /// In a room.
    Joined,
}

/// Something somebody can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Hello,
    Join,
    Offer,
    /// A publication within an offer.
    Publish(Source),
    /// A slot within an offer.
    Receive,
    /// A data channel that an offer declares. Others open without a word to signaling; the node is told who may.
    Declare,
    Candidate,
    Slot,
    Mute,
    Update,
    Presence,
    Chat,
    ChatHistory,
    Refresh,
    Rpc,
    RpcReply,
    TopicOpen,
    TopicSend,
    TopicClose,
    Trouble,
    Ping,
    Leave,
    ModerateMute,
    ModerateStopVideo,
    ModerateRemove,
    ModerateBan,
    ModerateUnban,
    ModerateAdmit,
    ModerateDeny,
    ModeratePromote,
    ModerateLowerHand,
    ModerateUpdateRoom,
    ModerateCloseRoom,
}

/// What it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    /// The grant to publish the source.
    Source(Source),
    /// The grant `subscribe`.
    Subscribe,
    /// The grant `data`.
    Data,
    /// The grant `moderate`.
    Moderate,
    /// Not to be hidden: others would hear of somebody whom they can't see.
    Visible,
}

/// One row of the table.
#[derive(Debug)]
struct Row {
    act: Act,
    from: Stage,
    to: Stage,
    needs: &'static [Need],
}

const fn row(act: Act, from: Stage, to: Stage, needs: &'static [Need]) -> Row {
    Row { act, from, to, needs }
}

use self::Need::{Data, Moderate, Subscribe, Visible};
use self::Stage::{Connected, Entering, Greeted, Joined};

/// The table. No act without a row is ever allowed.
const TABLE: &[Row] = &[
    row(Act::Hello, Connected, Connected, &[]),
    row(Act::Ping, Connected, Joined, &[]),
    row(Act::Join, Greeted, Greeted, &[]),
    row(Act::Candidate, Entering, Joined, &[]),
    row(Act::Leave, Entering, Joined, &[]),
    row(Act::Trouble, Entering, Joined, &[]),
    row(Act::Refresh, Entering, Joined, &[]),
    // An offer by itself needs nothing: its parts do.
    row(Act::Offer, Joined, Joined, &[]),
    row(Act::Publish(Source::Microphone), Greeted, Joined, &[Need::Source(Source::Microphone), Visible]),
    row(Act::Publish(Source::Camera), Greeted, Joined, &[Need::Source(Source::Camera), Visible]),
    row(Act::Publish(Source::Screen), Greeted, Joined, &[Need::Source(Source::Screen), Visible]),
    row(Act::Publish(Source::ScreenAudio), Greeted, Joined, &[Need::Source(Source::ScreenAudio), Visible]),
    row(Act::Receive, Greeted, Joined, &[Subscribe]),
    row(Act::Declare, Greeted, Joined, &[Data]),
    row(Act::Slot, Joined, Joined, &[Subscribe]),
    row(Act::Mute, Joined, Joined, &[]),
    row(Act::Update, Joined, Joined, &[]),
    row(Act::Presence, Joined, Joined, &[]),
    row(Act::Chat, Joined, Joined, &[Data, Visible]),
    row(Act::ChatHistory, Joined, Joined, &[]),
    row(Act::Rpc, Joined, Joined, &[Data, Visible]),
    // Who is called may answer, whatever else it may do.
    row(Act::RpcReply, Joined, Joined, &[]),
    row(Act::TopicOpen, Joined, Joined, &[Data]),
    row(Act::TopicSend, Joined, Joined, &[Data]),
    row(Act::TopicClose, Joined, Joined, &[]),
    row(Act::ModerateMute, Joined, Joined, &[Moderate]),
    row(Act::ModerateStopVideo, Joined, Joined, &[Moderate]),
    row(Act::ModerateRemove, Joined, Joined, &[Moderate]),
    row(Act::ModerateBan, Joined, Joined, &[Moderate]),
    row(Act::ModerateUnban, Joined, Joined, &[Moderate]),
    row(Act::ModerateAdmit, Joined, Joined, &[Moderate]),
    row(Act::ModerateDeny, Joined, Joined, &[Moderate]),
    row(Act::ModeratePromote, Joined, Joined, &[Moderate]),
    row(Act::ModerateLowerHand, Joined, Joined, &[Moderate]),
    row(Act::ModerateUpdateRoom, Joined, Joined, &[Moderate]),
    row(Act::ModerateCloseRoom, Joined, Joined, &[Moderate]),
];

impl Act {
    /// What a request does. Without an arm for each, this does not compile.
    pub(crate) fn of(request: &ClientRequest) -> Self {
        match request {
            ClientRequest::Hello { .. } => Self::Hello,
            ClientRequest::Join { .. } => Self::Join,
            ClientRequest::Offer { .. } => Self::Offer,
            ClientRequest::Candidate { .. } => Self::Candidate,
            ClientRequest::Slot { .. } => Self::Slot,
            ClientRequest::Mute { .. } => Self::Mute,
            ClientRequest::Update { .. } => Self::Update,
            ClientRequest::Presence { .. } => Self::Presence,
            ClientRequest::Chat { .. } => Self::Chat,
            ClientRequest::ChatHistory { .. } => Self::ChatHistory,
            ClientRequest::Refresh { .. } => Self::Refresh,
            ClientRequest::Rpc { .. } => Self::Rpc,
            ClientRequest::RpcReply { .. } => Self::RpcReply,
            ClientRequest::TopicOpen { .. } => Self::TopicOpen,
            ClientRequest::TopicSend { .. } => Self::TopicSend,
            ClientRequest::TopicClose { .. } => Self::TopicClose,
            ClientRequest::Trouble { .. } => Self::Trouble,
            ClientRequest::Ping {} => Self::Ping,
            ClientRequest::Leave {} => Self::Leave,
            ClientRequest::Moderate { action } => match action {
                Moderation::Mute { .. } => Self::ModerateMute,
                Moderation::StopVideo { .. } => Self::ModerateStopVideo,
                Moderation::Remove { .. } => Self::ModerateRemove,
                Moderation::Ban { .. } => Self::ModerateBan,
                Moderation::Unban { .. } => Self::ModerateUnban,
                Moderation::Admit { .. } => Self::ModerateAdmit,
                Moderation::Deny { .. } => Self::ModerateDeny,
                Moderation::Promote { .. } => Self::ModeratePromote,
                Moderation::LowerHand { .. } => Self::ModerateLowerHand,
                Moderation::UpdateRoom { .. } => Self::ModerateUpdateRoom,
                Moderation::CloseRoom {} => Self::ModerateCloseRoom,
            },
        }
    }
}

/// Whether somebody at this stage and with these grants may do something.
///
/// # Errors
/// `hello_expected`, `not_joined`, `already_joined` by the stage; `not_allowed` by the grants.
pub(crate) fn check(act: Act, stage: Stage, grants: &Grants) -> Result<(), ProtocolError> {
    check_stage(act, stage)?;
    let row = find(act)?;
    match row.needs.iter().find(|need| !need.is_met_by(grants)) {
        None => Ok(()),
        Some(need) => Err(ProtocolError::new(ErrorCode::NotAllowed, need.words())),
    }
}

/// The same where only the stage is known.
///
/// # Errors
/// `hello_expected`, `not_joined`, `already_joined`.
pub(crate) fn check_stage(act: Act, stage: Stage) -> Result<(), ProtocolError> {
    let row = find(act)?;
    if stage < row.from {
        return Err(match stage {
            Stage::Connected => ProtocolError::new(ErrorCode::HelloExpected, "say hello first"),
            Stage::Greeted => ProtocolError::new(ErrorCode::NotJoined, "join a room first"),
            _ => ProtocolError::new(ErrorCode::NotJoined, "the join is not done yet; wait for its reply"),
        });
    }
    if stage > row.to {
        let message =
            if act == Act::Hello { "hello was said already" } else { "this session is in a room already" };
        return Err(ProtocolError::new(ErrorCode::AlreadyJoined, message));
    }
    Ok(())
}

fn find(act: Act) -> Result<&'static Row, ProtocolError> {
    let missing = || ProtocolError::new(ErrorCode::NotAllowed, "nobody may do this");
    TABLE.iter().find(|row| row.act == act).ok_or_else(missing)
}

impl Need {
    fn is_met_by(self, grants: &Grants) -> bool {
        match self {
            Self::Source(source) => grants.publish.contains(&source),
            Self::Subscribe => grants.subscribe,
            Self::Data => grants.data,
            Self::Moderate => grants.moderate,
            Self::Visible => !grants.hidden,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Source(_) => "this participant may not publish this source",
            Self::Subscribe => "this participant may not receive media",
            Self::Data => "this participant may not send data or write",
            Self::Moderate => "this participant may not act on others",
            Self::Visible => "a hidden participant may not do this",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use patchbay_protocol::ClientMessage;

    use super::*;

    const STAGES: [Stage; 4] = [Connected, Greeted, Entering, Joined];

    fn everything() -> Grants {
        Grants { moderate: true, record: true, ..Grants::default() }
    }

    fn without(need: Need) -> Grants {
        let mut grants = everything();
        match need {
            Need::Source(source) => grants.publish.retain(|own| *own != source),
            Subscribe => grants.subscribe = false,
            Data => grants.data = false,
            Moderate => grants.moderate = false,
            Visible => grants.hidden = true,
        }
        grants
    }

    fn code(act: Act, stage: Stage, grants: &Grants) -> Option<ErrorCode> {
        check(act, stage, grants).err().map(|error| error.code)
    }

    #[test]
    fn every_row_allows_and_refuses() {
        for row in TABLE {
            for stage in STAGES {
                let expected = match stage {
                    stage if (row.from..=row.to).contains(&stage) => None,
                    Connected => Some(ErrorCode::HelloExpected),
                    stage if stage < row.from => Some(ErrorCode::NotJoined),
                    _ => Some(ErrorCode::AlreadyJoined),
                };
                assert_eq!(code(row.act, stage, &everything()), expected, "{:?} when {stage:?}", row.act);
                if expected.is_some() {
                    continue;
                }
                for need in [Subscribe, Data, Moderate, Visible] {
                    let refused = row.needs.contains(&need).then_some(ErrorCode::NotAllowed);
                    assert_eq!(
                        code(row.act, stage, &without(need)),
                        refused,
                        "{:?} without {need:?}",
                        row.act
                    );
                }
                for source in [Source::Microphone, Source::Camera, Source::Screen, Source::ScreenAudio] {
                    let need = Need::Source(source);
                    let refused = row.needs.contains(&need).then_some(ErrorCode::NotAllowed);
                    assert_eq!(
                        code(row.act, stage, &without(need)),
                        refused,
                        "{:?} without {need:?}",
                        row.act
                    );
                }
            }
        }
    }

    /// The golden messages hold an example of everything a client can say.
    #[test]
    fn every_request_has_one_row_and_every_row_a_request() {
        let text = include_str!("../../protocol/golden/client.json");
        let golden: Vec<serde_json::Value> = serde_json::from_str(text).unwrap();
        let mut seen = BTreeSet::new();
        for value in golden {
            let message: ClientMessage = serde_json::from_value(value["message"].clone()).unwrap();
            let act = Act::of(&message.request);
            assert_eq!(TABLE.iter().filter(|row| row.act == act).count(), 1, "{act:?}");
            seen.insert(format!("{act:?}"));
        }
        let parts = |act: &Act| matches!(act, Act::Publish(_) | Act::Receive | Act::Declare);
        for row in TABLE.iter().filter(|row| !parts(&row.act)) {
            assert!(seen.contains(&format!("{:?}", row.act)), "no golden message asks for {:?}", row.act);
        }
        let mut acts: Vec<String> = TABLE.iter().map(|row| format!("{:?}", row.act)).collect();
        acts.sort();
        assert!(acts.windows(2).all(|pair| pair[0] != pair[1]), "a row stands twice");
    }
}
