//! The pages as text: which there are, and the blocks of commands in them.

use std::path::{Path, PathBuf};

/// Pages whose commands are run here.
pub(super) const RUN: [&str; 12] = [
    "README.md",
    "docs/beside.md",
    "docs/export.md",
    "docs/flags.md",
    "docs/journal.md",
    "docs/moving.md",
    "docs/operations.md",
    "docs/out-of-scope.md",
    "docs/promises.md",
    "docs/protocol.md",
    "docs/security.md",
    "docs/wire.md",
];

/// Pages about other machines, root, or hours of measuring, whose commands have tests of their own.
pub(super) const ELSEWHERE: [&str; 4] = [
    "docs/install.md",
    "docs/monitoring.md",
    "docs/performance.md",
    "docs/tls.md",
];

/// The first line of a block that is not run, before the reason.
const NOT_RUN: &str = "# not run by the tests: ";

pub(super) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A page of the repository.
pub(super) struct Page {
    pub(super) path: &'static str,
    pub(super) text: String,
}

impl Page {
    pub(super) fn read(path: &'static str) -> Self {
        let text = std::fs::read_to_string(root().join(path));
        let text = text.unwrap_or_else(|error| panic!("{path}: {error}"));
        Self { path, text }
    }

    /// All that there are: those of `ELSEWHERE` need not.
    pub(super) fn all() -> Vec<Self> {
        let there = ELSEWHERE.iter().filter(|path| root().join(path).exists());
        RUN.iter()
            .chain(there)
            .map(|path| Self::read(path))
            .collect()
    }

    /// The text without what stands between fences.
    pub(super) fn prose(&self) -> String {
        let mut fenced = false;
        let lines = self.text.lines().filter(|line| {
            let is_fence = line.trim_start().starts_with("```");
            fenced ^= is_fence;
            !fenced && !is_fence
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    pub(super) fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut open: Option<Block> = None;
        for line in self.text.lines() {
            match (line.trim_start().strip_prefix("```"), &mut open) {
                (Some(language), None) => {
                    open = Some(Block {
                        language: language.trim().to_owned(),
                        lines: Vec::new(),
                    });
                }
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (None, Some(block)) => block.lines.push(line.to_owned()),
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{}: a fence is not closed", self.path);
        blocks
    }
}

/// What stands between two fences.
pub(super) struct Block {
    pub(super) language: String,
    pub(super) lines: Vec<String>,
}

/// Something to type, and what is said to come of it: nothing is said in a block of `sh`.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) command: String,
    pub(super) output: String,
}

impl Block {
    fn is_commands(&self) -> bool {
        ["sh", "bash", "console"].contains(&self.language.as_str())
    }

    /// Why it is not run.
    pub(super) fn excuse(&self) -> Option<&str> {
        let first = self.lines.first().filter(|_| self.is_commands())?;
        first.strip_prefix(NOT_RUN)
    }

    pub(super) fn steps(&self) -> Vec<Step> {
        if !self.is_commands() || self.excuse().is_some() {
            return Vec::new();
        }
        if self.language != "console" {
            return vec![Step {
                command: self.lines.join("\n"),
                output: String::new(),
            }];
        }
        let mut steps: Vec<Step> = Vec::new();
        for line in &self.lines {
            let last = steps.last_mut();
            if let Some(command) = line.strip_prefix("$ ") {
                steps.push(Step {
                    command: command.to_owned(),
                    output: String::new(),
                });
            } else if let Some(step) = last {
                if step.command.ends_with('\\') && step.output.is_empty() {
                    step.command.push('\n');
                    step.command.push_str(line);
                } else {
                    step.output.push_str(line);
                }
            }
        }
        steps
    }
}

/// Every page is one that is run or one that is said not to be.
#[test]
fn no_page_is_forgotten() {
    let docs = std::fs::read_dir(root().join("docs")).unwrap();
    let found: Vec<PathBuf> = docs.map(|entry| entry.unwrap().path()).collect();
    for path in found {
        let name = path.strip_prefix(root()).unwrap().to_str().unwrap();
        let known = RUN.contains(&name) || ELSEWHERE.contains(&name);
        let is_page = path.extension().is_some_and(|end| end == "md");
        assert!(known || !is_page, "{name} is in neither list of this file");
    }
}
