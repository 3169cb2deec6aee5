//! A virtual network in virtual time.
//!
//! The real [`patchbay_sfu_core::Worker`] and real peers exchange real ICE, DTLS, SRTP and SCTP, with nothing between them
//! but a [`Network`] that loses, delays, reorders, duplicates and throttles. One seed decides all of it, so that a failing
//! run is run again by its seed.
//!
//! A [`World`] holds all of that and plays signaling; a [`Client`] sends synthetic media ([`VideoPlan`]) and judges what its
//! slots show as a browser would ([`VideoReceiver`], [`AudioReceiver`]). Whatever a decoder would stumble over is kept until
//! [`World::assert_sound`].

mod arrival;
mod audio;
mod client;
mod crypto;
mod link;
mod media;
mod network;
mod seed;
mod video;
mod world;

pub use arrival::SlotPacket;
pub use audio::AudioReceiver;
pub use client::{CAMERA, Client, MICROPHONE, Plan, Receiver};
pub use crypto::SeededCrypto;
pub use link::{Condition, Link};
pub use media::{AUDIO_INTERVAL, AUDIO_TICKS, AudioSource, MediaPacket, Stamp, VideoPlan, VideoSource};
pub use network::{Delivery, Network};
pub use patchbay_sansio_peer::{ChannelKey, MediaKind, Reliability};
pub use seed::{figure, for_seeds, median};
pub use video::{FREEZE, VideoReceiver, VideoStats};
pub use world::World;
