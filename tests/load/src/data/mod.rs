//! Load on the data plane: players on one topic of the real server.
//!
//! A payload says when it was sent, and receivers are in the same process, so latency is measured by one clock: from
//! the call that publishes to the frame in the receiver's hands, the generator's own work and waiting included.

mod game;
mod histogram;
mod player;
mod scenario;
mod shaper;
mod walk;
mod window;

pub(crate) use histogram::Histogram;
pub(crate) use scenario::run;
