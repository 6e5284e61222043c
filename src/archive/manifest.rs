//! What a backup says of itself: the one file that is written last. It owns its form and its checksum; it opens no file.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

use super::{Error, may_hold};

/// The manifest's name in the backup.
pub const MANIFEST: &str = "manifest.json";
/// What is written; everything from 1 on is read.
const FORMAT: u32 = 1;

/// What a backup is and holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    format: u32,
    /// What the files are a backup of.
    #[serde(flatten)]
    pub about: About,
    /// By their path in the backup.
    pub files: BTreeMap<String, Entry>,
    /// Of this file, as it is with nothing here.
    sha256: String,
}

/// What the files of a backup are a backup of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct About {
    /// When the state was taken, in RFC 3339.
    pub created: String,
    /// The version of the program.
    pub jivchat: String,
    /// The schema of the data.
    pub schema: u32,
    /// Number of the last commit.
    pub last_commit: u64,
    /// Whether the media files are in it; where not, they are expected in place.
    pub has_media: bool,
}

/// A file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Size.
    pub bytes: u64,
    /// In hexadecimal.
    pub sha256: String,
}

impl Manifest {
    /// A manifest of these files.
    pub fn new(about: About, files: BTreeMap<String, Entry>) -> Self {
        let mut manifest = Self {
            format: FORMAT,
            about,
            files,
            sha256: String::new(),
        };
        manifest.sha256 = manifest.checksum();
        manifest
    }

    /// As it is written.
    pub fn to_json(&self) -> Vec<u8> {
        // A map of strings and numbers: nothing in it can fail.
        let mut json = serde_json::to_vec_pretty(self).unwrap_or_default();
        json.push(b'\n');
        json
    }

    /// Reads what [`Self::to_json`] wrote, byte for byte; a newer format, a changed byte or a path that no backup has is refused.
    pub fn from_json(json: &[u8]) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let damaged = |why| Error::damaged(MANIFEST, why);
        match serde_json::from_slice(json) {
            Ok(Format { format: 1..=FORMAT }) => {}
            Ok(Format { format: 0 }) => return Err(damaged("has no format")),
            Ok(Format { format }) => {
                return Err(Error::Newer {
                    what: "format",
                    found: format,
                    known: FORMAT,
                });
            }
            Err(_) => return Err(damaged("is not whole")),
        }
        let manifest: Self = serde_json::from_slice(json).map_err(|_| damaged("is not whole"))?;
        if manifest.sha256 != manifest.checksum() || manifest.to_json() != json {
            return Err(damaged("does not match its checksum"));
        }
        match manifest.files.keys().find(|path| !may_hold(path)) {
            Some(path) => Err(Error::damaged(path, "is no file of a backup")),
            None => Ok(manifest),
        }
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.values().map(|file| file.bytes).sum()
    }

    fn checksum(&self) -> String {
        let mut bare = self.clone();
        bare.sha256.clear();
        let mut sum = Sum::new();
        sum.add(&bare.to_json());
        sum.finish().sha256
    }
}

/// The size and the checksum of what goes by.
pub struct Sum {
    context: Context,
    bytes: u64,
}

impl std::fmt::Debug for Sum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sum")
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl Sum {
    /// Of nothing.
    #[expect(
        clippy::new_without_default,
        reason = "a sum of nothing is no default of anything"
    )]
    pub fn new() -> Self {
        Self {
            context: Context::new(&SHA256),
            bytes: 0,
        }
    }

    /// Goes on.
    pub fn add(&mut self, bytes: &[u8]) {
        self.context.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    /// What a manifest says of it.
    pub fn finish(self) -> Entry {
        let mut sha256 = String::new();
        for byte in self.context.finish().as_ref() {
            let _ = write!(sha256, "{byte:02x}");
        }
        Entry {
            bytes: self.bytes,
            sha256,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let about = About {
            created: "2026-01-02T03:04:05.678Z".to_owned(),
            jivchat: "0.1.0".to_owned(),
            schema: 1,
            last_commit: 42,
            has_media: true,
        };
        let mut sum = Sum::new();
        sum.add(b"1\n");
        let files = [("schema".to_owned(), sum.finish())];
        Manifest::new(about, files.into())
    }

    #[test]
    fn is_read_as_it_was_written_and_refused_with_any_byte_changed() {
        let manifest = manifest();
        let json = manifest.to_json();
        assert_eq!(Manifest::from_json(&json).unwrap(), manifest);
        for at in 0..json.len() {
            for flip in [1, 0x20] {
                let mut json = json.clone();
                json[at] ^= flip;
                assert!(Manifest::from_json(&json).is_err(), "byte {at} ^ {flip}");
            }
        }
        assert!(Manifest::from_json(&json[..json.len() - 1]).is_err());
        assert!(Manifest::from_json(b"").is_err());
    }

    #[test]
    fn format_1_is_frozen() {
        let expected = include_str!("../../tests/fixtures/backup-1/manifest.json");
        let read = Manifest::from_json(expected.as_bytes()).unwrap();
        assert!(read.about.has_media && read.files.contains_key("schema"));
    }

    #[test]
    fn a_newer_format_is_refused_as_such_whatever_else_is_in_it() {
        let refused = Manifest::from_json(br#"{"format": 9, "novelty": true}"#).unwrap_err();
        let told = refused.to_string();
        assert!(told.contains("format 9") && !told.contains('\n'), "{told}");
    }

    #[test]
    fn a_path_that_leads_out_is_refused() {
        let mut files = manifest().files;
        let entry = files.remove("schema").unwrap();
        files.insert("../schema".to_owned(), entry);
        let json = Manifest::new(manifest().about, files).to_json();
        let refused = Manifest::from_json(&json).unwrap_err();
        assert!(refused.to_string().contains("../schema"), "{refused}");
    }
}
