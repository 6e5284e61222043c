//! Taking a backup from a tar that a running server sends. Nothing in it is trusted: only the paths of a backup are taken, only
//! plain files, and only what the manifest says of each.

use std::io::Read;
use std::path::Path;

use super::{Error, Report, Step, Tell, drop_files};
use crate::archive::{self, Draft, MANIFEST, MEDIA, Manifest};
use crate::store::{self, Replica};

/// Largest manifest that is read, in bytes: some millions of files.
const MAX_MANIFEST: u64 = 1 << 30;

/// Makes the backup that comes as a tar, in the new or empty directory `to`.
pub fn unpack(
    from: impl Read,
    to: &Path,
    cache: u64,
    tell: &mut Tell<'_>,
) -> Result<Report, Error> {
    let mut draft = Draft::begin(to)?;
    let manifest = take_entries(from, &mut draft, tell)?;
    if manifest.about.schema > store::SCHEMA {
        return Err(Error::Archive(archive::Error::Newer {
            what: "schema",
            found: manifest.about.schema,
            known: store::SCHEMA,
        }));
    }
    if manifest.files != *draft.files() {
        return Err(Error::Foreign(
            "its files are not those of its manifest".to_owned(),
        ));
    }
    let mut replica = Replica::begin(draft.dir(), cache)?;
    let replayed = replica.follow_all(|at| tell(Step::Replay, at.done, at.total))?;
    if replayed.last_commit != manifest.about.last_commit {
        return Err(Error::Short {
            expected: manifest.about.last_commit,
            found: replayed.last_commit,
        });
    }
    drop_files(&replica, &mut draft)?;
    let media = draft.dir().join(MEDIA);
    let findings = replica.check(Some(&media), |done, all| tell(Step::Rows, done, all))?;
    drop(replica);
    let manifest = draft.finish(manifest.about, |done, all| tell(Step::Sums, done, all))?;
    Ok(Report { manifest, findings })
}

fn take_entries(
    from: impl Read,
    draft: &mut Draft,
    tell: &mut Tell<'_>,
) -> Result<Manifest, Error> {
    let mut tar = tar::Archive::new(from);
    let mut manifest = None;
    let mut received = 0;
    for entry in tar.entries().map_err(Error::Stream)? {
        let mut entry = entry.map_err(Error::Stream)?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let is_file = entry.header().entry_type() == tar::EntryType::Regular;
        if is_file && path == MANIFEST && manifest.is_none() {
            let mut json = Vec::new();
            let mut bounded = (&mut entry).take(MAX_MANIFEST);
            bounded.read_to_end(&mut json).map_err(Error::Stream)?;
            manifest = Some(Manifest::from_json(&json)?);
            continue;
        }
        let is_new = !draft.files().contains_key(&path);
        if !is_file || !is_new || manifest.is_some() || !archive::may_hold(&path) {
            return Err(Error::Foreign(format!("{path:?} does not belong in it")));
        }
        draft.add(&path, &mut entry, &mut |bytes| {
            received += bytes;
            tell(Step::Receive, received, 0);
        })?;
    }
    manifest.ok_or(Error::CutShort)
}
