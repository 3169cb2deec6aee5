//! A production configuration of coturn and the firewall that belongs to it, from a few settings.
//!
//! In go [`Settings`], checked as a whole by [`Settings::check`]; out come two texts, [`turnserver_conf`] and
//! [`firewall_nft`]. coturn filters peers by address and not by port, so either is half of the protection: together they
//! let a relay reach the SFU's media ports and nothing else. This crate does no I/O and knows no secret but the one it is
//! handed to write.

mod address;
mod firewall;
mod settings;
mod turnserver;

pub use firewall::firewall_nft;
pub use settings::{Checked, PortRange, PublicAddress, Quota, Settings, SettingsError, Tls};
pub use turnserver::turnserver_conf;

/// The port of STUN and TURN over UDP and TCP (RFC 8656 §2.1).
pub const TURN_PORT: u16 = 3478;
