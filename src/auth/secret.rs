//! The secrets that sign tokens: where they come from and that they are long enough. It knows nothing of tokens, and
//! prints nothing of a secret.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const FILE_NAME: &str = "jwt-secret";
/// RFC 7518 §3.2: a key of at least the size of the hash must be used with HS256.
const MIN_BYTES: usize = 32;

/// A key that is shared with the host application.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

/// Whether a short secret is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strength {
    /// At least 32 bytes.
    Required,
    /// Any that is not empty: for a host that has one already, and for the demo.
    WeakAllowed,
}

/// Why there is no secret. Each displays as one line that names the remedy.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Too short to resist guessing.
    #[error(
        "the token secret from {origin} has {bytes} bytes, fewer than {MIN_BYTES}; take a longer one (openssl rand -hex 32) \
         or pass --allow-weak-secret"
    )]
    Weak {
        /// Where it came from.
        origin: String,
        /// Its length.
        bytes: usize,
    },
    /// Nothing at all.
    #[error("the token secret from {0} is empty")]
    Empty(String),
    /// The one of a data directory, of which an end is missing.
    #[error(
        "the token secret {} was cut short; put it back from a backup, or remove it: a new one is made, and every token signed \
         with the old one is refused",
        .0.display()
    )]
    CutShort(PathBuf),
    /// What everybody may know.
    #[error(
        "the token secret from {0} is a public key, with which anybody could sign; give it with --jwt-public-key-file"
    )]
    Public(String),
    /// A file could not be read or made.
    #[error("cannot {doing} the token secret {}: {source}; check the file's owner and mode", .path.display())]
    Io {
        /// What was tried, as a verb.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// The secrets to verify with, in order; the first also signs. Files come before flags; with neither, the one of
    /// `data_dir`, created if need be.
    pub fn load(
        flags: &[String],
        files: &[PathBuf],
        data_dir: &Path,
        strength: Strength,
    ) -> Result<Vec<Self>, SecretError> {
        if flags.is_empty() && files.is_empty() {
            return Ok(vec![Self::of_data_dir(data_dir)?]);
        }
        let files = files.iter().map(|path| Self::from_file(path, strength));
        let flags = flags.iter();
        let flags = flags.map(|text| Self::new(text.as_bytes(), "--jwt-secret", strength));
        files.chain(flags).collect()
    }

    /// A secret that was given in so many bytes; `origin` is for the error message.
    pub fn new(bytes: &[u8], origin: &str, strength: Strength) -> Result<Self, SecretError> {
        if bytes.is_empty() {
            return Err(SecretError::Empty(origin.to_owned()));
        }
        if is_public(bytes) {
            return Err(SecretError::Public(origin.to_owned()));
        }
        if bytes.len() < MIN_BYTES && strength == Strength::Required {
            return Err(SecretError::Weak {
                origin: origin.to_owned(),
                bytes: bytes.len(),
            });
        }
        Ok(Self(bytes.to_vec()))
    }

    /// The content of a file without the line end that editors add.
    pub fn from_file(path: &Path, strength: Strength) -> Result<Self, SecretError> {
        let bytes = fs::read(path).map_err(failed("read", path))?;
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        Self::new(bytes, &path.display().to_string(), strength)
    }

    /// Where a data directory keeps its own secret.
    pub fn path_in(data_dir: &Path) -> PathBuf {
        data_dir.join(FILE_NAME)
    }

    /// The secret that this data directory has had since its first start: 32 random bytes in hexadecimal.
    pub fn of_data_dir(data_dir: &Path) -> Result<Self, SecretError> {
        let path = Self::path_in(data_dir);
        if !path.try_exists().map_err(failed("read", &path))? {
            create(data_dir, &path).map_err(failed("create", &path))?;
        }
        let secret = Self::from_file(&path, Strength::Required)?;
        // With a part of it every token that is out would be refused, and nobody would know why.
        if secret.0.len() < 2 * MIN_BYTES && secret.0.iter().all(u8::is_ascii_hexdigit) {
            return Err(SecretError::CutShort(path));
        }
        Ok(secret)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SecretError {
    move |source| SecretError::Io {
        doing,
        path: path.to_owned(),
        source,
    }
}

/// RFC 8725 §2.1: a public key that is taken for a secret lets everybody in who has it.
fn is_public(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let labels = ["PUBLIC KEY", "RSA PUBLIC KEY", "CERTIFICATE"];
    labels
        .iter()
        .any(|label| text.contains(&format!("-----BEGIN {label}-----")))
}

/// Whole or not at all, and never in place of one that another process has just made: tokens signed with it are out.
fn create(data_dir: &Path, path: &Path) -> io::Result<()> {
    let temporary = data_dir.join(format!(".{FILE_NAME}.{}", std::process::id()));
    let written = write_random(&temporary).and_then(|()| match fs::hard_link(&temporary, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // Not every file system has links.
        Err(_) => fs::rename(&temporary, path),
        Ok(()) => Ok(()),
    });
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    written?;
    File::open(data_dir)?.sync_all()
}

fn write_random(path: &Path) -> io::Result<()> {
    let mut random = [0; MIN_BYTES];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    // A process that died may have left one, with any mode.
    let _ = fs::remove_file(path);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    for byte in random {
        write!(file, "{byte:02x}")?;
    }
    writeln!(file)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_random_secret_is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let load = || Secret::load(&[], &[], dir.path(), Strength::Required).unwrap();
        let first = load();
        assert_eq!(first.len(), 1);
        assert_eq!(load(), first);
        let path = dir.path().join(FILE_NAME);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_to_string(&path).unwrap().trim_end().len(), 64);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no leftovers");
        let other = tempfile::tempdir().unwrap();
        assert_ne!(Secret::of_data_dir(other.path()).unwrap(), first[0]);
    }

    #[test]
    fn racing_processes_agree_on_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        fs::write(&path, "x".repeat(40)).unwrap();
        create(dir.path(), &path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "x".repeat(40));
    }

    #[test]
    fn files_come_before_flags() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rotated");
        fs::write(&path, format!("{}\r\n", "f".repeat(32))).unwrap();
        let secrets = Secret::load(&["g".repeat(32)], &[path], dir.path(), Strength::Required);
        let bytes = ["f", "g"].map(|letter| Secret(letter.repeat(32).into_bytes()));
        assert_eq!(secrets.unwrap(), bytes);
        assert!(!dir.path().join(FILE_NAME).exists());
    }

    #[test]
    fn weak_and_empty_secrets_are_refused_with_the_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let load = |text: &str, strength| Secret::load(&[text.into()], &[], dir.path(), strength);
        let weak = load(&"x".repeat(31), Strength::Required).unwrap_err();
        assert!(weak.to_string().contains("--allow-weak-secret"));
        assert!(!weak.to_string().contains("xxx") && !weak.to_string().contains('\n'));
        assert!(load("short", Strength::WeakAllowed).is_ok());
        let empty = load("", Strength::WeakAllowed);
        assert!(matches!(empty, Err(SecretError::Empty(_))));
        fs::write(dir.path().join(FILE_NAME), "").unwrap();
        assert!(Secret::of_data_dir(dir.path()).is_err(), "never replaced");
        for kept in [33, 40, 63] {
            fs::write(dir.path().join(FILE_NAME), "a".repeat(kept)).unwrap();
            let refused = Secret::of_data_dir(dir.path()).unwrap_err().to_string();
            assert!(refused.contains("backup"), "{refused}");
        }
        // Somebody may have put one of their own there.
        fs::write(dir.path().join(FILE_NAME), "x".repeat(40)).unwrap();
        assert!(Secret::of_data_dir(dir.path()).is_ok());
        let missing = Secret::from_file(&dir.path().join("absent"), Strength::Required);
        assert!(matches!(missing, Err(SecretError::Io { .. })));
    }

    #[test]
    fn a_public_key_is_no_secret() {
        for label in ["PUBLIC KEY", "RSA PUBLIC KEY", "CERTIFICATE"] {
            let text =
                format!("-----BEGIN {label}-----\nMCowBQYDK2VwAyEA\n-----END {label}-----\n");
            let refused = Secret::new(text.as_bytes(), "a test", Strength::WeakAllowed);
            let said = refused.unwrap_err().to_string();
            assert!(said.contains("--jwt-public-key-file"), "{said}");
        }
    }

    #[test]
    fn debug_prints_nothing_of_it() {
        let secret = Secret(b"hunter2".to_vec());
        assert_eq!(format!("{secret:?}"), "Secret(…)");
    }
}
