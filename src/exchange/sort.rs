//! More rows than fit into memory, in the order of their keys: sorted runs in files without a name, which the system removes
//! with the process, merged as they are read.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// Rows are written out when so many bytes of them are in memory.
const RUN_BYTES: usize = 32 << 20;

/// Chat's place, the message's place in it, and its id.
pub(super) type Key = [u8; 28];

/// Takes rows in any order.
pub(super) struct Sorter {
    directory: PathBuf,
    run_bytes: usize,
    rows: Vec<(Key, Vec<u8>)>,
    bytes: usize,
    runs: Vec<File>,
}

impl Sorter {
    /// Its files are made in this directory.
    pub(super) fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            run_bytes: RUN_BYTES,
            rows: Vec::new(),
            bytes: 0,
            runs: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, key: Key, value: Vec<u8>) -> io::Result<()> {
        self.bytes += value.len() + size_of::<(Key, Vec<u8>)>();
        self.rows.push((key, value));
        if self.bytes < self.run_bytes {
            return Ok(());
        }
        self.bytes = 0;
        self.rows.sort_unstable();
        let mut out = BufWriter::new(self.nameless()?);
        for (key, value) in self.rows.drain(..) {
            out.write_all(&key)?;
            let length = u32::try_from(value.len()).map_err(io::Error::other)?;
            out.write_all(&length.to_be_bytes())?;
            out.write_all(&value)?;
        }
        let mut run = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        run.rewind()?;
        self.runs.push(run);
        Ok(())
    }

    fn nameless(&self) -> io::Result<File> {
        let path = self
            .directory
            .join(format!("import-{}.tmp", std::process::id()));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)?;
        fs::remove_file(&path)?;
        Ok(file)
    }

    /// The rows in order.
    pub(super) fn sorted(mut self) -> io::Result<Sorted> {
        self.rows.sort_unstable();
        let mut sorted = Sorted {
            runs: self.runs.into_iter().map(BufReader::new).collect(),
            rows: self.rows.into_iter(),
            heads: BinaryHeap::new(),
        };
        for run in 0..=sorted.runs.len() {
            sorted.advance(run)?;
        }
        Ok(sorted)
    }
}

/// Gives rows out, ascending.
pub(super) struct Sorted {
    runs: Vec<BufReader<File>>,
    /// What was never written out: one run more.
    rows: std::vec::IntoIter<(Key, Vec<u8>)>,
    heads: BinaryHeap<Reverse<(Key, usize, Vec<u8>)>>,
}

impl Sorted {
    pub(super) fn next(&mut self) -> io::Result<Option<(Key, Vec<u8>)>> {
        let Some(Reverse((key, run, value))) = self.heads.pop() else {
            return Ok(None);
        };
        self.advance(run)?;
        Ok(Some((key, value)))
    }

    fn advance(&mut self, run: usize) -> io::Result<()> {
        let row = match self.runs.get_mut(run) {
            Some(file) => read_row(file)?,
            None => self.rows.next(),
        };
        if let Some((key, value)) = row {
            self.heads.push(Reverse((key, run, value)));
        }
        Ok(())
    }
}

fn read_row(file: &mut BufReader<File>) -> io::Result<Option<(Key, Vec<u8>)>> {
    let (mut key, mut length) = ([0; 28], [0; 4]);
    match file.read_exact(&mut key) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    file.read_exact(&mut length)?;
    let mut value = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap_or(0)];
    file.read_exact(&mut value)?;
    Ok(Some((key, value)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rows_come_out_in_order_whatever_fits_into_memory(
            numbers in prop::collection::vec(any::<u16>(), 0..200),
            run_bytes in 1_usize..4000,
        ) {
            let directory = tempfile::tempdir().unwrap();
            let mut sorter = Sorter::new(directory.path());
            sorter.run_bytes = run_bytes;
            for number in &numbers {
                let mut key = [0; 28];
                key[..2].copy_from_slice(&number.to_be_bytes());
                sorter.push(key, number.to_string().into_bytes()).unwrap();
            }
            let mut sorted = sorter.sorted().unwrap();
            let mut found: Vec<u16> = Vec::new();
            while let Some((_, value)) = sorted.next().unwrap() {
                found.push(String::from_utf8(value).unwrap().parse().unwrap());
            }
            let mut expected = numbers;
            expected.sort_unstable();
            prop_assert_eq!(found, expected);
            prop_assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        }
    }
}
