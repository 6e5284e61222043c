//! The head of a file of the journal, segment or base. Pure: it does not open the file.

use crc32fast::hash;

use super::frame::Checksum;
use super::name::FileName;

/// Bytes before the first frame. Their layout is the same in every version of the format.
pub(super) const HEADER_BYTES: usize = 44;
/// The same, as a place in the file.
pub(super) const FIRST_FRAME: u64 = HEADER_BYTES as u64;
/// What is written; everything from 1 on is read. 2 brought the base file and changed nothing in a segment.
const VERSION: u16 = 2;

/// What kind of file a header begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Segment,
    Base,
}

impl Kind {
    fn magic(self) -> [u8; 8] {
        match self {
            Self::Segment => *b"jivjrnl\n",
            Self::Base => *b"jivbase\n",
        }
    }
}

/// What a file says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    /// Of the segment, or of the first one that a base does not stand for. From 1, without a gap.
    pub(super) segment: u64,
    /// Number of the first commit that is or will be in that segment.
    pub(super) first_commit: u64,
    /// Random; begins the checksum of each of the file's frames.
    pub(super) salt: u64,
}

/// Why bytes are not a header that this program reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadHeader {
    /// Torn or damaged.
    NotWhole,
    /// Sound, but of a format to come.
    Version(u16),
}

impl Header {
    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&self.kind.magic());
        bytes[8..10].copy_from_slice(&VERSION.to_le_bytes());
        // 10..16 are reserved and zero.
        bytes[16..24].copy_from_slice(&self.segment.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.first_commit.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.salt.to_le_bytes());
        let checksum = hash(&bytes[..40]);
        bytes[40..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Self, BadHeader> {
        let u64_at = |at: usize| {
            let mut field = [0; 8];
            field.copy_from_slice(&bytes[at..at + 8]);
            u64::from_le_bytes(field)
        };
        let checksum = u32::from_le_bytes([bytes[40], bytes[41], bytes[42], bytes[43]]);
        let kind = [Kind::Segment, Kind::Base]
            .into_iter()
            .find(|kind| bytes[..8] == kind.magic());
        let Some(kind) = kind.filter(|_| checksum == hash(&bytes[..40])) else {
            return Err(BadHeader::NotWhole);
        };
        match u16::from_le_bytes([bytes[8], bytes[9]]) {
            1..=VERSION => Ok(Self {
                kind,
                segment: u64_at(16),
                first_commit: u64_at(24),
                salt: u64_at(32),
            }),
            version => Err(BadHeader::Version(version)),
        }
    }

    /// The name of the file that it begins.
    pub(super) fn name(&self) -> FileName {
        match self.kind {
            Kind::Segment => FileName::Segment(self.segment),
            Kind::Base => FileName::Base(self.segment),
        }
    }

    pub(super) fn checksum(&self) -> Checksum {
        Checksum::salted(self.salt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header = Header {
        kind: Kind::Segment,
        segment: 3,
        first_commit: 900,
        salt: 0x0123_4567_89ab_cdef,
    };

    #[test]
    fn a_header_survives_encoding() {
        assert_eq!(Header::decode(&HEADER.encode()), Ok(HEADER));
    }

    #[test]
    fn every_changed_bit_is_noticed() {
        for bit in 0..HEADER_BYTES * 8 {
            let mut bytes = HEADER.encode();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                Header::decode(&bytes),
                Err(BadHeader::NotWhole),
                "bit {bit}"
            );
        }
    }

    #[test]
    fn a_newer_format_is_told_from_damage() {
        let mut bytes = HEADER.encode();
        bytes[8] = 9;
        let checksum = hash(&bytes[..40]);
        bytes[40..].copy_from_slice(&checksum.to_le_bytes());
        assert_eq!(Header::decode(&bytes), Err(BadHeader::Version(9)));
    }
}
