//! Calls in virtual time: what a room does when the network, the clock and the people in it are as bad as they can be.

mod clean;
mod common;
mod departure;
mod loss;
mod restart;
mod speakers;
mod switching;
