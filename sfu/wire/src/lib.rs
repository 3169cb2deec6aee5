//! RTP, RTCP, SRTP and codec payload formats as the SFU needs them: parsed in place, written in place.
