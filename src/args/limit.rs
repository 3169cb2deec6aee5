//! Options of signaling that bound what strangers and clients can do.

use std::time::Duration;

use clap::Args;
use clap::builder::{RangedU64ValueParser, TypedValueParser};
use patchbay_signaling::{AddressHeader, Network};

use crate::config::time;

/// How much everybody may have.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct Limits {
    /// A proxy, or a network of them, that is believed when it says whom it speaks for (repeatable). Without it, all who
    /// come through a proxy count as one address
    #[arg(long, env = "PATCHBAY_TRUSTED_PROXY", value_delimiter = ',', value_name = "CIDR")]
    pub(crate) trusted_proxy: Vec<Network>,
    /// Where trusted proxies write that: x-forwarded-for, forwarded or x-real-ip
    #[arg(
        long,
        env = "PATCHBAY_CLIENT_ADDRESS_HEADER",
        default_value = "x-forwarded-for",
        value_name = "HEADER"
    )]
    pub(crate) client_address_header: AddressHeader,
    /// Connections from one IPv4 address, or IPv6 network of 64 bits, whatever they carry but media. Behind one NAT there
    /// may be a whole office
    #[arg(
        long,
        env = "PATCHBAY_CONNECTIONS_PER_ADDRESS",
        default_value = "2500",
        value_parser = count(),
        value_name = "COUNT"
    )]
    pub(crate) connections_per_address: usize,
    /// New sessions and joins per second from one address, in the long run: a client that comes costs two
    #[arg(
        long,
        env = "PATCHBAY_JOINS_PER_SECOND",
        default_value_t = 200,
        value_parser = clap::value_parser!(u32).range(1..),
        value_name = "COUNT"
    )]
    pub(crate) joins_per_second: u32,
    /// How many may come at once after a rest: all of an office, when the server was restarted
    #[arg(
        long,
        env = "PATCHBAY_JOINS_BURST",
        default_value_t = 5_000,
        value_parser = clap::value_parser!(u32).range(1..),
        value_name = "COUNT"
    )]
    pub(crate) joins_burst: u32,
    /// Requests of the server's API per second from one address, in the long run
    #[arg(
        long,
        env = "PATCHBAY_API_PER_SECOND",
        default_value_t = 100,
        value_parser = clap::value_parser!(u32).range(1..),
        value_name = "COUNT"
    )]
    pub(crate) api_per_second: u32,
    /// How many may come at once
    #[arg(
        long,
        env = "PATCHBAY_API_BURST",
        default_value_t = 1_000,
        value_parser = clap::value_parser!(u32).range(1..),
        value_name = "COUNT"
    )]
    pub(crate) api_burst: u32,
    /// Messages per second of one session, in the long run
    #[arg(
        long,
        env = "PATCHBAY_MESSAGES_PER_SECOND",
        default_value_t = 100,
        value_parser = clap::value_parser!(u32).range(1..),
        value_name = "COUNT"
    )]
    pub(crate) messages_per_second: u32,
    /// How many may come at once
    #[arg(
        long,
        env = "PATCHBAY_MESSAGES_BURST",
        default_value_t = 200,
        value_parser = clap::value_parser!(u32).range(10..),
        value_name = "COUNT"
    )]
    pub(crate) messages_burst: u32,
    /// Bytes of messages per second of one session, in the long run
    #[arg(
        long,
        env = "PATCHBAY_BYTES_PER_SECOND",
        default_value_t = 1_048_576,
        value_parser = clap::value_parser!(u32).range(1_024..),
        value_name = "BYTES"
    )]
    pub(crate) bytes_per_second: u32,
    /// How many may come at once: at least the longest message, of 524288
    #[arg(
        long,
        env = "PATCHBAY_BYTES_BURST",
        default_value_t = 4_194_304,
        value_parser = clap::value_parser!(u32).range(524_288..),
        value_name = "BYTES"
    )]
    pub(crate) bytes_burst: u32,
    /// Rooms at a time. Each costs about 10 KB, and its chat
    #[arg(
        long,
        env = "PATCHBAY_MAX_ROOMS",
        default_value = "10000",
        value_parser = count(),
        value_name = "COUNT"
    )]
    pub(crate) max_rooms: usize,
    /// Participants of one room. Each hears of each
    #[arg(
        long,
        env = "PATCHBAY_MAX_PARTICIPANTS",
        default_value = "1000",
        value_parser = count(),
        value_name = "COUNT"
    )]
    pub(crate) max_participants: usize,
    /// Tracks of one participant
    #[arg(
        long,
        env = "PATCHBAY_MAX_TRACKS",
        default_value = "16",
        value_parser = at_most(16),
        value_name = "COUNT"
    )]
    pub(crate) max_tracks: usize,
    /// Slots of one participant
    #[arg(
        long,
        env = "PATCHBAY_MAX_SLOTS",
        default_value = "128",
        value_parser = at_most(128),
        value_name = "COUNT"
    )]
    pub(crate) max_slots: usize,
    /// Bytes of a participant's or a room's metadata. It is sent to everybody at every join
    #[arg(
        long,
        env = "PATCHBAY_MAX_METADATA_BYTES",
        default_value = "4096",
        value_parser = at_most(65_536),
        value_name = "BYTES"
    )]
    pub(crate) max_metadata_bytes: usize,
    /// Bytes of a participant's or a room's attributes, as well
    #[arg(
        long,
        env = "PATCHBAY_MAX_ATTRIBUTE_BYTES",
        default_value = "8192",
        value_parser = at_most(65_536),
        value_name = "BYTES"
    )]
    pub(crate) max_attribute_bytes: usize,
    /// How far away a token's expiry may be. What was revoked is remembered for so long
    #[arg(
        long,
        env = "PATCHBAY_LONGEST_TOKEN",
        default_value = "366d",
        value_parser = time,
        value_name = "TIME"
    )]
    pub(crate) longest_token: Duration,
}

fn count() -> impl TypedValueParser<Value = usize> {
    at_most(usize::MAX as u64)
}

fn at_most(most: u64) -> impl TypedValueParser<Value = usize> {
    RangedU64ValueParser::<usize>::new().range(1..=most)
}
