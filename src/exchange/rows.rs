//! A file as a row of JSON documents: one a line, or one list, or documents over several lines. It bounds what one document
//! may take and says where each begins; whether it is JSON it leaves to its reader.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};
use std::path::Path;

/// Longest document in bytes: more than `MongoDB`'s own limit of 16 MiB.
pub(super) const MAX_DOCUMENT: usize = 17 << 20;
const BUFFER: usize = 256 * 1024;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A document's bytes, or what stands in its place.
pub(super) type Row = Result<Vec<u8>, &'static str>;

type Input = Chain<Cursor<Vec<u8>>, BufReader<File>>;

/// The documents of one file with the number of the line that each begins on.
pub(super) struct Rows {
    input: Input,
    layout: Layout,
    line: u64,
    /// Bytes taken so far.
    pub(super) taken: u64,
    ended: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    Lines,
    /// By their braces; in a list if `true`, which must then be closed.
    Braces(bool),
}

impl Rows {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut file = BufReader::with_capacity(BUFFER, File::open(path)?);
        if file.fill_buf()?.starts_with(BYTE_ORDER_MARK) {
            file.consume(BYTE_ORDER_MARK.len());
        }
        // A whole document on the first line that is not blank means one on each.
        let mut start = Vec::new();
        while start.trim_ascii().is_empty() {
            let limit = (MAX_DOCUMENT - start.len()) as u64;
            if file.by_ref().take(limit).read_until(b'\n', &mut start)? == 0 {
                break;
            }
        }
        let first = start.trim_ascii();
        let layout = match first.first() {
            Some(b'[') => Layout::Braces(true),
            Some(b'{') if !first.ends_with(b"}") && first.len() < MAX_DOCUMENT / 2 => {
                Layout::Braces(false)
            }
            _ => Layout::Lines,
        };
        Ok(Self {
            input: Cursor::new(start).chain(file),
            layout,
            line: 1,
            taken: 0,
            ended: false,
        })
    }

    /// The next document and its line.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, Row)>> {
        if self.ended {
            return Ok(None);
        }
        match self.layout {
            Layout::Lines => self.next_line(),
            Layout::Braces(is_list) => self.next_in_braces(is_list),
        }
    }

    fn next_line(&mut self) -> io::Result<Option<(u64, Row)>> {
        loop {
            let line = self.line;
            let mut bytes = Vec::new();
            let limit = MAX_DOCUMENT as u64 + 1;
            let count = self
                .input
                .by_ref()
                .take(limit)
                .read_until(b'\n', &mut bytes)?;
            if count == 0 {
                return Ok(None);
            }
            self.taken += count as u64;
            let is_whole = bytes.last() == Some(&b'\n');
            if !is_whole && count > MAX_DOCUMENT {
                self.skip_line()?;
                self.line += 1;
                return Ok(Some((line, Err("the line is longer than 17 MiB"))));
            }
            self.line += 1;
            if !bytes.trim_ascii().is_empty() {
                return Ok(Some((line, Ok(bytes))));
            }
        }
    }

    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            let buffer = self.input.fill_buf()?;
            let end = buffer.iter().position(|&byte| byte == b'\n');
            let count = end.map_or(buffer.len(), |at| at + 1);
            let is_done = end.is_some() || buffer.is_empty();
            self.input.consume(count);
            self.taken += count as u64;
            if is_done {
                return Ok(());
            }
        }
    }

    fn next_in_braces(&mut self, is_list: bool) -> io::Result<Option<(u64, Row)>> {
        let mut scan = Scan::default();
        let mut bytes = Vec::new();
        let mut began = self.line;
        loop {
            let buffer = self.input.fill_buf()?;
            if buffer.is_empty() {
                self.ended = true;
                let why = match scan.depth {
                    0 if !is_list => return Ok(None),
                    0 => "the list is not closed: the file was cut off",
                    _ => "the document is not closed: the file was cut off",
                };
                return Ok(Some((began, Err(why))));
            }
            let mut used = 0;
            let mut found = None;
            for &byte in buffer {
                used += 1;
                self.line += u64::from(byte == b'\n');
                let before = scan.depth;
                match (before, byte) {
                    (0, b'{') => {
                        began = self.line;
                        scan.depth = 1;
                    }
                    (0, b']') if is_list => {
                        self.ended = true;
                        break;
                    }
                    (0, b'[' | b',') if is_list => continue,
                    (0, byte) if byte.is_ascii_whitespace() => continue,
                    (0, _) => {
                        self.ended = true;
                        found = Some(Err(
                            "this is no JSON document; the rest of the file was not read",
                        ));
                        break;
                    }
                    _ => scan.step(byte),
                }
                if bytes.len() <= MAX_DOCUMENT {
                    bytes.push(byte);
                }
                if scan.depth == 0 {
                    found = Some(Ok(()));
                    break;
                }
            }
            self.input.consume(used);
            self.taken += used as u64;
            match found {
                Some(Ok(())) if bytes.len() > MAX_DOCUMENT => {
                    return Ok(Some((began, Err("the document is longer than 17 MiB"))));
                }
                Some(Ok(())) => return Ok(Some((began, Ok(bytes)))),
                Some(Err(why)) => return Ok(Some((self.line, Err(why)))),
                None if self.ended => return Ok(None),
                None => {}
            }
        }
    }
}

/// Follows braces outside of texts.
#[derive(Default)]
struct Scan {
    depth: u64,
    in_text: bool,
    escaped: bool,
}

impl Scan {
    fn step(&mut self, byte: u8) {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' if self.in_text => self.escaped = true,
            b'"' => self.in_text = !self.in_text,
            _ if self.in_text => {}
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows(content: &[u8]) -> Vec<(u64, Result<String, &'static str>)> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        let mut rows = Rows::open(file.path()).unwrap();
        let mut found = Vec::new();
        while let Some((line, row)) = rows.next().unwrap() {
            let row = row.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
            found.push((line, row));
        }
        found
    }

    fn good(content: &str) -> Vec<(u64, String)> {
        rows(content.as_bytes())
            .into_iter()
            .map(|(line, row)| (line, row.unwrap()))
            .collect()
    }

    #[test]
    fn every_layout_is_read_and_lines_are_numbered() {
        let two = |a, b| {
            vec![
                (a, r#"{"a":"}"}"#.to_owned()),
                (b, r#"{"b":[{}]}"#.to_owned()),
            ]
        };
        assert_eq!(good("{\"a\":\"}\"}\n{\"b\":[{}]}\n"), two(1, 2));
        assert_eq!(good("\u{feff}{\"a\":\"}\"}\r\n\r\n{\"b\":[{}]}"), two(1, 3));
        assert_eq!(good("[{\"a\":\"}\"},{\"b\":[{}]}]"), two(1, 1));
        assert_eq!(good("\n[\r\n{\"a\":\"}\"},\n{\"b\":[{}]}\n]\n"), two(3, 4));
        assert_eq!(
            good("{\"a\"\n:1}\n{\"b\":\n2}"),
            [(1, "{\"a\"\n:1}".to_owned()), (3, "{\"b\":\n2}".to_owned())]
        );
        assert_eq!(good(""), []);
        assert_eq!(good("[]"), []);
        assert_eq!(good("\n \n"), []);
    }

    #[test]
    fn what_is_cut_off_or_something_else_is_told() {
        let last = |content: &str| rows(content.as_bytes()).pop().unwrap().1;
        assert!(last("[{\"a\":1},").unwrap_err().contains("cut off"));
        assert!(last("[{\"a\":1},{\"b\":").unwrap_err().contains("cut off"));
        assert!(last("[{\"a\":1}, 7, {}]").unwrap_err().contains("not read"));
        assert_eq!(last("{\"a\":1}\n{\"b\":").unwrap(), "{\"b\":");
    }

    #[test]
    fn a_huge_line_is_passed_over_without_being_kept() {
        let mut content = vec![b'x'; MAX_DOCUMENT + 100_000];
        content.extend_from_slice(b"\n{\"a\":1}\n");
        let found = rows(&content);
        assert!(found[0].1.is_err());
        assert_eq!(found[1], (2, Ok("{\"a\":1}".to_owned())));
        let mut content = b"[{\"a\":\"".to_vec();
        content.resize(MAX_DOCUMENT + 100_000, b'x');
        content.extend_from_slice(b"\"},{\"b\":1}]");
        let found = rows(&content);
        assert!(found[0].1.is_err());
        assert_eq!(found[1], (1, Ok("{\"b\":1}".to_owned())));
    }

    proptest! {
        #[test]
        fn any_bytes_come_to_an_end(content in prop::collection::vec(prop_oneof![Just(b'{'), Just(b'}'), Just(b'['), Just(b'"'), Just(b'\n'), any::<u8>()], 0..300)) {
            prop_assert!(rows(&content).len() <= content.len());
        }
    }
}
