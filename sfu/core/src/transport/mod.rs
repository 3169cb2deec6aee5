//! One ICE + DTLS + SRTP + SCTP association.
