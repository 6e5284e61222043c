//! Taking a backup of a data directory from outside, with or without a server on it. It asks nobody and locks nothing.
//!
//! First the journal, up to the last whole group; then every file that this state shows. A file that is gone by then was deleted
//! after the copy, and the commit that says so was on the disk before: so the journal's newer end is copied as well, until a state
//! is reached all of whose files are there. What was acknowledged before the beginning is in it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;

use super::{Error, Place, Report, Step, Tell, drop_files};
use crate::archive::{self, About, Draft, JOURNAL, MEDIA, SCHEMA, SECRET};
use crate::journal::{self, Copy, Position};
use crate::model::Timestamp;
use crate::store::{self, Replica};

/// How often to go on to a newer state. Each has less to copy than the one before, since less time has passed.
const ROUNDS: usize = 50;

/// Backs up what is in `from` into the new or empty directory `to`.
pub fn take(from: &Place, to: &Path, tell: &mut Tell<'_>) -> Result<Report, Error> {
    let journal_dir = from.data_dir.join(JOURNAL);
    if !journal_dir.is_dir() {
        return Err(Error::NoJournal(from.data_dir.clone()));
    }
    store::refuse_unfinished(&from.data_dir)?;
    let schema = store::schema_of(&from.data_dir)?;
    let created = Timestamp::now().to_string();
    let mut draft = Draft::begin(to)?;
    let (copy, replica) = reach_a_state(from, &mut draft, tell)?;
    if store::schema_of(&from.data_dir)? != schema {
        return Err(Error::Migrated);
    }
    for name in journal::names(&draft.dir().join(JOURNAL))? {
        draft.adopt(&format!("{JOURNAL}/{}", name.on_disk()))?;
    }
    draft.add(SCHEMA, &mut format!("{schema}\n").as_bytes(), &mut |_| ())?;
    let secret = from.data_dir.join(SECRET);
    match File::open(&secret) {
        Ok(mut file) => draft.add(SECRET, &mut file, &mut |_| ())?,
        // The server has its secret from somewhere else.
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(archive::Error::io("read", &secret)(error).into()),
    }
    let media = draft.dir().join(MEDIA);
    let findings = replica.check(Some(&media), |done, all| tell(Step::Rows, done, all))?;
    drop(replica);
    let about = About {
        created,
        jivchat: env!("CARGO_PKG_VERSION").to_owned(),
        schema,
        last_commit: copy.last_commit(),
        has_media: true,
    };
    let manifest = draft.finish(about, |done, all| tell(Step::Sums, done, all))?;
    Ok(Report { manifest, findings })
}

/// Copies until a state is whole.
fn reach_a_state(
    from: &Place,
    draft: &mut Draft,
    tell: &mut Tell<'_>,
) -> Result<(Copy, Replica), Error> {
    let (source, target) = (from.data_dir.join(JOURNAL), draft.dir().join(JOURNAL));
    let mut gone = BTreeSet::new();
    let mut rounds = 0;
    'anew: loop {
        remove_journal(&target)?;
        let mut copy = Copy::begin(&source, &target);
        let mut replica = Replica::begin(draft.dir(), from.cache)?;
        loop {
            rounds += 1;
            if rounds > ROUNDS {
                return Err(Error::Restless);
            }
            match copy.advance(|done, all| tell(Step::Copy, done, all)) {
                // What would come next has become part of a new base since.
                Err(journal::Error::Compacted(_)) => continue 'anew,
                advanced => advanced?,
            }
            if copy.end() == Position::START {
                return Err(Error::NoJournal(from.data_dir.clone()));
            }
            replica.follow(copy.end(), |at| tell(Step::Replay, at.done, at.total))?;
            let missing = take_files(&replica, from, draft, tell)?;
            // Gone then, and shown by a newer state all the same: lost long ago, which the check at the end tells of.
            if missing.is_subset(&gone) {
                drop_files(&replica, draft)?;
                return Ok((copy, replica));
            }
            gone = missing;
        }
    }
}

fn remove_journal(dir: &Path) -> Result<(), Error> {
    for name in journal::names(dir)? {
        let path = dir.join(name.on_disk());
        fs::remove_file(&path).map_err(archive::Error::io("remove", &path))?;
    }
    Ok(())
}

/// Takes every file of the state that is not there yet. Answers those that could not be found.
fn take_files(
    replica: &Replica,
    from: &Place,
    draft: &mut Draft,
    tell: &mut Tell<'_>,
) -> Result<BTreeSet<String>, Error> {
    let mut missing = BTreeSet::new();
    let (mut done, mut all) = (0, 0);
    replica.each_file(|_, size| {
        all += size;
        Ok::<_, Error>(())
    })?;
    replica.each_file(|name, size| {
        done += size;
        let path = format!("{MEDIA}/{name}");
        if !archive::may_hold(&path) || draft.files().contains_key(&path) {
            return Ok(());
        }
        let from = from.media.join(name);
        match File::open(&from) {
            Ok(mut file) => draft.add(&path, &mut file, &mut |_| tell(Step::Copy, done, all))?,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                missing.insert(name.to_owned());
            }
            Err(error) => return Err(archive::Error::io("read", &from)(error).into()),
        }
        Ok::<_, Error>(())
    })?;
    Ok(missing)
}
