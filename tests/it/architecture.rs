//! The arrows between the parts of `src`, held as data against the sources. It reads text, not Rust: what a module names is
//! what stands after `crate::`. Unit tests are not read; they may look wherever they need to.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What each module may name. `*` is everything but `commands`.
const ARROWS: [(&str, &str); 31] = [
    ("id", ""),
    ("limits", ""),
    ("journal", ""),
    // Users have buckets by their id.
    ("guard", "id limits"),
    ("media", ""),
    ("cors", ""),
    ("engineio", ""),
    ("socketio", "engineio"),
    ("model", "id"),
    // Counted where it happens and shown elsewhere: both ends name it, it names neither.
    ("metrics", "id"),
    ("audit", "model"),
    ("auth", "id"),
    // A flag is an address, and the one who asks it says what an address is.
    ("config", "id backend"),
    ("pet_document", "id model"),
    // Before a migration the store makes a backup of itself.
    ("store", "archive journal metrics model id"),
    // What may stand in a backup is named by those who name files.
    ("archive", "journal media"),
    ("backup", "archive journal media model store"),
    // A rule that sees a flood tells who counts them for the admin.
    ("chat", "store model id limits guard metrics"),
    // What a backend says becomes an upsert of the host's, so it calls the chat, never the store.
    ("backend", "chat id limits model pet_document"),
    // A token that is no good counts against the address it came from.
    ("access", "auth backend chat guard id"),
    ("view", "chat model id"),
    ("input", "chat id"),
    // Between the two that know of messages and of files, and below the edge that asks for an erasure.
    ("disposal", "chat id media model pet_document"),
    (
        "api",
        "access audit auth backend backup chat disposal guard id input media metrics model pet_document view",
    ),
    (
        "realtime",
        "access auth chat guard id input metrics model socketio view",
    ),
    // Offline: it reads the store's own tables, shows them in the shapes of the API, and takes files as uploads are taken.
    ("exchange", "chat id media model pet_document store view"),
    ("web", "api auth chat id model pet_document"),
    ("server", "*"),
    ("commands", "*"),
    ("main", "commands config"),
    ("lib", ""),
];

/// Words that only these modules may say.
const RESERVED: [(&str, &str); 5] = [
    ("sled::", "store"),
    ("anyhow", "main commands"),
    ("crate::config", "server commands"),
    ("unbounded_channel", ""),
    // It panics when nobody reads any more; `commands` has `say!`.
    (" println!", ""),
];

#[test]
fn no_module_names_what_it_must_not_know() {
    let mut wrong = Vec::new();
    for (module, path, code) in sources() {
        let arrow = ARROWS.iter().find(|(from, _)| *from == module);
        let Some((_, allowed)) = arrow else {
            wrong.push(format!(
                "`{module}` stands in no arrow: add it to the table"
            ));
            continue;
        };
        for named in named_modules(&code) {
            let is_allowed = *allowed == "*" && named != "commands"
                || named == module
                || allowed.split(' ').any(|one| one == named);
            if !is_allowed {
                wrong.push(format!(
                    "`{module}` must not know `{named}` ({})",
                    path.display()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn reserved_words_stay_where_they_belong() {
    let mut wrong = Vec::new();
    for (module, path, code) in sources() {
        for (word, allowed) in RESERVED {
            if code.contains(word) && !allowed.split(' ').any(|one| one == module) {
                wrong.push(format!(
                    "`{module}` must not say `{word}` ({})",
                    path.display()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_reader_of_sources_sees_what_it_looks_for() {
    let code = code_of(
        "use crate::chat::X; // crate::api\nfn f() { crate::store::open(); }\n#[cfg(test)]\nmod tests { use crate::web; }",
    );
    let named: Vec<_> = named_modules(&code).into_iter().collect();
    assert_eq!(named, ["chat", "store"]);
    let grouped = named_modules("use crate::{api, chat};");
    assert_eq!(grouped.into_iter().collect::<Vec<_>>(), ["{"]);
    let seen: BTreeSet<_> = sources().into_iter().map(|(module, ..)| module).collect();
    for (module, _) in ARROWS {
        assert!(
            seen.contains(module),
            "the arrow of `{module}` holds nothing"
        );
    }
}

/// Module, path and code of every file; unit tests in files of their own are left out.
fn sources() -> Vec<(String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut directories = vec![root.clone()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() {
                directories.push(path);
            } else if name.strip_suffix(".rs").is_some_and(is_production) {
                let inside = path.strip_prefix(&root).unwrap().to_owned();
                let first = inside.iter().next().unwrap().to_str().unwrap();
                let module = first.trim_end_matches(".rs").to_owned();
                let code = code_of(&fs::read_to_string(&path).unwrap());
                found.push((module, inside, code));
            }
        }
    }
    found
}

/// Whether a file of that name is part of what is shipped.
fn is_production(name: &str) -> bool {
    !name.ends_with("tests") && name != "simulation"
}

/// Without comments and without the unit tests at the end.
fn code_of(source: &str) -> String {
    let lines = source.lines().map(|line| line.split("//").next().unwrap());
    let code = lines.collect::<Vec<_>>().join("\n");
    let tests = code.find("#[cfg(test)]\nmod tests {");
    code[..tests.unwrap_or(code.len())].to_owned()
}

/// What stands after each `crate::`. A group in braces is answered as `{`, which no arrow allows: one `use` a module.
fn named_modules(code: &str) -> BTreeSet<String> {
    let after = code.split("crate::").skip(1);
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    after
        .map(|rest| match rest.find(|c| !is_name(c)) {
            Some(0) => rest[..1].to_owned(),
            end => rest[..end.unwrap_or(rest.len())].to_owned(),
        })
        .collect()
}
