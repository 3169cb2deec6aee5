//! Finds the transport that a datagram belongs to.
