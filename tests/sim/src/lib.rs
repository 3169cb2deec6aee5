//! A virtual network in virtual time.
//!
//! The real [`patchbay_sfu_core::Worker`] and real peers exchange real ICE, DTLS, SRTP and SCTP, with nothing between them
//! but a [`Network`] that loses, delays, reorders, duplicates and throttles. One seed decides all of it, so that a failing
//! run is run again by its seed.

mod link;
mod network;

pub use link::{Condition, Link};
pub use network::{Delivery, Network};
