//! Calls there and back.

use std::time::Duration;

use patchbay_client::{ClientError, ParticipantNumber};
use patchbay_e2e::{Mode, Outcome, Server};
use patchbay_protocol::ErrorCode;

use crate::{join, options};

const WITHIN: Duration = Duration::from_secs(10);

fn code(error: ClientError) -> Result<ErrorCode, ClientError> {
    if let ClientError::Refused(error) = error { Ok(error.code) } else { Err(error) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_answered_refused_or_given_up() -> Outcome {
    let mut server = Server::start(Mode::Embedded, "client-call").await?;
    let ada = join(&server, "calls", "ada").await?;
    // Whoever has no path for datagrams calls and is called as well.
    let ben = patchbay_client::Room::join(server.url(), options("calls", "ben").without_datagrams()).await?;
    for room in [&ada, &ben] {
        room.handle("double", |call| async move {
            let number: i64 = call.payload.parse().map_err(|_| format!("{} is no number", call.payload))?;
            Ok((number * 2).to_string())
        });
    }
    let caller = ada.number();
    ben.handle("who", move |call| async move { Ok(format!("{}", call.from == Some(caller))) });
    ben.handle("never", |_| std::future::pending());
    ben.handle("long", |call| async move { Ok(call.payload) });
    assert_eq!(ada.call(ben.number(), "double", "21", WITHIN).await?, "42");
    assert_eq!(ben.call(ada.number(), "double", "-4", WITHIN).await?, "-8");
    assert_eq!(ada.call(ben.number(), "who", "", WITHIN).await?, "true");
    let long = "x".repeat(15 * 1024);
    assert_eq!(ada.call(ben.number(), "long", &long, WITHIN).await?, long);
    assert!(matches!(
        ada.call(ben.number(), "long", &"x".repeat(15 * 1024 + 1), WITHIN).await,
        Err(ClientError::TooLong { .. })
    ));
    let refused = ada.call(ben.number(), "double", "two", WITHIN).await.err().ok_or("no error")?;
    assert!(refused.to_string().contains("two is no number"), "{refused}");
    assert_eq!(code(refused)?, ErrorCode::RpcFailed);
    let unknown = ada.call(ben.number(), "nothing", "", WITHIN).await.err().ok_or("no error")?;
    assert_eq!(code(unknown)?, ErrorCode::RpcFailed);
    let late =
        ada.call(ben.number(), "never", "", Duration::from_millis(300)).await.err().ok_or("no error")?;
    assert_eq!(code(late)?, ErrorCode::RpcTimeout);
    let nobody = ada.call(ParticipantNumber(999), "double", "1", WITHIN).await.err().ok_or("no error")?;
    assert_eq!(code(nobody)?, ErrorCode::UnknownParticipant);
    // Many at once, each with its own answer, through a connection that breaks.
    let calls: Vec<_> = (0..24)
        .map(|number: i32| {
            let (ada, to) = (ada.clone(), ben.number());
            tokio::spawn(async move { ada.call(to, "double", &number.to_string(), WITHIN).await })
        })
        .collect();
    ada.signaling().cut();
    ben.signaling().cut();
    for (number, call) in calls.into_iter().enumerate() {
        assert_eq!(call.await??, (number * 2).to_string());
    }
    server.check()?;
    Ok(())
}
