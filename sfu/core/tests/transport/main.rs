//! A transport and a real client (full ICE, DTLS, SRTP, SCTP) in virtual time, over a network that can be told to misbehave.

#![allow(clippy::disallowed_methods, reason = "a test has to begin somewhere in time")]

mod attack;
mod connect;
mod data;
mod data_flow;
mod hostile_data;
mod media;
mod pair;
mod path;
mod tcp;
