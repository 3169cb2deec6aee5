//! An SFU node: threads, sockets, batching and the link to signaling.
