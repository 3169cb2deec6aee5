//! Between the link and the workers: one task that never waits for either.
//!
//! In: commands from the link, and what the workers say. Out: messages in the workers' mailboxes, and numbered events on
//! the link. It makes commands idempotent and fences them ([`CommandLog`]), knows which worker has which room
//! ([`route::RouteTable`]), puts together what concerns all workers (`sync`, reports), and answers each command exactly
//! once.

mod part;
mod report;
mod route;

use std::collections::HashMap;
use std::time::Duration;

use patchbay_protocol::node::{Command, CommandResult, Event, NodeCommand, NodeEvent, NodeState};
use patchbay_protocol::{
    CommandId, Epoch, ErrorCode, NodeName, ProtocolError, RoomId, TransportId, TransportState,
};
use patchbay_sfu_core::command_log::{Admission, CommandLog};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Interval, MissedTickBehavior, interval};
use tracing::{Span, info_span};

use crate::link::{Attachment, Control, LinkNumber};
use crate::tcp::TcpIntake;
use crate::worker::{FromWorker, Ticket, ToWorker, WorkerHandle, WorkerIndex};
pub(crate) use report::ProcessFacts;
use report::Report;
use route::RouteTable;

/// How often counters are reported.
const REPORT_INTERVAL: Duration = Duration::from_secs(5);
/// How long threads may take to end before the process goes on without them.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// When to try again after a worker's mailbox was full.
const OVERLOAD_RETRY: Duration = Duration::from_millis(500);

/// What a dispatcher starts with.
pub(crate) struct DispatcherStart {
    pub(crate) name: NodeName,
    pub(crate) epoch: Epoch,
    pub(crate) workers: Vec<WorkerHandle>,
    pub(crate) from_workers: mpsc::Receiver<FromWorker>,
    pub(crate) control: mpsc::Receiver<Control>,
    pub(crate) facts: ProcessFacts,
    pub(crate) intake: TcpIntake,
}

pub(crate) struct Dispatcher {
    start: DispatcherStart,
    log: CommandLog,
    routes: RouteTable,
    link: Option<Attachment>,
    links: u64,
    last_seq: u64,
    last_ticket: u64,
    pending: HashMap<Ticket, Pending>,
    gatherings: HashMap<GatherId, Gathering>,
    reporting: Option<(usize, Report)>,
    dropped_events: u64,
    report_tick: Interval,
    /// Nothing new is to come here.
    is_draining: bool,
    /// Who waits for the last transport to end.
    drained: Option<oneshot::Sender<()>>,
    /// Traces of transports that have an answer and no connection yet.
    connecting: HashMap<TransportId, Span>,
}

/// A question to all workers, by the ticket of the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct GatherId(Ticket);

struct Gathering {
    epoch: Epoch,
    id: CommandId,
    remaining: usize,
    state: NodeState,
}

/// What a worker's answer is for.
enum Pending {
    Command {
        epoch: Epoch,
        id: CommandId,
        effect: Effect,
        /// Of the trace of a join.
        span: Span,
    },
    Gather(GatherId),
    Report,
    /// A room that nobody knows is being closed.
    Sweep,
}

/// What a command does to the routes once it is answered.
enum Effect {
    None,
    Negotiation { transport: TransportId, room: RoomId, worker: WorkerIndex },
    CloseTransport(TransportId),
    CloseRoom(RoomId),
}

/// Where a command goes.
enum Route {
    Worker(WorkerIndex, Effect),
    /// Nobody has it any more, which is what the command wants.
    Nowhere,
}

impl Dispatcher {
    pub(crate) fn new(start: DispatcherStart) -> Self {
        let mut report_tick = interval(REPORT_INTERVAL);
        report_tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            routes: RouteTable::new(start.workers.len()),
            start,
            log: CommandLog::default(),
            link: None,
            links: 0,
            last_seq: 0,
            last_ticket: 0,
            pending: HashMap::new(),
            gatherings: HashMap::new(),
            reporting: None,
            dropped_events: 0,
            report_tick,
            is_draining: false,
            drained: None,
            connecting: HashMap::new(),
        }
    }

    /// Runs until told to stop, or until nobody is left to tell; then ends the workers.
    pub(crate) async fn run(mut self) {
        loop {
            tokio::select! {
                control = self.start.control.recv() => match control {
                    Some(Control::Attach { attachment, number }) => {
                        let attached = self.attach(attachment);
                        if let Some(number) = number {
                            // A dialler that no longer waits has dropped its end of the link too.
                            let _ = number.send(attached);
                        }
                    }
                    Some(Control::Refuse { link, command, error }) => {
                        if link == LinkNumber(self.links) {
                            self.emit(NodeEvent::Done { command, result: error.into() });
                        }
                    }
                    Some(Control::Drain(drained)) => {
                        self.drained = Some(drained);
                        self.is_draining = true;
                        self.emit(NodeEvent::Draining {});
                    }
                    Some(Control::Stop) | None => break,
                },
                message = self.start.from_workers.recv() => {
                    let Some(message) = message else { break };
                    self.handle_worker(message);
                }
                command = next_command(&mut self.link) => match command {
                    Some(command) => self.handle_command(command),
                    None => {
                        self.link = None;
                        tracing::info!(node = %self.start.name, "signaling is gone; transports live on");
                    }
                },
                _ = self.report_tick.tick() => self.begin_report(),
            }
            if self.routes.transport_count() == 0
                && let Some(drained) = self.drained.take()
            {
                let _ = drained.send(());
            }
        }
        self.stop().await;
    }

    fn attach(&mut self, attachment: Attachment) -> LinkNumber {
        let says_hello = attachment.says_hello;
        // What the link before did not take is lost with it: a sync follows.
        self.link = Some(attachment);
        self.links += 1;
        if says_hello {
            self.emit(NodeEvent::Hello {
                node: self.start.name.clone(),
                epoch: self.start.epoch,
                version: env!("CARGO_PKG_VERSION").to_owned(),
            });
        }
        if self.is_draining {
            self.emit(NodeEvent::Draining {});
        }
        LinkNumber(self.links)
    }

    fn handle_command(&mut self, Command { id, epoch, traceparent, command }: Command) {
        if matches!(command, NodeCommand::Sync {}) {
            // It changes nothing, and an old answer would be worse than none: carried out each time.
            match self.log.fence(epoch) {
                Ok(()) => self.begin_sync(epoch, id),
                Err(error) => self.emit(NodeEvent::Done { command: id, result: error.into() }),
            }
            return;
        }
        match self.log.admit(epoch, id) {
            Admission::Execute => {}
            Admission::InProgress => return,
            Admission::Answered(result) => return self.emit(NodeEvent::Done { command: id, result }),
            Admission::Refused(error) => {
                return self.emit(NodeEvent::Done { command: id, result: error.into() });
            }
        }
        match self.route(&command) {
            Err(error) => self.finish(epoch, id, error.into()),
            Ok(Route::Nowhere) => self.finish(epoch, id, CommandResult::Done {}),
            Ok(Route::Worker(worker, effect)) => {
                let ticket = self.ticket();
                let span = match traceparent {
                    Some(parent) => {
                        let node = &self.start.name;
                        let span = info_span!(target: patchbay_trace::TARGET, parent: None, "node", %node, worker = worker.0);
                        patchbay_trace::continue_from(&span, &parent);
                        span
                    }
                    None => Span::none(),
                };
                let told = ToWorker::Command { ticket, command, span: span.clone() };
                match self.start.workers[worker.0].tell(told) {
                    Ok(()) => {
                        self.pending.insert(ticket, Pending::Command { epoch, id, effect, span });
                    }
                    Err(_) => {
                        if let Effect::Negotiation { transport, room, worker } = effect {
                            self.routes.end_negotiation(transport, room, worker, false);
                        }
                        // Not an answer to keep: a repeat shall be tried.
                        self.log.withdraw(epoch, id);
                        self.emit(NodeEvent::Done { command: id, result: overloaded().into() });
                    }
                }
            }
        }
    }

    fn route(&mut self, command: &NodeCommand) -> Result<Route, ProtocolError> {
        Ok(match *command {
            NodeCommand::Negotiate { transport, room, .. }
            | NodeCommand::AttachData { transport, room, .. } => {
                let worker = self.routes.begin_negotiation(transport, room)?;
                Route::Worker(worker, Effect::Negotiation { transport, room, worker })
            }
            NodeCommand::Candidate { transport, .. }
            | NodeCommand::SetSlot { transport, .. }
            | NodeCommand::OpenTopic { transport, .. }
            | NodeCommand::CloseTopic { transport, .. }
            | NodeCommand::SendData { transport, .. }
            | NodeCommand::SetData { transport, .. } => {
                Route::Worker(self.routes.transport(transport)?, Effect::None)
            }
            NodeCommand::SetMuted { room, .. } => Route::Worker(self.routes.room(room)?, Effect::None),
            NodeCommand::StoreBlob { room, .. } => Route::Worker(self.routes.keep_room(room), Effect::None),
            NodeCommand::CloseTransport { transport } => match self.routes.transport(transport) {
                Ok(worker) => Route::Worker(worker, Effect::CloseTransport(transport)),
                Err(_) => Route::Nowhere,
            },
            NodeCommand::CloseRoom { room } => match self.routes.room(room) {
                Ok(worker) => Route::Worker(worker, Effect::CloseRoom(room)),
                Err(_) => Route::Nowhere,
            },
            NodeCommand::Sync {} => Route::Nowhere,
        })
    }

    fn handle_worker(&mut self, message: FromWorker) {
        match message {
            FromWorker::Event { event } => {
                if let NodeEvent::Transport { transport, .. } = &event {
                    self.connecting.remove(transport);
                }
                if let NodeEvent::Transport { transport, state: TransportState::Failed { .. } } = &event {
                    self.routes.remove_transport(*transport);
                }
                self.emit(event);
            }
            FromWorker::Result { ticket, result } => match self.pending.remove(&ticket) {
                Some(Pending::Command { epoch, id, effect, span }) => {
                    if let (Effect::Negotiation { transport, .. }, CommandResult::Answered { .. }) =
                        (&effect, &result)
                        && !span.is_none()
                    {
                        let connect =
                            info_span!(target: patchbay_trace::TARGET, parent: &span, "connect", %transport);
                        self.connecting.insert(*transport, connect);
                    }
                    self.apply(&effect, &result);
                    self.finish(epoch, id, result);
                }
                Some(Pending::Sweep | Pending::Gather(_) | Pending::Report) | None => {}
            },
            FromWorker::Snapshot { ticket, state } => {
                if let Some(Pending::Gather(gather)) = self.pending.remove(&ticket) {
                    self.gather(gather, state);
                }
            }
            FromWorker::Counters { ticket, counters } => {
                if let Some(Pending::Report) = self.pending.remove(&ticket) {
                    self.continue_report(&counters);
                }
            }
            FromWorker::Crashed { worker } => {
                for transport in self.routes.remove_worker(worker) {
                    let reason =
                        "the media server had a fault and lost this connection; join again".to_owned();
                    self.emit(NodeEvent::Transport { transport, state: TransportState::Failed { reason } });
                }
            }
        }
    }

    fn apply(&mut self, effect: &Effect, result: &CommandResult) {
        match *effect {
            Effect::None => {}
            Effect::Negotiation { transport, room, worker } => {
                let is_answered = !matches!(result, CommandResult::Failed { .. });
                if self.routes.end_negotiation(transport, room, worker, is_answered) {
                    let ticket = self.ticket();
                    let sweep = ToWorker::Command {
                        ticket,
                        command: NodeCommand::CloseRoom { room },
                        span: Span::none(),
                    };
                    if self.start.workers[worker.0].tell(sweep).is_ok() {
                        self.pending.insert(ticket, Pending::Sweep);
                    }
                }
            }
            Effect::CloseTransport(transport) => {
                if !matches!(result, CommandResult::Failed { .. }) {
                    self.routes.remove_transport(transport);
                }
            }
            Effect::CloseRoom(room) => {
                if !matches!(result, CommandResult::Failed { .. }) {
                    self.routes.remove_room(room);
                }
            }
        }
    }

    fn begin_sync(&mut self, epoch: Epoch, id: CommandId) {
        let mut asked = Vec::with_capacity(self.start.workers.len());
        for worker in 0..self.start.workers.len() {
            let ticket = self.ticket();
            if self.start.workers[worker].tell(ToWorker::Snapshot { ticket }).is_err() {
                // The answers of those already asked find nothing pending, and are dropped.
                self.emit(NodeEvent::Done { command: id, result: overloaded().into() });
                return;
            }
            asked.push(ticket);
        }
        let Some(first) = asked.first() else { return };
        let gather = GatherId(*first);
        let remaining = asked.len();
        self.pending.extend(asked.into_iter().map(|ticket| (ticket, Pending::Gather(gather))));
        self.gatherings.insert(gather, Gathering { epoch, id, remaining, state: NodeState::default() });
    }

    fn gather(&mut self, gather: GatherId, state: NodeState) {
        let Some(gathering) = self.gatherings.get_mut(&gather) else { return };
        gathering.state.rooms.extend(state.rooms);
        gathering.state.transports.extend(state.transports);
        gathering.remaining -= 1;
        if gathering.remaining > 0 {
            return;
        }
        let Some(Gathering { epoch, id, mut state, .. }) = self.gatherings.remove(&gather) else { return };
        state.rooms.sort_by_key(|room| room.room);
        state.transports.sort_by_key(|transport| transport.transport);
        if epoch != self.log.epoch() {
            return;
        }
        let mut parts = part::parts(state, part::PART_BYTES);
        let state = parts.pop().unwrap_or_default();
        for state in parts {
            self.emit(NodeEvent::Held { command: id, state });
        }
        self.emit(NodeEvent::Done { command: id, result: CommandResult::Synced { state } });
    }

    fn begin_report(&mut self) {
        let routes = &self.routes;
        self.connecting.retain(|transport, _| routes.transport(*transport).is_ok());
        if let Some((remaining, _)) = &self.reporting {
            tracing::warn!(node = %self.start.name, workers = remaining, "workers have not answered for {REPORT_INTERVAL:?}");
            return;
        }
        if self.link.is_none() {
            return;
        }
        let mut asked = 0;
        for worker in 0..self.start.workers.len() {
            let ticket = self.ticket();
            if self.start.workers[worker].tell(ToWorker::Counters { ticket }).is_ok() {
                self.pending.insert(ticket, Pending::Report);
                asked += 1;
            }
        }
        if asked > 0 {
            self.reporting = Some((asked, Report::default()));
        }
    }

    fn continue_report(&mut self, counters: &[(&'static str, u64)]) {
        let Some((remaining, report)) = &mut self.reporting else { return };
        report.add(counters);
        *remaining -= 1;
        if *remaining > 0 {
            return;
        }
        let Some((_, mut report)) = self.reporting.take() else { return };
        report.set_or_add("node_events_dropped_total", self.dropped_events);
        report.set_or_add("node_rooms", self.routes.room_count() as u64);
        report.set_or_add("node_transports", self.routes.transport_count() as u64);
        report.add(&self.start.intake.counters());
        let counters = report.finish(&self.start.facts);
        self.emit(NodeEvent::Report { counters });
    }

    fn finish(&mut self, epoch: Epoch, id: CommandId, result: CommandResult) {
        if self.log.finish(epoch, id, &result) {
            self.emit(NodeEvent::Done { command: id, result });
        }
    }

    /// Numbers an event and sends it, if somebody is there.
    fn emit(&mut self, event: NodeEvent) {
        self.last_seq += 1;
        let event = Event { seq: self.last_seq, event };
        let is_kept = self.link.as_mut().is_some_and(|link| link.push(event));
        self.dropped_events += u64::from(!is_kept);
    }

    fn ticket(&mut self) -> Ticket {
        self.last_ticket += 1;
        Ticket(self.last_ticket)
    }

    async fn stop(mut self) {
        let mut threads = Vec::new();
        for worker in &mut self.start.workers {
            // If its mailbox is full, the worker ends when it finds the mailbox abandoned.
            let _ = worker.tell(ToWorker::Stop);
            threads.extend(worker.take_thread());
        }
        drop(self);
        let joined = tokio::task::spawn_blocking(move || {
            for thread in threads {
                if thread.join().is_err() {
                    tracing::error!("a worker's thread ended in a panic");
                }
            }
        });
        if tokio::time::timeout(STOP_TIMEOUT, joined).await.is_err() {
            tracing::warn!("workers did not end in time");
        }
    }
}

/// Never ready while there is no link.
async fn next_command(link: &mut Option<Attachment>) -> Option<Command> {
    match link {
        Some(link) => link.next_command().await,
        None => std::future::pending().await,
    }
}

fn overloaded() -> ProtocolError {
    ProtocolError::new(ErrorCode::Overloaded, "the worker has more to do than it can")
        .retry_after(OVERLOAD_RETRY)
}
