//! Calls in virtual time: what a room does when the network, the clock and the people in it are as bad as they can be.

mod clean;
mod common;
mod data;
mod data_load;
mod departure;
mod hostile;
mod loss;
mod model;
mod rate;
mod restart;
mod speakers;
mod switching;
mod topic;
