//! The names of the files in a journal's directory. It does not know what is in them.

use std::fmt;

/// A file of the journal. Displays as a person names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileName {
    /// Commits in order; numbered from 1.
    Segment(u64),
    /// All rows as they were when the segment of the same number began, or newer: it stands for every segment before.
    Base(u64),
    /// A base that is being written, or was when a crash came.
    Draft(u64),
}

impl FileName {
    /// The number in hexadecimal, so that names sort like numbers.
    pub fn on_disk(self) -> String {
        match self {
            Self::Segment(number) => format!("{number:016x}.log"),
            Self::Base(number) => format!("{number:016x}.base"),
            Self::Draft(number) => format!("{number:016x}.base.tmp"),
        }
    }

    /// What [`Self::on_disk`] wrote; `None` for any other file.
    pub fn parse(name: &str) -> Option<Self> {
        let (digits, kind) = name.split_once('.')?;
        let number = u64::from_str_radix(digits, 16).ok()?;
        let parsed = match kind {
            "log" => Self::Segment(number),
            "base" => Self::Base(number),
            "base.tmp" => Self::Draft(number),
            _ => return None,
        };
        (parsed.on_disk() == name).then_some(parsed)
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Segment(number) => write!(f, "segment {number}"),
            Self::Base(number) => write!(f, "base {number}"),
            Self::Draft(number) => write!(f, "unfinished base {number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_names_are_files_of_the_journal() {
        for name in [
            FileName::Segment(0x2a),
            FileName::Base(0x2a),
            FileName::Draft(u64::MAX),
        ] {
            assert_eq!(FileName::parse(&name.on_disk()), Some(name));
        }
        for other in [
            "2a.log",
            "000000000000002A.log",
            "LOCK",
            "+00000000000002a.log",
            ".log",
            "000000000000002a.base.old",
        ] {
            assert_eq!(FileName::parse(other), None, "{other}");
        }
    }
}
