//! SRTP
