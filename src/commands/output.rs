//! Lines for whoever reads standard output. Nobody may be: a reader that has seen enough (`| head`) ends no command, and is no
//! failure of it.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};

/// `println!` that outlives its reader.
macro_rules! say {
    ($($words:tt)*) => {
        $crate::commands::output::line(format_args!($($words)*))
    };
}
pub(super) use say;

/// Writes a line.
pub(super) fn line(words: Arguments<'_>) {
    let mut out = io::stdout().lock();
    check(writeln!(out, "{words}"));
}

/// Writes bytes as they are.
pub(super) fn bytes(bytes: &[u8]) {
    let mut out = io::stdout().lock();
    check(out.write_all(bytes).and_then(|()| out.flush()));
}

/// What cannot be told for another reason, such as a full disk behind the `>`, is a failure.
fn check(written: io::Result<()>) {
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            let _ = writeln!(io::stderr(), "jivchat: cannot write the output: {error}");
            std::process::exit(1);
        }
        _ => {}
    }
}
