//! The codec of one frame: a commit group between two checksums. Pure: no I/O, no panic on any bytes, and no memory
//! because a length announced it. It does not know where in a file the frame stands.

use crc32fast::Hasher;

use super::{Commit, Write};

/// The largest frame, header included, that any version of the format holds.
pub(super) const FRAME_LIMIT: usize = 64 << 20;
/// Bytes before the payload.
pub(super) const HEADER_BYTES: usize = 28;
/// What every frame begins with, so that one can be found behind damage.
pub(super) const MAGIC: [u8; 4] = *b"jfr1";

/// The checksum of a segment's frames, started with the segment's salt: bytes that a client smuggled into a value can
/// never pass for a frame, nor can a frame of another file.
#[derive(Debug, Clone)]
pub(super) struct Checksum(Hasher);

impl Checksum {
    pub(super) fn salted(salt: u64) -> Self {
        let mut hasher = Hasher::new();
        hasher.update(&salt.to_le_bytes());
        Self(hasher)
    }

    pub(super) fn of(&self, bytes: &[u8]) -> u32 {
        let mut hasher = self.0.clone();
        hasher.update(bytes);
        hasher.finalize()
    }
}

/// The fixed part of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// Bytes of the payload.
    pub(super) length: u32,
    /// Number of the first commit; the others follow without a gap.
    pub(super) first_commit: u64,
    /// How many commits.
    pub(super) commits: u32,
    payload_checksum: u32,
}

impl Header {
    /// A header whose payload checksum nobody looks at.
    pub(super) fn for_payload(first_commit: u64, commits: u32, payload: &[u8]) -> Self {
        Self {
            length: u32::try_from(payload.len()).unwrap_or(u32::MAX),
            first_commit,
            commits,
            payload_checksum: 0,
        }
    }
}

/// Why bytes are not a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    /// The bytes end before the frame does.
    #[error("cut short")]
    Short,
    /// The header's magic or checksum is wrong.
    #[error("no frame header")]
    Header,
    /// The payload's checksum is wrong.
    #[error("wrong checksum")]
    Checksum,
    /// Sound checksums around contents that are not commits: written by something else.
    #[error("contents that no writer makes")]
    Contents,
}

/// Bytes of the frame that [`encode`] would make.
pub(super) fn encoded_length<B: AsRef<[u8]>>(group: &[Commit<B>]) -> u64 {
    let commit = |commit: &Commit<B>| {
        let writes = commit.writes.iter().map(write_length).sum::<usize>();
        let events = commit.events.iter().map(|e| 4 + e.len()).sum::<usize>();
        8 + writes + events
    };
    (HEADER_BYTES + group.iter().map(commit).sum::<usize>()) as u64
}

fn write_length<B: AsRef<[u8]>>(write: &Write<B>) -> usize {
    let value = write.value.as_ref();
    1 + 4 + write.key.as_ref().len() + 1 + value.map_or(0, |value| 4 + value.as_ref().len())
}

/// Replaces `out` by the frame of `group`. The caller has seen to it that [`encoded_length`] is within
/// [`FRAME_LIMIT`], which keeps every length and count within 32 bits.
pub(super) fn encode<B: AsRef<[u8]>>(checksum: &Checksum, group: &[Commit<B>], out: &mut Vec<u8>) {
    out.clear();
    out.resize(HEADER_BYTES, 0);
    for commit in group {
        put_length(out, commit.writes.len());
        put_length(out, commit.events.len());
        for write in &commit.writes {
            out.push(write.tree);
            put_bytes(out, write.key.as_ref());
            out.push(u8::from(write.value.is_some()));
            if let Some(value) = &write.value {
                put_bytes(out, value.as_ref());
            }
        }
        for event in &commit.events {
            put_bytes(out, event);
        }
    }
    let payload_checksum = checksum.of(&out[HEADER_BYTES..]);
    let mut header = Vec::with_capacity(HEADER_BYTES);
    header.extend_from_slice(&MAGIC);
    put_length(&mut header, out.len() - HEADER_BYTES);
    let first_commit = group.first().map_or(0, |commit| commit.number);
    header.extend_from_slice(&first_commit.to_le_bytes());
    put_length(&mut header, group.len());
    header.extend_from_slice(&payload_checksum.to_le_bytes());
    let header_checksum = checksum.of(&header);
    header.extend_from_slice(&header_checksum.to_le_bytes());
    out[..HEADER_BYTES].copy_from_slice(&header);
}

fn put_length(out: &mut Vec<u8>, length: usize) {
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_le_bytes());
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_length(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// Reads the header at the start of `bytes`.
pub(super) fn decode_header(checksum: &Checksum, bytes: &[u8]) -> Result<Header, Defect> {
    let bytes = bytes.get(..HEADER_BYTES).ok_or(Defect::Short)?;
    let mut fields = Cursor(bytes);
    let magic = fields.array::<4>()?;
    let header = Header {
        length: fields.u32()?,
        first_commit: u64::from_le_bytes(fields.array()?),
        commits: fields.u32()?,
        payload_checksum: fields.u32()?,
    };
    let sound = magic == MAGIC && fields.u32()? == checksum.of(&bytes[..HEADER_BYTES - 4]);
    if sound && header.length as usize <= FRAME_LIMIT - HEADER_BYTES {
        Ok(header)
    } else {
        Err(Defect::Header)
    }
}

/// Whether `payload` is the one that the header was written for.
pub(super) fn check_payload(
    checksum: &Checksum,
    header: &Header,
    payload: &[u8],
) -> Result<(), Defect> {
    if payload.len() < header.length as usize {
        Err(Defect::Short)
    } else if checksum.of(payload) == header.payload_checksum {
        Ok(())
    } else {
        Err(Defect::Checksum)
    }
}

/// Reads the commits of a payload that [`check_payload`] found sound.
pub(super) fn decode_payload(header: &Header, payload: &[u8]) -> Result<Vec<Commit>, Defect> {
    // A payload that ends early, counts that promise too much and bytes left over are all the same to a caller.
    decode_commits(header, payload).map_err(|_| Defect::Contents)
}

fn decode_commits(header: &Header, payload: &[u8]) -> Result<Vec<Commit>, Defect> {
    let mut rest = Cursor(payload);
    let mut commits = Vec::new();
    for index in 0..u64::from(header.commits) {
        let number = header
            .first_commit
            .checked_add(index)
            .ok_or(Defect::Contents)?;
        commits.push(decode_commit(number, &mut rest)?);
    }
    if rest.0.is_empty() {
        Ok(commits)
    } else {
        Err(Defect::Contents)
    }
}

fn decode_commit(number: u64, rest: &mut Cursor<'_>) -> Result<Commit, Defect> {
    let (writes, events) = (rest.u32()?, rest.u32()?);
    let mut commit = Commit {
        number,
        ..Commit::default()
    };
    for _ in 0..writes {
        let tree = rest.array::<1>()?[0];
        let key = rest.bytes()?.to_vec();
        let value = match rest.array::<1>()?[0] {
            0 => None,
            1 => Some(rest.bytes()?.to_vec()),
            _ => return Err(Defect::Contents),
        };
        commit.writes.push(Write { tree, key, value });
    }
    for _ in 0..events {
        commit.events.push(rest.bytes()?.to_vec());
    }
    Ok(commit)
}

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Defect> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(Defect::Short)?;
        self.0 = rest;
        Ok(*head)
    }

    fn u32(&mut self) -> Result<u32, Defect> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn bytes(&mut self) -> Result<&'a [u8], Defect> {
        let length = self.u32()? as usize;
        let (head, rest) = self.0.split_at_checked(length).ok_or(Defect::Short)?;
        self.0 = rest;
        Ok(head)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn decode(checksum: &Checksum, frame: &[u8]) -> Result<Vec<Commit>, Defect> {
        let header = decode_header(checksum, frame)?;
        check_payload(checksum, &header, &frame[HEADER_BYTES..])?;
        decode_payload(&header, &frame[HEADER_BYTES..])
    }

    fn any_group() -> impl Strategy<Value = Vec<Commit>> {
        let bytes = || vec(any::<u8>(), 0..40);
        let write = (any::<u8>(), bytes(), proptest::option::of(bytes()))
            .prop_map(|(tree, key, value)| Write { tree, key, value });
        let commit = (vec(write, 0..5), vec(bytes(), 0..4));
        (1..u64::MAX - 10, vec(commit, 1..6)).prop_map(|(first, commits)| {
            (first..)
                .zip(commits)
                .map(|(number, (writes, events))| Commit {
                    number,
                    writes,
                    events,
                })
                .collect()
        })
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(group in any_group(), salt: u64) {
            let checksum = Checksum::salted(salt);
            let mut frame = vec![1, 2, 3];
            encode(&checksum, &group, &mut frame);
            prop_assert_eq!(frame.len() as u64, encoded_length(&group));
            prop_assert_eq!(decode(&checksum, &frame), Ok(group));
        }

        #[test]
        fn any_bytes_are_refused_without_a_panic(bytes in vec(any::<u8>(), 0..300), salt: u64) {
            prop_assert!(decode(&Checksum::salted(salt), &bytes).is_err());
        }

        // Sound checksums around arbitrary contents reach the inner decoder, which plain noise never does.
        #[test]
        fn any_contents_are_decoded_without_a_panic(payload in vec(0u8..4, 0..200), commits in 0u32..4) {
            let checksum = Checksum::salted(0);
            let header = Header {
                length: u32::try_from(payload.len()).unwrap(),
                first_commit: u64::MAX - 1,
                commits,
                payload_checksum: checksum.of(&payload),
            };
            if let Ok(group) = decode_payload(&header, &payload) {
                let mut again = Vec::new();
                encode(&checksum, &group, &mut again);
                prop_assert_eq!(&again[HEADER_BYTES..], &payload[..]);
            }
        }

        #[test]
        fn one_changed_byte_is_noticed(group in any_group(), at: proptest::sample::Index, change in 1u8..) {
            let checksum = Checksum::salted(7);
            let mut frame = Vec::new();
            encode(&checksum, &group, &mut frame);
            let at = at.index(frame.len());
            frame[at] ^= change;
            prop_assert!(decode(&checksum, &frame).is_err());
        }

        #[test]
        fn another_segments_salt_is_noticed(group in any_group(), salt in 1u64..) {
            let mut frame = Vec::new();
            encode(&Checksum::salted(0), &group, &mut frame);
            prop_assert!(decode(&Checksum::salted(salt), &frame).is_err());
        }
    }

    #[test]
    fn a_length_over_the_limit_is_no_header() {
        let checksum = Checksum::salted(0);
        let mut header = MAGIC.to_vec();
        header.extend_from_slice(&u32::MAX.to_le_bytes());
        header.extend_from_slice(&[0; 16]);
        let sum = checksum.of(&header);
        header.extend_from_slice(&sum.to_le_bytes());
        assert_eq!(decode_header(&checksum, &header), Err(Defect::Header));
    }
}
