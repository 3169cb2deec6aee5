//! SRTP and SRTCP datagrams that nobody encrypted.
#![no_main]

use patchbay_wire::rtp::RtpHeader;
use patchbay_wire::srtp::{DtlsRole, SrtpKeys, SrtpProfile, SrtpReceiver};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    for profile in SrtpProfile::ALL {
        let material = vec![1; profile.keying_material_len()];
        let keys = SrtpKeys::from_exported(profile, &material, DtlsRole::Client).unwrap();
        let mut receiver = SrtpReceiver::new(&keys).unwrap();
        if let Ok(header) = RtpHeader::parse(bytes) {
            let _ = receiver.unprotect_rtp(&mut bytes.to_vec(), &header);
        }
        let _ = receiver.unprotect_rtcp(&mut bytes.to_vec());
    }
});
