//! Connections from ports that workers share with each other or with others, such as 443.
//!
//! In: streams, perhaps with a beginning that was read already. Out: each goes to the worker that its first frame names, as
//! the first characters of a user name fragment are its worker's number. Whoever takes too long to say so, or says anything
//! else, is closed; nothing is answered.

use std::io;
use std::net::TcpStream as StdTcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

use super::admission::{Admission, Limits};
use super::deframer::MAX_STRANGER_FRAME_BYTES;
use super::frame::{Frame, PREFIX_BYTES, first_frame};
use crate::worker::{Mailbox, ToWorker};

/// After a failure to accept, how long to let it be.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Takes connections that somebody else accepted, such as a web server that shares its port. Clones are the same intake.
#[derive(Debug, Clone)]
pub struct TcpIntake {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    workers: Vec<Mailbox>,
    /// Those that have not named their worker yet. Not on the media path.
    admission: Mutex<Admission>,
    counters: IntakeCounters,
    limits: Limits,
    runtime: Handle,
}

/// What happened before connections came to their workers.
#[derive(Debug, Default)]
struct IntakeCounters {
    refused: AtomicU64,
    expired: AtomicU64,
    violations: AtomicU64,
}

impl TcpIntake {
    /// For these workers, in order. Must be called within a tokio runtime.
    pub(crate) fn new(workers: Vec<Mailbox>) -> Self {
        let limits = Limits::default();
        let inner = Inner {
            workers,
            admission: Mutex::new(Admission::new(limits)),
            counters: IntakeCounters::default(),
            limits,
            runtime: Handle::current(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Takes a connection, and what was read from it before. Never blocks; a connection that does not turn out to be a
    /// peer's is closed without a word.
    pub fn adopt(&self, stream: StdTcpStream, read: Vec<u8>) {
        let Ok(remote) = stream.peer_addr().map(|it| it.ip()) else { return };
        if !self.admission(|it| it.admit(remote)) {
            self.inner.counters.refused.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let intake = self.clone();
        self.inner.runtime.spawn(async move {
            intake.deliver(stream, read).await;
            intake.admission(|it| it.leave(remote, true));
        });
    }

    /// Counters since the start.
    pub(crate) fn counters(&self) -> [(&'static str, u64); 3] {
        let counters = &self.inner.counters;
        [
            ("tcp_refused_total", counters.refused.load(Ordering::Relaxed)),
            ("tcp_strangers_expired_total", counters.expired.load(Ordering::Relaxed)),
            ("tcp_violations_total", counters.violations.load(Ordering::Relaxed)),
        ]
    }

    async fn deliver(&self, stream: StdTcpStream, mut read: Vec<u8>) {
        let Ok(worker) =
            timeout(self.inner.limits.stranger_time, self.named_worker(&stream, &mut read)).await
        else {
            self.inner.counters.expired.fetch_add(1, Ordering::Relaxed);
            return;
        };
        match worker.and_then(|number| self.inner.workers.get(usize::from(number))) {
            // A worker that has no room for it is in worse trouble than a client that tries again.
            Some(mailbox) => drop(mailbox.tell(ToWorker::Adopt { stream, read })),
            None => {
                self.inner.counters.violations.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Reads on until the first frame is complete. `None` if it is no connectivity check for one of our transports.
    async fn named_worker(&self, stream: &StdTcpStream, read: &mut Vec<u8>) -> Option<u16> {
        // A second handle on the same socket, which this task lets go of again.
        let mut reader = tokio_stream(stream).ok()?;
        loop {
            match first_frame(read, MAX_STRANGER_FRAME_BYTES) {
                Frame::Whole(range) => return patchbay_sfu_core::addressed_worker(read.get(range)?),
                Frame::TooLong => return None,
                Frame::Partial => {}
            }
            // What belongs to later frames is left for the worker to read, as far as possible.
            let missing = (PREFIX_BYTES + MAX_STRANGER_FRAME_BYTES).saturating_sub(read.len());
            let length = (&mut reader).take(missing as u64).read_buf(read).await.ok()?;
            if length == 0 {
                return None;
            }
        }
    }

    fn admission<R>(&self, act: impl FnOnce(&mut Admission) -> R) -> R {
        act(&mut self.inner.admission.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Accepts on a port that all workers share, for ever.
pub(crate) async fn serve_shared(listener: std::net::TcpListener, intake: TcpIntake) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "the shared TCP port takes no connections"),
    };
    loop {
        match listener.accept().await.and_then(|(stream, _)| stream.into_std()) {
            Ok(stream) => intake.adopt(stream, Vec::new()),
            Err(error) => {
                tracing::debug!(%error, "no connection accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn tokio_stream(stream: &StdTcpStream) -> io::Result<TcpStream> {
    stream.set_nonblocking(true)?;
    TcpStream::from_std(stream.try_clone()?)
}
