//! The signaling server: connections, sessions, rooms, tokens, WHIP and WHEP, the web page.
