//! Reading a journal: the base, segment after segment, frame after frame, one frame in memory at a time; and telling a torn tail,
//! which a crash may leave, from damage, which nothing may pass over. It changes nothing on the disk.

use std::collections::BTreeMap;
use std::convert::Infallible;

use super::base::{Base, read_header};
use super::disk::{Disk, JournalFile};
use super::error::{Damage, Error, ReplayError};
use super::frame::{self, Defect};
use super::frames::{Frame, Frames, Step, search};
use super::layout::{self, Layout};
use super::name::FileName;
use super::segment::{self, FIRST_FRAME};
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
    let layout = Layout::read(disk)?;
    let base = layout
        .base
        .filter(|_| from == Position::START || from.segment < layout.first);
    // Rows that were removed since would stay with whoever goes on from there.
    if base.is_some() && from > Position::START {
        return Err(Error::Compacted(from.segment).into());
    }
    if let Some(until) = until.filter(|&until| base.is_some() && until < layout.known_end()) {
        return Err(Error::Compacted(until.segment).into());
    }
    let mut meter = Meter::new(disk, &layout, base, from, until)?;
    if let Some(base) = base {
        visit_base(disk, &base, |commit, end| {
            visit(commit, meter.at(FileName::Base(layout.first), end))
        })?;
    }
    let from = from.max(Position {
        segment: layout.first,
        offset: 0,
    });
    let tail = walk(disk, &layout, from, until, |frame| {
        let progress = meter.at(frame.file, frame.end);
        let group = frame::decode_payload(&frame.header, frame.payload)
            .map_err(|defect| Error::damaged(frame.file, frame.at, Damage::Frame(defect)))?;
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

/// Where each file that will be read ends, counted through.
struct Meter {
    starts: BTreeMap<FileName, u64>,
    total: u64,
}

impl Meter {
    fn new<D: Disk>(
        disk: &D,
        layout: &Layout,
        base: Option<Base>,
        from: Position,
        until: Option<Position>,
    ) -> Result<Self, Error> {
        let mut meter = Self {
            starts: BTreeMap::new(),
            total: 0,
        };
        if let Some(base) = base {
            meter.starts.insert(base.header.name(), 0);
            meter.total = base.frames_end();
        }
        for number in from.segment.max(layout.first)..=layout.last_until(until)? {
            let name = FileName::Segment(number);
            let file = disk.open(name).map_err(Error::io("read"))?;
            meter.starts.insert(name, meter.total);
            meter.total += readable_length(&file, number, until)?;
        }
        Ok(meter)
    }

    fn at(&mut self, file: FileName, end: u64) -> Progress {
        Progress {
            done: self.starts.get(&file).unwrap_or(&0) + end,
            total: self.total,
        }
    }
}

/// The rows of a base, a frame at a time, as commits of the number before its first segment.
fn visit_base<D: Disk, E>(
    disk: &D,
    base: &Base,
    mut visit: impl FnMut(Commit, u64) -> Result<(), E>,
) -> Result<(), ReplayError<E>> {
    let name = base.header.name();
    let number = base.header.first_commit.saturating_sub(1);
    let file = disk.open(name).map_err(Error::io("read"))?;
    let mut frames = Frames::new(&file, base.header, base.frames_end());
    let mut rows = 0;
    loop {
        let at = frames.at;
        let damaged = |defect| Error::damaged(name, at, Damage::Frame(defect));
        match frames.next()? {
            Step::End if rows == base.footer.rows => return Ok(()),
            Step::End => return Err(damaged(Defect::Short).into()),
            Step::Bad(defect) => return Err(damaged(defect).into()),
            Step::Frame(frame) => {
                let end = frame.end;
                for commit in
                    frame::decode_payload(&frame.header, frame.payload).map_err(damaged)?
                {
                    rows += commit.writes.len() as u64;
                    visit(Commit { number, ..commit }, end)
                        .map_err(|source| ReplayError::Visit { number, source })?;
                }
            }
        }
    }
}

/// Finds the end of the journal, reading from the segment of `known` on, or from where its base vouches for it.
pub(super) fn find_tail<D: Disk>(
    disk: &D,
    layout: &Layout,
    known: Position,
) -> Result<Tail, Error> {
    let ignore = |_: &Frame<'_>| Ok::<(), ReplayError<Infallible>>(());
    let known = known.max(layout.known_end());
    walk(disk, layout, known, None, ignore).map_err(|error| match error {
        ReplayError::Journal(error) => error,
        ReplayError::Visit { source, .. } => match source {},
    })
}

/// Everything before `from` is known to have been whole, and everything before `until` too: a defect there is damage.
/// `visit` sees the frames between them.
fn walk<D: Disk, E>(
    disk: &D,
    layout: &Layout,
    from: Position,
    until: Option<Position>,
    mut visit: impl FnMut(&Frame<'_>) -> Result<(), ReplayError<E>>,
) -> Result<Tail, ReplayError<E>> {
    let first = from.segment.max(layout.first);
    let mut last = layout.last_until(until)?;
    if first > last {
        return Err(layout::missing(first).into());
    }
    let mut tail = Tail {
        end: Position::START,
        next_commit: 1,
        header: None,
        torn_bytes: 0,
        headless: None,
    };
    let known_end = from.max(layout.known_end());
    let last_was_known =
        until.is_some() || (last <= known_end.segment && known_end > Position::START);
    if !last_was_known && is_headless(disk, last)? {
        tail.headless = Some(last);
        last -= 1;
    }
    for number in first..=last {
        let name = FileName::Segment(number);
        let file = disk.open(name).map_err(Error::io("read"))?;
        let length = readable_length(&file, number, until)?;
        let header = read_header(&file, name, length)?;
        // Where the reading begins in the middle, there is nothing to compare with.
        let expected = match number {
            _ if number == layout.first => Some(layout.first_commit()),
            _ if number > first => Some(tail.next_commit),
            _ => None,
        };
        if let Some(expected) = expected.filter(|&expected| expected != header.first_commit) {
            let why = Damage::Gap {
                expected,
                found: header.first_commit,
            };
            return Err(Error::damaged(name, 0, why).into());
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
    let wanted = match until {
        Some(until) if tail.end != until && until > Position::START => until,
        _ if tail.end < layout.known_end() => layout.known_end(),
        _ => return Ok(tail),
    };
    let file = FileName::Segment(tail.end.segment);
    let why = Damage::BeforeCheckpoint(wanted.offset);
    Err(Error::damaged(file, tail.end.offset, why).into())
}

/// Whether a crash can have been at work at the end of a segment.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Whole,
    MayBeTorn,
}

/// Reads the frames of one segment and returns how many bytes are torn off its end. Those before `known` are passed over:
/// reading them proves that one ends there.
fn read_segment<F: JournalFile, E>(
    frames: &mut Frames<'_, F>,
    known: u64,
    ending: Ending,
    visit: &mut impl FnMut(&Frame<'_>) -> Result<(), ReplayError<E>>,
) -> Result<u64, ReplayError<E>> {
    let name = frames.name;
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
        return Err(Error::damaged(name, at, why).into());
    }
}

/// Beyond `until` the writer may be at work.
fn readable_length<F: JournalFile>(
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

/// A segment is used only after its header was synced: one without a header and without anything behind it is what a
/// crash leaves between the two.
fn is_headless<D: Disk>(disk: &D, number: u64) -> Result<bool, Error> {
    let name = FileName::Segment(number);
    let file = disk.open(name).map_err(Error::io("read"))?;
    let length = file.length().map_err(Error::io("read"))?;
    match read_header(&file, name, length) {
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
