//! The examples of the client crate, as they are.

use std::process::Stdio;

use patchbay_e2e::{Mode, Outcome, Server, example_program};

use crate::soon;

async fn run(name: &str, arguments: Vec<&str>) -> Result<String, crate::Error> {
    let mut command = tokio::process::Command::new(example_program(name)?);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let output = soon(name, command.output()).await??;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    Err(format!("{name}: {}\n{text}\n{}", output.status, String::from_utf8_lossy(&output.stderr)).into())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_examples_do_what_they_say() -> Outcome {
    let mut server = Server::start(Mode::Embedded, "client-examples").await?;
    let url = server.url();
    let (ada, ben) = tokio::join!(run("chat", vec![url, "Ada", "3"]), run("chat", vec![url, "Ben", "3"]));
    for (text, other) in [(ada?, "Ben"), (ben?, "Ada")] {
        assert!(
            text.contains(&format!("{other} is here")) || text.contains(&format!("{other} came")),
            "{text}"
        );
        assert!(text.contains(&format!("{other}: hello from {other}")), "{text}");
        assert!(text.contains(&format!("{other} points at")), "{text}");
    }
    let (ada, ben) = tokio::join!(run("game", vec![url, "Ada", "3"]), run("game", vec![url, "Ben", "3"]));
    for text in [ada?, ben?] {
        assert!(text.contains("1 other player"), "{text}");
    }
    let (giver, taker) = tokio::join!(run("transfer", vec![url, "give"]), run("transfer", vec![url, "take"]));
    assert!(giver?.contains("given"), "the giver is done");
    assert!(taker?.contains("took 1000000 bytes of level.bin"), "the taker has it");
    server.check()?;
    Ok(())
}
