//! SDP offers parsed, answers built.
