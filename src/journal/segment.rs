//! The head of a segment file and its name. Pure: it does not open the file.

use crc32fast::hash;

use super::frame::Checksum;

/// Bytes before the first frame. Their layout is the same in every version of the format.
pub(super) const HEADER_BYTES: usize = 44;
/// The same, as a place in the file.
pub(super) const FIRST_FRAME: u64 = HEADER_BYTES as u64;
const MAGIC: [u8; 8] = *b"jivjrnl\n";
const VERSION: u16 = 1;

/// What a segment says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// From 1, without a gap.
    pub(super) segment: u64,
    /// Number of the first commit that is or will be in it.
    pub(super) first_commit: u64,
    /// Random; begins the checksum of each of its frames.
    pub(super) salt: u64,
}

/// Why bytes are not the header of a segment that this program reads.
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
        bytes[..8].copy_from_slice(&MAGIC);
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
        if bytes[..8] != MAGIC || checksum != hash(&bytes[..40]) {
            return Err(BadHeader::NotWhole);
        }
        match u16::from_le_bytes([bytes[8], bytes[9]]) {
            VERSION => Ok(Self {
                segment: u64_at(16),
                first_commit: u64_at(24),
                salt: u64_at(32),
            }),
            version => Err(BadHeader::Version(version)),
        }
    }

    pub(super) fn checksum(&self) -> Checksum {
        Checksum::salted(self.salt)
    }
}

/// `0000000000000001.log`: the number in hexadecimal, so that names sort like numbers.
pub(super) fn file_name(segment: u64) -> String {
    format!("{segment:016x}.log")
}

/// The number of a file that [`file_name`] named; `None` for any other file.
pub(super) fn parse_file_name(name: &str) -> Option<u64> {
    let number = u64::from_str_radix(name.strip_suffix(".log")?, 16).ok()?;
    (file_name(number) == name).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header = Header {
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

    #[test]
    fn only_our_own_names_are_segments() {
        assert_eq!(parse_file_name(&file_name(0x2a)), Some(0x2a));
        for other in [
            "2a.log",
            "000000000000002A.log",
            "LOCK",
            "+00000000000002a.log",
            ".log",
        ] {
            assert_eq!(parse_file_name(other), None, "{other}");
        }
    }
}
