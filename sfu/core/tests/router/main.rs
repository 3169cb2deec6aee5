//! The router as its worker uses it: negotiated sections and packets in, packets and events out.

#![allow(clippy::disallowed_methods, reason = "a test has to begin somewhere in time")]

mod fixture;
mod hostile;
mod recovery;
mod speaker;
mod switch;
