//! Makes what comes from changing sources look like one stream: small state machines, one per header field.
//!
//! All of them share two verbs. `switch` tells that the next packet begins a new source, at a point where the stream
//! may be cut; `rewrite` maps one packet of the current source. Mapping never reorders: a late packet gets the place
//! that was left for it.

mod picture;
mod sequence;
mod timestamp;

pub(crate) use picture::{PictureNumbers, PictureRewriter, SourceNumbers};
pub(crate) use sequence::SequenceRewriter;
pub(crate) use timestamp::{Cadence, TimestampRewriter};
