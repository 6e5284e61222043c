//! Out of a stopped server and into one: `export` and `import`. It owns the export format (`docs/export.md`), the documents a
//! person can read, and what becomes of the data of a `MongoDB` that ran the chat before. It reads the store's tables and writes
//! through its one writer; it knows no flags and no terminal.
//!
//! - [`export()`], `record`: one JSON object a line, loss-free; `page`: for a person, as JSON, HTML or text
//! - [`import()`]: first `plan` reads everything and refuses what is bad; then rows are written, messages in the order that `sort`
//!   gives them, by the jobs of `write`, after their files, `arrivals`, and `marks` brings read and delivered up to date
//! - `rows`, `extended`, `original`: files to documents, `MongoDB`'s extended JSON to plain, and its documents to drafts

mod arrivals;
mod draft;
#[cfg(test)]
mod erased_tests;
mod error;
mod export;
mod extended;
mod files;
mod import;
mod marks;
mod original;
mod page;
mod plan;
mod record;
mod rows;
mod social;
mod sort;
mod source;
#[cfg(test)]
mod tests;
mod when;
mod write;

pub use self::error::Error;
pub use self::export::{Exported, Format, Request, Scope, export};
pub use self::import::{Counts, Import, Imported, Stage, UNFINISHED, import};
pub use self::plan::Rowcount;
pub use self::source::Kind;
