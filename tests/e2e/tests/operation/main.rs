//! Operation: how the server ends, and what it writes.

mod drain;
mod log;
mod trace;
