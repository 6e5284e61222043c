//! Reading a journal: segment after segment, frame after frame, one frame in memory at a time; and telling a torn tail,
//! which a crash may leave, from damage, which nothing may pass over. It changes nothing on the disk.

use std::convert::Infallible;

use super::disk::{Disk, SegmentFile};
use super::error::{Damage, Error, ReplayError};
use super::frame;
use super::frames::{Frame, Frames, Step, search};
use super::segment::{self, BadHeader, FIRST_FRAME};
use super::{Commit, Position};

/// How far a replay has come, in bytes of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Read so far.
    pub done: u64,
    /// There were when the replay began.
    pub total: u64,
}

/// What a replay reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replayed {
    /// The end of the last frame.
    pub end: Position,
    /// Number of the last commit; 0 when there is none.
    pub last_commit: u64,
    /// Bytes of a torn last group, which opening the journal will cut off.
    pub torn_bytes: u64,
}

/// The end of a journal.
#[derive(Debug)]
pub(super) struct Tail {
    pub(super) end: Position,
    pub(super) next_commit: u64,
    /// Of the segment of `end`; `None` when not even the first one has a header.
    pub(super) header: Option<segment::Header>,
    pub(super) torn_bytes: u64,
    /// A last segment whose header never reached the disk, and so was never written to.
    pub(super) headless: Option<u64>,
}

pub(super) fn replay<D: Disk, E>(
    disk: &D,
    from: Position,
    until: Option<Position>,
    mut visit: impl FnMut(Commit, Progress) -> Result<(), E>,
) -> Result<Replayed, ReplayError<E>> {
    let first = from.segment.max(1);
    let mut ends = Vec::new(); // where each segment from `first` on ends, counted through
    let mut total = 0;
    for number in first..=last_segment(disk, until)? {
        let file = disk.open(number).map_err(Error::io("read"))?;
        total += readable_length(&file, number, until)?;
        ends.push(total);
    }
    let tail = walk(disk, from, until, |frame| {
        let index = usize::try_from(frame.segment - first).unwrap_or(usize::MAX);
        let before = index.checked_sub(1).and_then(|index| ends.get(index));
        let progress = Progress {
            done: before.unwrap_or(&0) + frame.end,
            total,
        };
        let group = frame::decode_payload(&frame.header, frame.payload)
            .map_err(|defect| Error::damaged(frame.segment, frame.at, Damage::Frame(defect)))?;
        for commit in group {
            let number = commit.number;
            visit(commit, progress).map_err(|source| ReplayError::Visit { number, source })?;
        }
        Ok(())
    })?;
    Ok(Replayed {
        end: tail.end,
        last_commit: tail.next_commit.saturating_sub(1),
        torn_bytes: tail.torn_bytes,
    })
}

/// Finds the end of the journal, reading from the segment of `from` on.
pub(super) fn find_tail<D: Disk>(disk: &D, from: Position) -> Result<Tail, Error> {
    let ignore = |_: &Frame<'_>| Ok::<(), ReplayError<Infallible>>(());
    walk(disk, from, None, ignore).map_err(|error| match error {
        ReplayError::Journal(error) => error,
        ReplayError::Visit { source, .. } => match source {},
    })
}

/// Everything before `from` is known to have been whole, and everything before `until` too: a defect there is damage.
/// `visit` sees the frames between them.
fn walk<D: Disk, E>(
    disk: &D,
    from: Position,
    until: Option<Position>,
    mut visit: impl FnMut(&Frame<'_>) -> Result<(), ReplayError<E>>,
) -> Result<Tail, ReplayError<E>> {
    let first = from.segment.max(1);
    let mut last = last_segment(disk, until)?;
    if first > last {
        return Err(Error::damaged(first, 0, Damage::Missing).into());
    }
    let mut tail = Tail {
        end: Position::START,
        next_commit: 1,
        header: None,
        torn_bytes: 0,
        headless: None,
    };
    let last_was_known = until.is_some() || (last == first && from > Position::START);
    if !last_was_known && is_headless(disk, last)? {
        tail.headless = Some(last);
        last -= 1;
    }
    for number in first..=last {
        let file = disk.open(number).map_err(Error::io("read"))?;
        let length = readable_length(&file, number, until)?;
        let header = read_header(&file, number, length)?;
        // Where the reading begins, there is nothing to compare with; segment 1 begins with commit 1.
        if (number > first || number == 1) && header.first_commit != tail.next_commit {
            let why = Damage::Gap {
                expected: tail.next_commit,
                found: header.first_commit,
            };
            return Err(Error::damaged(number, 0, why).into());
        }
        let known = if number == from.segment {
            from.offset.max(FIRST_FRAME)
        } else {
            FIRST_FRAME
        };
        let ending = if number == last && until.is_none() {
            Ending::MayBeTorn
        } else {
            Ending::Whole
        };
        let mut frames = Frames::new(&file, header, length);
        tail.torn_bytes = read_segment(&mut frames, known, ending, &mut visit)?;
        tail.end = Position {
            segment: number,
            offset: frames.at,
        };
        tail.next_commit = frames.next_commit;
        tail.header = Some(header);
    }
    match until {
        Some(until) if tail.end != until && until > Position::START => {
            let why = Damage::BeforeCheckpoint(until.offset);
            Err(Error::damaged(tail.end.segment, tail.end.offset, why).into())
        }
        _ => Ok(tail),
    }
}

/// Whether a crash can have been at work at the end of a segment.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Whole,
    MayBeTorn,
}

/// Reads the frames of one segment and returns how many bytes are torn off its end. Those before `known` are passed over:
/// reading them proves that one ends there.
fn read_segment<F: SegmentFile, E>(
    frames: &mut Frames<'_, F>,
    known: u64,
    ending: Ending,
    visit: &mut impl FnMut(&Frame<'_>) -> Result<(), ReplayError<E>>,
) -> Result<u64, ReplayError<E>> {
    let segment = frames.segment;
    loop {
        let at = frames.at;
        let why = match frames.next()? {
            Step::Frame(frame) if at >= known => {
                visit(&frame)?;
                continue;
            }
            Step::Frame(frame) if frame.end <= known => continue,
            Step::End if at >= known => return Ok(0),
            Step::Bad(defect) if at >= known && ending == Ending::MayBeTorn => {
                return Ok(frames.torn_tail(defect)?);
            }
            Step::Bad(defect) if at >= known => Damage::Frame(defect),
            Step::Frame(_) | Step::End | Step::Bad(_) => Damage::BeforeCheckpoint(known),
        };
        return Err(Error::damaged(segment, at, why).into());
    }
}

/// The number of the last segment to read. A journal without its first segment, or with a hole, is not one.
fn last_segment<D: Disk>(disk: &D, until: Option<Position>) -> Result<u64, Error> {
    let numbers = disk.list().map_err(Error::io("list the segments of"))?;
    for (expected, &found) in (1..).zip(&numbers) {
        if expected != found {
            return Err(Error::damaged(expected, 0, Damage::Missing));
        }
    }
    let last = numbers.last().copied().unwrap_or(0);
    let wanted = until.map_or(last, |until| until.segment).max(1);
    if last < wanted {
        return Err(Error::damaged(last + 1, 0, Damage::Missing));
    }
    Ok(wanted)
}

/// Beyond `until` the writer may be at work.
fn readable_length<F: SegmentFile>(
    file: &F,
    number: u64,
    until: Option<Position>,
) -> Result<u64, Error> {
    let length = file.length().map_err(Error::io("read"))?;
    Ok(match until {
        Some(until) if until.segment == number => length.min(until.offset.max(FIRST_FRAME)),
        _ => length,
    })
}

fn read_header<F: SegmentFile>(
    file: &F,
    number: u64,
    length: u64,
) -> Result<segment::Header, Error> {
    if length < FIRST_FRAME {
        return Err(Error::damaged(number, 0, Damage::Header));
    }
    let mut bytes = [0; segment::HEADER_BYTES];
    file.read_exact_at(&mut bytes, 0)
        .map_err(Error::io("read"))?;
    match segment::Header::decode(&bytes) {
        Ok(header) if header.segment == number => Ok(header),
        Ok(header) => Err(Error::damaged(
            number,
            0,
            Damage::WrongSegment(header.segment),
        )),
        Err(BadHeader::NotWhole) => Err(Error::damaged(number, 0, Damage::Header)),
        Err(BadHeader::Version(version)) => Err(Error::Version {
            segment: number,
            version,
        }),
    }
}

/// A segment is used only after its header was synced: one without a header and without anything behind it is what a
/// crash leaves between the two.
fn is_headless<D: Disk>(disk: &D, number: u64) -> Result<bool, Error> {
    let file = disk.open(number).map_err(Error::io("read"))?;
    let length = file.length().map_err(Error::io("read"))?;
    match read_header(&file, number, length) {
        Err(Error::Damaged {
            why: Damage::Header,
            ..
        }) => {
            let rest = search(&file, FIRST_FRAME, length, |_| false)?;
            Ok(rest.used_bytes == 0)
        }
        Err(error @ Error::Io { .. }) => Err(error),
        _ => Ok(false),
    }
}
