//! `import`: another server's data, or a `MongoDB`'s, into a stopped server's.

use std::path::PathBuf;

use anyhow::{Result, bail};

use super::output::say;
use crate::config::{Import, ImportKind};
use crate::exchange::{self, Counts, Imported, Kind, Stage};
use crate::store::ProgressBar;

/// Imports and says what became of every row. Fails if there are bad rows, unless they are to be left out.
pub fn import(arguments: &Import) -> Result<()> {
    let data = &arguments.data;
    let request = exchange::Import {
        paths: arguments.paths.clone(),
        kind: arguments.kind.map(|kind| match kind {
            ImportKind::Users => Kind::Users,
            ImportKind::Pets => Kind::Pets,
            ImportKind::Chats => Kind::Chats,
            ImportKind::Messages => Kind::Messages,
        }),
        pet_owner: arguments.pet_owner.clone(),
        media: arguments.media.clone(),
        keep_metadata: arguments.keep_exif,
        skip_bad: arguments.skip_bad,
        dry_run: arguments.dry_run,
        data_dir: data.data_dir.clone(),
        cache: data.cache_size << 20,
        media_dir: media_dir(data.media_path.clone(), &data.data_dir),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut stage = Stage::Reading;
    let mut bar = ProgressBar::new(name_of(stage));
    let mut progress = |now, done, total| {
        if now != stage {
            stage = now;
            bar = ProgressBar::new(name_of(stage));
        }
        bar.update(done, total);
    };
    let imported = runtime.block_on(exchange::import(&request, &mut progress));
    drop(bar);
    let imported = imported?;
    if data.json {
        say!("{}", serde_json::to_string(&imported)?);
    } else {
        print(&imported, arguments.dry_run);
    }
    match imported.bad_rows {
        0 => Ok(()),
        _ if arguments.skip_bad => Ok(()),
        1 => {
            bail!("1 row is bad and nothing was changed; mend it, or leave it out with --skip-bad")
        }
        count => bail!(
            "{count} rows are bad and nothing was changed; mend them, or leave them out with --skip-bad"
        ),
    }
}

fn media_dir(given: Option<PathBuf>, data_dir: &std::path::Path) -> PathBuf {
    given.unwrap_or_else(|| data_dir.join("media"))
}

fn name_of(stage: Stage) -> &'static str {
    match stage {
        Stage::Reading => "reading",
        Stage::Ordering => "ordering the messages",
        Stage::Writing => "writing",
    }
}

fn print(imported: &Imported, is_dry_run: bool) {
    let Imported {
        read,
        known_messages,
        erased,
        users,
        pets,
        chats,
        messages,
        ..
    } = imported;
    say!("          in the files");
    for (name, rows) in [
        ("users", read.users),
        ("pets", read.pets),
        ("chats", read.chats),
        ("messages", read.messages),
    ] {
        say!("{name:<8}  {rows}");
    }
    if is_dry_run {
        say!(
            "{known_messages} of the messages are stored already; this was a dry run and nothing was changed"
        );
    } else if imported.bad_rows == 0 || messages.added + chats.added + users.added > 0 {
        say!("          added, changed, left as they are");
        for (name, counts) in [
            ("users", users),
            ("pets", pets),
            ("chats", chats),
            ("messages", messages),
        ] {
            let Counts {
                added,
                changed,
                unchanged,
                gone: _,
            } = counts;
            say!("{name:<8}  {added}, {changed}, {unchanged}");
        }
    }
    for (count, what) in [
        (erased.added, "people who were erased, and now are here"),
        (
            erased.gone,
            "people who were erased there and are known here, left as they are",
        ),
        (users.gone, "profiles left out: these people were erased"),
        (
            imported.erased_messages,
            "messages of people who were erased, taken without what they said",
        ),
        (
            pets.gone,
            "pets left out: removed, or of people who were erased",
        ),
        (imported.stubs, "participants of whom only the id is known"),
        (imported.files, "files copied"),
        (imported.missing_files, "files not copied"),
    ] {
        if count > 0 {
            say!("{count} {what}");
        }
    }
    for (what, count) in &imported.notes {
        say!("{count} {what}");
    }
    if imported.merged_chats > 0 {
        say!(
            "{} chats were merged into another of the same participants, pet and type:",
            imported.merged_chats
        );
    }
    for (from, into) in &imported.merged {
        say!("merged  {from} into {into}");
    }
    for problem in &imported.told {
        say!("problem: {problem}");
    }
}
