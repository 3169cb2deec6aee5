//! Two ends of an association.

use std::collections::VecDeque;
use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use patchbay_sdp::DtlsRole;
use patchbay_sfu_core::transport::data::DataChannels;
use patchbay_sfu_core::transport::dtls::{Dtls, DtlsEvent};
use patchbay_sfu_core::transport::{ChannelInfo, DropCounts, Identity, Reliability, TransportEvent};
use patchbay_sfu_core::{ChannelKey, DataMessage, Repetition};
use patchbay_wire::srtp::SrtpProfile;

use crate::{Cost, allocation};

const CHANNEL: ChannelKey = ChannelKey(0);

struct End {
    data: DataChannels,
    /// `None`: SCTP as it is.
    dtls: Option<Dtls>,
    events: VecDeque<TransportEvent>,
    dropped: DropCounts,
}

impl End {
    /// The datagrams that it has to send.
    fn poll(&mut self, now: Instant, out: &mut Vec<Bytes>) {
        while let Some(packet) = self.data.poll_transmit(now, &mut self.dropped) {
            match &mut self.dtls {
                Some(dtls) => dtls.send(now, &packet),
                None => out.push(packet),
            }
        }
        if let Some(dtls) = &mut self.dtls {
            while let Some(datagram) = dtls.poll_transmit() {
                out.push(datagram.freeze());
            }
        }
    }

    fn handle(&mut self, now: Instant, datagram: Bytes) {
        let Some(dtls) = &mut self.dtls else {
            return self.data.handle(now, &datagram, &mut self.events, &mut self.dropped);
        };
        dtls.handle(now, &datagram).expect("nothing is wrong with it");
        while let Some(event) = dtls.poll_event() {
            if let DtlsEvent::Data(packet) = event {
                self.data.handle(now, &packet, &mut self.events, &mut self.dropped);
            }
        }
    }
}

pub(crate) struct Ends {
    now: Instant,
    sender: End,
    receiver: End,
    datagrams: Vec<Bytes>,
}

impl Ends {
    /// Two ends with a channel between them.
    pub(crate) fn connect(reliability: Reliability, has_dtls: bool) -> Self {
        let crypto = rtc_crypto::default_provider().expect("a crypto provider is built in");
        let identity = Identity::generate(crypto.as_ref()).expect("a certificate can be made");
        let now = Instant::now();
        let end = |role| {
            let fingerprints = [identity.fingerprint()];
            let dtls =
                Dtls::new(role, &identity, &fingerprints, crypto.clone()).expect("a fingerprint is there");
            End {
                data: DataChannels::new(Some(0), role as u64 + 1),
                dtls: has_dtls.then_some(dtls),
                events: VecDeque::new(),
                dropped: DropCounts::default(),
            }
        };
        let (sender, receiver) = (end(DtlsRole::Client), end(DtlsRole::Server));
        let mut ends = Self { now, sender, receiver, datagrams: Vec::new() };
        if let Some(dtls) = &mut ends.sender.dtls {
            dtls.connect(now, &SrtpProfile::ALL).expect("cryptography works");
            ends.settle();
        }
        ends.sender.data.connect();
        ends.settle();
        let info = ChannelInfo {
            key: CHANNEL,
            label: "bench".to_owned(),
            protocol: String::new(),
            is_ordered: reliability == Reliability::Reliable,
            reliability,
        };
        assert!(ends.sender.data.open(info), "the association is up");
        ends.settle();
        ends
    }

    /// Sends a batch and waits for its acknowledgement.
    pub(crate) fn exchange(&mut self, message: &Bytes, batch: usize, cost: &mut Cost) {
        let allocations = allocation::count();
        let begun = Instant::now();
        for _ in 0..batch {
            let message = DataMessage::Binary(message);
            black_box(self.sender.data.send(
                self.now,
                CHANNEL,
                message,
                Repetition::OfChannel,
                &mut self.sender.dropped,
            ));
        }
        self.sender.poll(self.now, &mut self.datagrams);
        cost.sender += begun.elapsed();
        let mut received = 0;
        while received < batch {
            cost.packets += self.datagrams.len() as u64;
            self.now += Duration::from_micros(100);
            let begun = Instant::now();
            for datagram in self.datagrams.drain(..) {
                self.receiver.handle(self.now, datagram);
            }
            let messages = self.receiver.events.drain(..);
            received += messages.filter(|it| matches!(it, TransportEvent::Message { .. })).count();
            cost.receiver += begun.elapsed();
            // A lone packet is acknowledged when its time has come.
            if received == batch
                && let Some(due) = self.receiver.data.deadline()
            {
                self.now = self.now.max(due);
                let begun = Instant::now();
                self.receiver.data.handle_timeout(
                    self.now,
                    &mut self.receiver.events,
                    &mut self.receiver.dropped,
                );
                cost.acknowledgements += begun.elapsed();
            }
            let begun = Instant::now();
            self.receiver.poll(self.now, &mut self.datagrams);
            for datagram in self.datagrams.drain(..) {
                self.sender.handle(self.now, datagram);
            }
            cost.acknowledgements += begun.elapsed();
            let begun = Instant::now();
            self.sender.poll(self.now, &mut self.datagrams);
            cost.sender += begun.elapsed();
            assert!(received == batch || !self.datagrams.is_empty(), "it stands still");
        }
        self.sender.events.clear();
        cost.allocations += allocation::count() - allocations;
    }

    /// Exchanges until both have nothing more to say.
    fn settle(&mut self) {
        loop {
            self.now += Duration::from_millis(100);
            for end in [&mut self.sender, &mut self.receiver] {
                end.data.handle_timeout(self.now, &mut end.events, &mut end.dropped);
            }
            let mut datagrams = Vec::new();
            self.sender.poll(self.now, &mut datagrams);
            let is_quiet = datagrams.is_empty();
            datagrams.drain(..).for_each(|it| self.receiver.handle(self.now, it));
            self.receiver.poll(self.now, &mut datagrams);
            if is_quiet && datagrams.is_empty() {
                break;
            }
            datagrams.drain(..).for_each(|it| self.sender.handle(self.now, it));
        }
        self.sender.events.clear();
        self.receiver.events.clear();
    }
}
