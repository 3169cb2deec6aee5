//! The router as its worker uses it: negotiated sections and packets in, packets and events out.

mod fixture;
mod hostile;
mod recovery;
mod speaker;
mod switch;
