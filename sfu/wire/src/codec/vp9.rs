//! VP9 payload descriptor (RFC 9628 §4.2), read only as far as forwarding needs.

/// Layer of a VP9 packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vp9Layer {
    /// Temporal layer (TID), 0..=7, 0 being the base.
    pub temporal: u8,
    /// Spatial layer (SID), 0..=7, 0 being the base.
    pub spatial: u8,
    /// One can go up to this temporal layer here (U).
    pub is_switching_up_point: bool,
    /// The frame depends on the next lower spatial layer of the same picture (D).
    pub depends_on_lower_spatial: bool,
}

/// The fixed fields of a VP9 payload descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vp9Descriptor {
    /// Picture id of 7 or 15 bits, if present (I).
    pub picture_id: Option<u16>,
    /// The frame refers to pictures before it (P).
    pub is_inter_picture: bool,
    /// Layers, if present (L).
    pub layer: Option<Vp9Layer>,
    /// The descriptor names its references itself (F).
    pub is_flexible: bool,
    /// First packet of a frame, that is, of one spatial layer (B).
    pub starts_frame: bool,
    /// Last packet of a frame (E).
    pub ends_frame: bool,
    /// The packet carries a scalability structure (V).
    pub has_scalability_structure: bool,
    /// No higher spatial layer refers to this frame (Z).
    pub is_not_for_upper_spatial: bool,
    /// Running index of base layer pictures, if present (layers in non-flexible mode).
    pub tl0_picture_index: Option<u8>,
}

impl Vp9Descriptor {
    /// Reads the descriptor at the start of an RTP payload; `None` if the payload ends before these fields do.
    #[inline]
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let mut bytes = payload.iter().copied();
        let first = bytes.next()?;
        let picture_id = if first & 0x80 == 0 {
            None
        } else {
            let high = bytes.next()?;
            Some(if high & 0x80 == 0 {
                u16::from(high)
            } else {
                u16::from_be_bytes([high & 0x7f, bytes.next()?])
            })
        };
        let is_flexible = first & 0x10 != 0;
        let mut layer = None;
        let mut tl0_picture_index = None;
        if first & 0x20 != 0 {
            let layers = bytes.next()?;
            layer = Some(Vp9Layer {
                temporal: layers >> 5,
                is_switching_up_point: layers & 0x10 != 0,
                spatial: layers >> 1 & 0x07,
                depends_on_lower_spatial: layers & 0x01 != 0,
            });
            if !is_flexible {
                tl0_picture_index = Some(bytes.next()?);
            }
        }
        Some(Self {
            picture_id,
            is_inter_picture: first & 0x40 != 0,
            layer,
            is_flexible,
            starts_frame: first & 0x08 != 0,
            ends_frame: first & 0x04 != 0,
            has_scalability_structure: first & 0x02 != 0,
            is_not_for_upper_spatial: first & 0x01 != 0,
            tl0_picture_index,
        })
    }

    /// The first packet of a keyframe: P=0, B=1, and the lowest spatial layer; a key picture's upper layers have P=0
    /// too, but start nothing.
    #[inline]
    #[must_use]
    pub fn is_keyframe_start(&self) -> bool {
        !self.is_inter_picture
            && self.starts_frame
            && self.layer.is_none_or(|layer| layer.spatial == 0 && !layer.depends_on_lower_spatial)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn non_flexible_with_layers() {
        let payload = [0xaa, 0x81, 0x02, 0x30, 9, 0x18];
        let descriptor = Vp9Descriptor::parse(&payload).unwrap();
        assert_eq!(descriptor.picture_id, Some(0x0102));
        assert_eq!(
            descriptor.layer,
            Some(Vp9Layer {
                temporal: 1,
                spatial: 0,
                is_switching_up_point: true,
                depends_on_lower_spatial: false
            })
        );
        assert_eq!(descriptor.tl0_picture_index, Some(9));
        assert!(descriptor.has_scalability_structure && !descriptor.ends_frame);
        assert!(descriptor.is_keyframe_start());
        for len in 0..5 {
            assert_eq!(Vp9Descriptor::parse(&payload[..len]), None);
        }
    }

    #[test]
    fn keyframes_start_at_their_lowest_layer() {
        let is_start = |payload: &[u8]| Vp9Descriptor::parse(payload).unwrap().is_keyframe_start();
        assert!(is_start(&[0x08]), "no layers at all");
        assert!(!is_start(&[0x48]), "inter picture");
        assert!(!is_start(&[0x04]), "not the first packet");
        assert!(is_start(&[0x38, 0x00]), "flexible, base layer");
        assert!(!is_start(&[0x38, 0x03]), "flexible, upper layer of a key picture");
        assert!(!is_start(&[0x28, 0x02, 0]), "upper layer");
    }

    #[test]
    fn short_picture_id_and_flexible_mode() {
        let descriptor = Vp9Descriptor::parse(&[0xb0, 0x7f, 0xe4]).unwrap();
        assert_eq!(descriptor.picture_id, Some(0x7f));
        assert_eq!(descriptor.layer.map(|layer| (layer.temporal, layer.spatial)), Some((7, 2)));
        assert_eq!(descriptor.tl0_picture_index, None);
    }
}
