//! A headless WebRTC peer for tests and CI.
