//! One link of one node, from attach to loss.

use std::time::Duration;

use patchbay_protocol::node::{Command, Event};
use patchbay_protocol::{Epoch, NodeName};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tracing::{info, warn};

use super::NodeHub;
use super::table::{Generation, Outcome, deliver};
use crate::journal::EventKind;

/// How often commands without an answer are looked at.
const SWEEP: Duration = Duration::from_millis(500);

/// Carries a link until it ends, and fails the node's rooms over if no other link comes in time.
pub(super) async fn run(
    hub: NodeHub,
    node: NodeName,
    epoch: Epoch,
    commands: mpsc::Sender<Command>,
    mut events: mpsc::Receiver<Event>,
) {
    let (generation, lost) = hub.table().attach(&node, epoch);
    hub.shared.wake.notify_waiters();
    announce(&hub);
    hub.remember_nodes();
    if !lost.is_empty() {
        warn!(%node, "another process took the node's name, or it started anew; its rooms fail over");
    }
    deliver(lost).await;
    info!(%node, epoch = epoch.0, "node attached");
    hub.tell(EventKind::NodeAttached, &node);
    tokio::select! {
        () = read(&hub, &node, generation, &mut events) => {}
        () = write(&hub, &node, generation, &commands) => {}
        () = sweep(&hub, &node) => {}
    }
    drop((commands, events));

    if !hub.table().detach(&node, generation) {
        info!(%node, "an older link of the node ended");
        return;
    }
    announce(&hub);
    warn!(%node, grace_ms = hub.shared.timing.grace.as_millis() as u64, "the node's link is down");
    sleep(hub.shared.timing.grace).await;
    let (is_lost, lost) = {
        let mut table = hub.table();
        let is_lost = table.is_still_away(&node, generation);
        (is_lost, if is_lost { table.lose(&node) } else { Vec::new() })
    };
    hub.remember_nodes();
    if is_lost {
        hub.tell(EventKind::NodeLost, &node);
    }
    if !lost.is_empty() {
        warn!(%node, "the node is lost; its rooms fail over");
    }
    deliver(lost).await;
}

async fn read(hub: &NodeHub, node: &NodeName, generation: Generation, events: &mut mpsc::Receiver<Event>) {
    let mut last_seq = 0;
    while let Some(event) = events.recv().await {
        if last_seq != 0 && event.seq != last_seq + 1 {
            warn!(%node, expected = last_seq + 1, got = event.seq, "events of the node are missing");
        }
        last_seq = event.seq;
        let Outcome { deliveries, orphans, is_synced } = {
            let mut table = hub.table();
            if !table.is_current(node, generation) {
                return;
            }
            table.handle_event(node, event.event)
        };
        hub.shared.wake.notify_waiters();
        deliver(deliveries).await;
        if is_synced {
            hub.take_in(node, orphans);
            // What was told about those rooms while they were unknown.
            let early = hub.table().end_sync(node);
            deliver(early).await;
            hub.arrive(node);
        }
    }
}

async fn write(hub: &NodeHub, node: &NodeName, generation: Generation, commands: &mpsc::Sender<Command>) {
    loop {
        let woken = hub.shared.wake.notified();
        tokio::pin!(woken);
        // Listening starts before the look at the table, so that nothing submitted in between is missed.
        woken.as_mut().enable();
        let next = {
            let mut table = hub.table();
            if !table.is_current(node, generation) {
                return;
            }
            table.next_unwritten(node, generation)
        };
        match next {
            Some(command) => {
                if commands.send(command).await.is_err() {
                    return;
                }
            }
            None => woken.await,
        }
    }
}

async fn sweep(hub: &NodeHub, node: &NodeName) {
    let mut ticks = interval(SWEEP);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        hub.give_up_expected();
        let late = hub.table().expire(node, hub.shared.timing.command_timeout);
        // There may be something to ask again.
        hub.shared.wake.notify_waiters();
        if !late.is_empty() {
            warn!(%node, count = late.len(), "the node did not answer in time");
        }
        deliver(late).await;
    }
}

fn announce(hub: &NodeHub) {
    let attached = hub.table().attached();
    hub.shared.attached.send_replace(attached);
}
